"""The RGB shift of section 3.1, and the mean and covariance of one image's colors.

The shift moves colors along the principal axes of the training images' colors.
"""

import numpy as np
import tensorflow as tf

# Color covariance of ImageNet, RGB, in squared gray levels. These eigenvalues (on 0..1) and
# eigenvectors (columns) come from fb.resnet.torch; other reproductions of AlexNet copy them
# (paper.md 2c).
_EIGENVALUES = np.array([0.2175, 0.0188, 0.0045]) * 255**2
_EIGENVECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
IMAGENET_COVARIANCE = _EIGENVECTORS @ np.diag(_EIGENVALUES) @ _EIGENVECTORS.T


def rgb_shift(image, amounts, covariance=IMAGENET_COVARIANCE):
    """Shift all pixels along the principal axes of the colors.

    This is AlexNet's augmentation, which section 3.1 keeps. The shift is
    `sum_i amounts_i * sqrt(eigenvalue_i) * eigenvector_i` of the color covariance, as in
    Krizhevsky's code. It does not depend on the unit of the gray levels. With amounts from
    N(0, 0.1) and ImageNet's covariance, a channel moves by about 7 gray levels (standard
    deviation). Another common version uses the eigenvalues instead of their roots, with colors on
    0..1. It moves a channel by 3.2 gray levels.

    Args:
        image: float32 `[..., 3]`, RGB 0..255.
        amounts: float32 `[3]`, in standard deviations along each axis, largest axis first.
        covariance: `[3, 3]`, RGB, in squared gray levels.

    Returns:
        float32, with the shape of `image`; the values are not clipped.
    """
    return image + compute_shift(amounts, covariance)


def compute_shift(amounts, covariance=IMAGENET_COVARIANCE):
    """Return what `rgb_shift` adds to each pixel: float32 `[3]`, RGB, in gray levels."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    axes = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1]  # columns, largest first
    return tf.linalg.matvec(tf.constant(axes, tf.float32), amounts)


ROWS = 64  # rows of an image to measure; up to twice as many are taken


def measure_colors(image):
    """Return the mean and the covariance of an image's colors.

    Tall images are measured on evenly spaced rows.

    Args:
        image: uint8 `[h, w, 3]`, RGB.

    Returns:
        mean: float32 `[3]`, RGB 0..255.
        covariance: float32 `[3, 3]`, RGB, in squared gray levels.
    """
    # Measuring all rows of a photograph takes a third of the time of decoding it, these rows take a
    # tenth. Each channel becomes a row, because with channels innermost the matrix product alone
    # takes as long as decoding.
    h = tf.shape(image)[0]
    # A slice with a step would take longer than using all rows.
    rows = tf.gather(image, tf.range(0, h, tf.maximum(h // ROWS, 1)))
    pixels = tf.cast(tf.transpose(tf.reshape(rows, [-1, 3])), tf.float32)
    mean = tf.reduce_mean(pixels, 1)
    pixels -= mean[:, tf.newaxis]  # keeps the digits of the products in float32
    return mean, tf.matmul(pixels, pixels, transpose_b=True) / tf.cast(
        tf.shape(pixels)[1], tf.float32
    )
