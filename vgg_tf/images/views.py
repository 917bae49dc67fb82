"""Random views of an image: rescale to S, crop, flip, RGB shift (section 3.1).

Every function works eagerly and inside `tf.data`. All that is random is a function of a seed.
"""

import tensorflow as tf

from vgg_tf.images.augmentation import View
from vgg_tf.images.colors import IMAGENET_COVARIANCE, compute_shift
from vgg_tf.images.decoding import decode, is_jpeg
from vgg_tf.images.rescaling import compute_rescaled_size, resample, to_pixels, turn_upright


# Nothing in it to convert for tf.data, which would take a second.
@tf.autograph.experimental.do_not_convert
def make_train_view(contents, seed, view=View()):
    """Make one random view of an encoded image; of a JPEG only the crop's window is decoded.

    Args:
        contents: scalar string, the encoded image.
        seed: int64 `[2]`; the same seed gives the same view.
        view: the `augmentation.View`.

    Returns:
        uint8 `[crop, crop, 3]`, RGB 0..255.
    """
    contents = tf.convert_to_tensor(contents)
    jpeg = is_jpeg(contents)

    def whole():
        image = decode(contents)
        return image, tf.shape(image)[:2]

    def pixels(corner, crop, factors):
        return tf.cond(
            jpeg, lambda: _window(contents, shape, corner, crop, factors), lambda: (image, corner)
        )

    # What follows the decoding is traced once for both, which halves the time to trace it and to
    # start a pass.
    image, shape = tf.cond(
        jpeg, lambda: (tf.zeros([0, 0, 3], tf.uint8), tf.io.extract_jpeg_shape(contents)[:2]), whole
    )
    return _train_view(pixels, shape, seed, view)


@tf.autograph.experimental.do_not_convert
def make_train_view_of_pixels(image, seed, view=View()):
    """Make `make_train_view` of a decoded image: uint8 `[h, w, 3]` to uint8 `[crop, crop, 3]`."""

    def pixels(corner, crop, factors):
        return image, corner

    return _train_view(pixels, tf.shape(image)[:2], seed, view)


def locate_view(seed, shape, view=View()):
    """Return where the view of a seed is in the image, for boxes that follow its pixels.

    Args:
        seed: int64 `[2]`.
        shape: int32, height and width of the image; more numbers may follow.
        view: the `augmentation.View`.

    Returns:
        size: int32 `[2]`, height and width of the rescaled image, in pixels.
        corner: int32 `[2]`, top and left of the crop in it, in pixels; with padding the crop may
            reach beyond.
        mirrored: scalar bool.
    """
    low, high = view.scale
    chances = draw_numbers(seed)
    size = tf.stack(compute_rescaled_size(shape[0], shape[1], low + _up_to(chances[0], high - low)))
    corner, flipped = place(chances, size - view.crop + 2 * view.padding, view.flip)
    return size, corner - view.padding, flipped


def draw_numbers(seed):
    """What a view hangs on: float64 `[4]` in [0, 1), for S, top, left and the flip, of a seed
    `[2]`.
    """
    return tf.random.stateless_uniform([4], tf.cast(seed, tf.int64), dtype=tf.float64)


def place(chances, free, flip):
    """Corner of the crop, int32 `[..., 2]`, of 0 .. free pixels, and whether it is mirrored, by
    `draw_numbers`, `[..., 4]`.
    """
    return _up_to(chances[..., 1:3], free), chances[..., 3] < (0.5 if flip else 0.0)


def draw_cutout_center(seed, crop):
    """The pixel around which a view of this side is cut out, int32 `[2]`, `(y, x)`."""
    return tf.random.stateless_uniform([2], tf.cast(seed, tf.int64) + 2, 0, crop, tf.int32)


def _up_to(draw, n):
    """Whole numbers of 0 .. n, evenly, of draws in [0, 1)."""
    return tf.minimum(tf.cast(draw * tf.cast(n + 1, tf.float64), tf.int32), n)


def _window(jpeg, shape, corner, crop, factors):
    """Decode what the crop's pixels are mixed from; the image, and the corner of the crop in it,
    float64 `[2]`.
    """
    # A pixel reaches max(1, 1 / factor) source pixels to each side. Two more keep the chroma
    # upsampling of the window's edge out of the crop.
    reach = tf.maximum(1 / factors, 1) + 2
    first = tf.cast(tf.maximum(tf.floor(corner / factors - reach), 0), tf.int32)
    last = tf.cast(tf.math.ceil((corner + crop) / factors + reach), tf.int32)
    extent = tf.minimum(last, shape) - first
    image = tf.image.decode_and_crop_jpeg(
        jpeg, tf.concat([first, extent], 0), channels=3, dct_method="INTEGER_ACCURATE"
    )
    return image, corner - tf.cast(first, tf.float64) * factors


def _train_view(pixels, shape, seed, view):
    """Make the view of an image of this shape.

    `pixels(corner, crop, factors)` gives pixels of the image, and the corner in them.
    """
    crop = view.crop
    size, drawn, flipped = locate_view(seed, shape, view)
    seed = tf.cast(seed, tf.int64)
    # What is mirrored around lies in the nearest crop inside.
    clamped = tf.clip_by_value(drawn, 0, size - crop)
    factors = size / shape
    image, corner = pixels(tf.cast(clamped, tf.float64), crop, factors)
    # The view lies on its side until the end: its columns are then reversed as whole rows, and the
    # shift is one row.
    columns = resample(image, factors, corner, crop)
    columns = to_pixels(columns, tf.tile(_color_shift(seed, view), [crop]))
    order = tf.range(crop)
    beyond = drawn - clamped
    if view.flip or view.padding:
        across = tf.where(flipped, crop - 1 - order, order)
        columns = tf.gather(columns, mirror_indices(across + beyond[1], crop))
    image = turn_upright(columns)
    if view.padding:
        image = tf.gather(image, mirror_indices(order + beyond[0], crop))
    if view.cutout:
        image = tf.ensure_shape(image, [crop, crop, 3])
        image = cut_out(image, draw_cutout_center(seed, crop), view.cutout)
    return tf.ensure_shape(image, [crop, crop, 3])


def _color_shift(seed, view):
    """Draw the RGB shift of a seed, float32 `[3]`, in grey levels."""
    if not view.shift:
        return tf.zeros([3])
    covariance = IMAGENET_COVARIANCE if view.covariance is None else view.covariance
    return compute_shift(tf.random.stateless_normal([3], seed + 1, stddev=view.shift), covariance)


def mirror_indices(indices, n):
    """Indices into 0 .. n-1, mirrored at the first and at the last."""
    return n - 1 - tf.abs(n - 1 - tf.abs(indices))


def cut_out(view, centre, side):
    """Views, uint8 `[..., n, n, 3]`, with their mean colour in a square of this side around the
    centre `(y, x)`, `[..., 2]`.
    """
    offsets = tf.range(view.shape[-2]) - centre[..., tf.newaxis]
    inside = tf.abs(2 * offsets + 1 - side % 2) < side
    square = inside[..., 0, :, tf.newaxis] & inside[..., 1, tf.newaxis, :]
    mean = tf.round(tf.reduce_mean(tf.cast(view, tf.float32), [-3, -2], keepdims=True))
    return tf.where(square[..., tf.newaxis], tf.cast(mean, tf.uint8), view)
