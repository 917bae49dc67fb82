"""Rescales images, and crops them.

Every function works eagerly and inside `tf.data`. Rescaling is bilinear and antialiased (PIL's
bilinear), with pixel centers at halves. It runs once, and only for the pixels of the crop.
Orientation tags (EXIF) are not applied, as in Caffe, TensorFlow and torchvision.
"""

import tensorflow as tf

MOST_RESCALED = 5 * 10**7  # pixels of a rescaled image, which a long and narrow image exceeds


def compute_rescaled_size(h, w, scale):
    """Return the size after rescaling.

    The aspect ratio is kept, and the larger side is rounded to the nearest pixel.

    Args:
        h: int scalar, height of the image, in pixels.
        w: int scalar, width of the image, in pixels.
        scale: int scalar, smaller side after rescaling, in pixels.

    Returns:
        `(height, width)`, two int32 scalars. The smaller one is exactly `scale`.
    """
    h, w, scale = (tf.cast(side, tf.int64) for side in (h, w, scale))
    smaller = tf.minimum(h, w)
    return tuple(
        tf.cast((2 * side * scale + smaller) // (2 * smaller), tf.int32) for side in (h, w)
    )


def is_too_narrow(h, w, scale):
    """Return whether an image would have over `MOST_RESCALED` pixels after rescaling.

    Args:
        h: Height of the image, in pixels: int, or int64 scalar.
        w: Width of the image, in pixels: int, or int64 scalar.
        scale: int, smaller side after rescaling, in pixels.

    Returns:
        bool, or bool scalar.
    """
    return (h * scale**2 > MOST_RESCALED * w) | (w * scale**2 > MOST_RESCALED * h)


def check_proportions(h, w, scale, name):
    """Raise a ValueError if an image would have over `MOST_RESCALED` pixels after rescaling.

    Args:
        h: int, height of the image, in pixels.
        w: int, width of the image, in pixels.
        scale: int, smaller side after rescaling, in pixels.
        name: Name of the image, for the message.

    Raises:
        ValueError: The image is too long and narrow.
    """
    if is_too_narrow(h, w, scale):
        rescaled = max(h, w) / min(h, w) * scale**2 / 1e6
        raise ValueError(
            f"{name} is too long and narrow: rescaled to a smaller side of {scale} pixels, it must "
            f"have at most {MOST_RESCALED / 1e6:.0f} megapixels. Received: {w} x {h} pixels, "
            f"{rescaled:,.0f} megapixels when rescaled. Choose a picture closer to a square."
        )


def crop_of_rescaled(image, scale, top, left, crop):
    """Return a square crop of the rescaled image; only its pixels are computed.

    Args:
        image: uint8 `[h, w, 3]`.
        scale: Smaller side after rescaling, in pixels.
        top: Top of the crop in the rescaled image, in pixels.
        left: Left side of the crop in the rescaled image, in pixels.
        crop: Side of the crop, in pixels.

    Returns:
        float32 `[crop, crop, 3]`, not rounded.
    """
    shape = tf.shape(image)
    h, w = shape[0], shape[1]
    new_h, new_w = compute_rescaled_size(h, w, scale)
    return turn_upright(
        resample(image, tf.stack([new_h / h, new_w / w]), tf.stack([top, left]), crop)
    )


def rescale(image, scale, multiple=1):
    """Return the whole image, rescaled to a smaller side of `scale` (Q of section 3.2).

    The center crop of the result is `make_center_view`. Pixels halfway between two gray levels can
    differ by one level.

    Args:
        image: uint8 `[h, w, 3]`.
        scale: Smaller side after rescaling, in pixels.
        multiple: Both sides are rounded to the nearest multiple of this number of pixels; halves
            are rounded up.

    Returns:
        uint8 `[h', w', 3]`, with the sides of `compute_rescaled_size`.
    """
    size = tf.shape(image)[:2]
    new = (
        (tf.stack(compute_rescaled_size(size[0], size[1], scale)) + multiple // 2)
        // multiple
        * multiple
    )
    return to_pixels(turn_upright(resample(image, new / size, [0, 0], (new[0], new[1]))))


def resample(image, factors, corner, crop):
    """Return a crop of the image enlarged by `factors`, with rows and columns exchanged.

    Args:
        image: uint8 `[h, w, 3]`.
        factors: float64 `[2]`, how much larger height and width become.
        corner: `[2]`, top and left of the crop in the enlarged image, in pixels.
        crop: Side of the crop, or its `(height, width)`, in pixels.

    Returns:
        float32 `[width, height * 3]`, a row for each column of the crop. `turn_upright` turns it
        into an image.
    """
    # ScaleAndTranslate could resample both axes at once, to the same bits, but its loop over
    # columns has an inner loop over three channels. With a transposition in between, each pass
    # mixes whole rows: 0.25 ms instead of 1.1 ms for a crop of 224 pixels. Where nothing is
    # enlarged, as with CIFAR's images, the pixels stay the same, and a slice is cheaper.
    height, width = crop if isinstance(crop, tuple) else (crop, crop)
    shape = tf.shape(image)
    w = shape[1]
    top_left = tf.cast(corner, tf.int32)
    inside = (top_left >= 0) & (top_left + tf.stack([height, width]) <= shape[:2])
    as_they_are = (
        tf.equal(factors, 1)
        & inside
        & tf.equal(tf.cast(top_left, tf.float64), tf.cast(corner, tf.float64))
    )

    def cut():
        part = tf.slice(image, tf.concat([top_left, [0]], 0), tf.stack([height, width, 3]))
        return tf.reshape(tf.cast(tf.transpose(part, [1, 0, 2]), tf.float32), [width, 3 * height])

    def mixed():
        scale, start = tf.cast(factors, tf.float32), -tf.cast(corner, tf.float32)
        rows = _resample_rows(tf.reshape(image, [-1, 3 * w]), scale[0], start[0], height)
        turned = tf.transpose(tf.reshape(rows, [height, w, 3]), [1, 0, 2])
        return _resample_rows(tf.reshape(turned, [w, 3 * height]), scale[1], start[1], width)

    return tf.cond(tf.reduce_all(as_they_are), cut, mixed)


def _resample_rows(rows, factor, start, n):
    out = tf.raw_ops.ScaleAndTranslate(
        images=rows[tf.newaxis, :, tf.newaxis],
        size=[n, 1],
        scale=tf.stack([factor, 1.0]),
        translation=tf.stack([start, 0.0]),
        kernel_type="triangle",
        antialias=True,
    )
    return tf.reshape(out, [n, tf.shape(rows)[1]])


def turn_upright(columns):
    """Return the image `[h, w, 3]` of what `resample` returns, `[w, h * 3]`."""
    width = columns.shape[0] or tf.shape(columns)[0]
    return tf.transpose(tf.reshape(columns, [width, -1, 3]), [1, 0, 2])


def to_pixels(image, shift=0.0):
    """Return the image plus the shift as uint8; halves are rounded up, and 0..255 is the range."""
    # Three passes over the pixels; tf.round and tf.minimum would make five.
    return tf.cast(
        tf.raw_ops.ClipByValue(t=image + (shift + 0.5), clip_value_min=0.0, clip_value_max=255.0),
        tf.uint8,
    )


@tf.autograph.experimental.do_not_convert
def make_center_view(image, crop=224, scale=256, torchvision=False):
    """Return the center crop of the rescaled image.

    Args:
        image: uint8 `[h, w, 3]`.
        crop: Side of the crop, in pixels.
        scale: Q, the smaller side after rescaling, in pixels; at least `crop`.
        torchvision: If True, use the geometry of torchvision's `transforms.Resize(scale)` and
            `CenterCrop(crop)` of a PIL image. The longer side is truncated, not rounded. The corner
            is half the remainder, rounded half to even. PIL also rounds between its two passes,
            so pixels can differ from torchvision's by one gray level.

    Returns:
        uint8 `[crop, crop, 3]`.

    Raises:
        ValueError: `scale` is below `crop`.
    """
    if not crop <= scale:
        raise ValueError(
            f"scale must be at least the crop's side. Received: scale={scale}, crop={crop}. "
            f"Try scale={round(crop * 8 / 7)}."
        )
    size = tf.shape(image)[:2]
    if torchvision:
        new = scale * size // tf.reduce_min(size)
        corner = tf.cast(tf.round((new - crop) / 2), tf.int32)
    else:
        new = tf.stack(compute_rescaled_size(size[0], size[1], scale))
        corner = (new - crop) // 2
    return to_pixels(turn_upright(resample(image, new / size, corner, crop)))
