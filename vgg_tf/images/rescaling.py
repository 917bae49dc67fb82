"""Rescale images, crop what is rescaled, and take the center crop.

Every function works eagerly and inside `tf.data`. Rescaling is bilinear and antialiased (PIL's
bilinear), with pixel centers at halves. It is done once, and only for the pixels of the crop.
Orientation tags (EXIF) are not applied, as in Caffe, TensorFlow and torchvision: images are seen as
they are stored.
"""

import tensorflow as tf


def compute_rescaled_size(h, w, scale):
    """Height and width after the smaller side has become `scale` pixels, proportions kept; rounded
    to nearest.

    Args:
        h, w: int scalars, pixels.
        scale: int scalar, pixels.

    Returns:
        Two int32 scalars; the smaller is exactly `scale`.
    """
    h, w, scale = (tf.cast(side, tf.int64) for side in (h, w, scale))
    smaller = tf.minimum(h, w)
    return tuple(
        tf.cast((2 * side * scale + smaller) // (2 * smaller), tf.int32) for side in (h, w)
    )


def crop_of_rescaled(image, scale, top, left, crop):
    """Cut a square crop out of the rescaled image, computing no pixel outside of it.

    Args:
        image: uint8 `[h, w, 3]`.
        scale: smaller side after rescaling, in pixels.
        top, left: corner of the crop in the rescaled image, in pixels.
        crop: side of the crop, in pixels.

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
    """The whole image, rescaled so that its smaller side has `scale` pixels (Q of section 3.2).

    Args:
        image: uint8 `[h, w, 3]`.
        scale: pixels.
        multiple: round both sides to multiples of so many pixels, upwards from the half.

    Returns:
        uint8 `[h', w', 3]`, with the sides of `compute_rescaled_size`; its centre crop is
        `make_center_view`, but for a grey level where a pixel lies half between two.
    """
    size = tf.shape(image)[:2]
    new = (
        (tf.stack(compute_rescaled_size(size[0], size[1], scale)) + multiple // 2)
        // multiple
        * multiple
    )
    return to_pixels(turn_upright(resample(image, new / size, [0, 0], (new[0], new[1]))))


def resample(image, factors, corner, crop):
    """The crop at `corner` of the image enlarged by `factors`, both `[2]`, in pixels of the
    enlarged image.

    `crop` is its side, or its height and width.

    ScaleAndTranslate would do both axes at once and to the same bits, but its loop over columns has
    an inner one over three channels. Turned in between, each pass mixes whole rows: 0.25 ms in
    place of 1.1 for a crop of 224 pixels. Where nothing is enlarged, as with CIFAR's images, it
    would give the pixels as they are, and they are cut out instead.

    Returns:
        float32 `[width, height * 3]`, a row for each column of the crop, as `turn_upright` takes
        it.
    """
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
    """From a row for each column, `[w, h * 3]`, to `[h, w, 3]`."""
    width = columns.shape[0] or tf.shape(columns)[0]
    return tf.transpose(tf.reshape(columns, [width, -1, 3]), [1, 0, 2])


def to_pixels(image, shift=0.0):
    """Add the shift and round to nearest, halves upwards: three passes over the pixels, where
    round and minimum make five.
    """
    return tf.cast(
        tf.raw_ops.ClipByValue(t=image + (shift + 0.5), clip_value_min=0.0, clip_value_max=255.0),
        tf.uint8,
    )


@tf.autograph.experimental.do_not_convert
def make_center_view(image, crop=224, scale=256, torchvision=False):
    """The centre crop of the rescaled image.

    Args:
        image: uint8 `[h, w, 3]`.
        crop: side of the crop, in pixels.
        scale: Q, the smaller side after rescaling, in pixels.
        torchvision: what networks trained by torchvision were scored with
            (`transforms.Resize(scale)` and `CenterCrop(crop)` of a PIL image): the longer side is
            cut down to a whole number of pixels, not rounded, and the corner is half the rest,
            rounded half to even. The resize is the same but for PIL's rounding to whole levels
            between its two passes, which moves a pixel by one grey level at most.

    Returns:
        uint8 `[crop, crop, 3]`.
    """
    if not crop <= scale:
        raise ValueError(
            f"scale must be at least the crop's side. Received: scale={scale}, crop={crop}."
        )
    size = tf.shape(image)[:2]
    if torchvision:
        new = scale * size // tf.reduce_min(size)
        corner = tf.cast(tf.round((new - crop) / 2), tf.int32)
    else:
        new = tf.stack(compute_rescaled_size(size[0], size[1], scale))
        corner = (new - crop) // 2
    return to_pixels(turn_upright(resample(image, new / size, corner, crop)))
