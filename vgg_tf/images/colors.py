"""The RGB shift of section 3.1, along the principal axes of the training images' colors, and the
measure of one image.
"""

import numpy as np
import tensorflow as tf

# Colour covariance of ImageNet, RGB, in squared grey levels: the eigenvalues (on 0..1) and
# eigenvectors (columns) that AlexNet's reproductions share since fb.resnet.torch (paper.md 2c).
_EIGENVALUES = np.array([0.2175, 0.0188, 0.0045]) * 255**2
_EIGENVECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
IMAGENET_COVARIANCE = _EIGENVECTORS @ np.diag(_EIGENVALUES) @ _EIGENVECTORS.T


def rgb_shift(image, amounts, covariance=IMAGENET_COVARIANCE):
    """Shift all pixels along the principal axes of the colours (AlexNet's augmentation, kept by
    section 3.1).

    The shift is `sum_i amounts_i * sqrt(eigenvalue_i) * eigenvector_i` of the colour covariance:
    the reading of Krizhevsky's own code, which does not depend on the grey levels' unit. With
    amounts drawn from N(0, 0.1) and the published ImageNet covariance a channel moves by about 7
    grey levels (standard deviation). The other common reading, amounts times the eigenvalues of
    colours on 0..1, moves it by 3.2.

    Args:
        image: float32 `[..., 3]`, RGB 0..255.
        amounts: float32 `[3]`, in standard deviations along each axis, largest first.
        covariance: `[3, 3]`, RGB, in squared grey levels.

    Returns:
        float32, shape of `image`, not clipped.
    """
    return image + compute_shift(amounts, covariance)


def compute_shift(amounts, covariance=IMAGENET_COVARIANCE):
    """What `rgb_shift` adds to each pixel: float32 `[3]`, in grey levels."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    axes = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1]  # columns, largest first
    return tf.linalg.matvec(tf.constant(axes, tf.float32), amounts)


ROWS = 64  # of an image that are measured, and up to twice as many


def measure_colors(image):
    """Mean and covariance of an image's colours, of tall images from evenly spread rows.

    Args:
        image: uint8 `[h, w, 3]`.

    Returns:
        mean: float32 `[3]`, RGB 0..255.
        covariance: float32 `[3, 3]`, in squared grey levels.
    """
    # All rows of a photograph would take a third of the time of decoding it, these a tenth. A
    # channel a row, because with the channels innermost the product alone takes as long as
    # decoding.
    h = tf.shape(image)[0]
    # To slice with a step would take longer than all rows.
    rows = tf.gather(image, tf.range(0, h, tf.maximum(h // ROWS, 1)))
    pixels = tf.cast(tf.transpose(tf.reshape(rows, [-1, 3])), tf.float32)
    mean = tf.reduce_mean(pixels, 1)
    pixels -= mean[:, tf.newaxis]  # centred, so that the products lose no digits in float32
    return mean, tf.matmul(pixels, pixels, transpose_b=True) / tf.cast(
        tf.shape(pixels)[1], tf.float32
    )
