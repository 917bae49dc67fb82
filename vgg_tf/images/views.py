"""Random views of an image: rescaling to S, crop, flip, RGB shift (section 3.1), RandAugment.

Every function works eagerly and inside `tf.data`. All random numbers are functions of a seed.
"""

import tensorflow as tf

from vgg_tf.images.augmentation import View
from vgg_tf.images.colors import IMAGENET_COVARIANCE, compute_shift
from vgg_tf.images.decoding import decode, has_windows
from vgg_tf.images.rand_augment import rand_augment
from vgg_tf.images.rescaling import compute_rescaled_size, resample, to_pixels, turn_upright


# AutoGraph would take a second and has nothing to convert here.
@tf.autograph.experimental.do_not_convert
def make_train_view(contents, seed, view=View()):
    """Return a random view of an encoded image.

    Of a JPEG only the window of the crop is decoded.

    Args:
        contents: Scalar string or bytes, the encoded image.
        seed: int64 `[2]`. The same seed gives the same view.
        view: The `augmentation.View`.

    Returns:
        uint8 `[crop, crop, 3]`, RGB 0..255.
    """
    contents = tf.convert_to_tensor(contents)
    jpeg = has_windows(contents)

    def whole():
        image = decode(contents)
        return image, tf.shape(image)[:2]

    def pixels(corner, crop, factors):
        return tf.cond(
            jpeg, lambda: _window(contents, shape, corner, crop, factors), lambda: (image, corner)
        )

    # JPEGs and other formats share the graph of all that follows the decoding. This halves the time
    # to trace it and to start a pass.
    image, shape = tf.cond(
        jpeg, lambda: (tf.zeros([0, 0, 3], tf.uint8), tf.io.extract_jpeg_shape(contents)[:2]), whole
    )
    return _train_view(pixels, shape, seed, view)


@tf.autograph.experimental.do_not_convert
def make_train_view_of_pixels(image, seed, view=View()):
    """Return a random view of a decoded image.

    Args:
        image: uint8 `[h, w, 3]`, RGB 0..255.
        seed: int64 `[2]`. The same seed gives the same view.
        view: The `augmentation.View`.

    Returns:
        uint8 `[crop, crop, 3]`, RGB 0..255.
    """

    def pixels(corner, crop, factors):
        return image, corner

    return _train_view(pixels, tf.shape(image)[:2], seed, view)


def locate_view(seed, shape, view=View()):
    """Return where the view of a seed is in the image, so that boxes can follow its pixels.

    Args:
        seed: int64 `[2]`, as for `make_train_view`.
        shape: int32 vector, height and width of the image, in pixels; further numbers are ignored.
        view: The `augmentation.View`.

    Returns:
        size: int32 `[2]`, height and width of the rescaled image, in pixels.
        corner: int32 `[2]`, top and left of the crop in the rescaled image, in pixels. With
            padding the crop may extend beyond that image.
        mirrored: bool scalar.
    """
    low, high = view.scale
    chances = draw_numbers(seed)
    size = tf.stack(compute_rescaled_size(shape[0], shape[1], low + _up_to(chances[0], high - low)))
    corner, flipped = place(chances, size - view.crop + 2 * view.padding, view.flip)
    return size, corner - view.padding, flipped


def draw_numbers(seed):
    """Draw the random numbers of a view.

    Args:
        seed: Integer `[2]`.

    Returns:
        float64 `[4]` in [0, 1), for S, top, left and the flip.
    """
    return tf.random.stateless_uniform([4], tf.cast(seed, tf.int64), dtype=tf.float64)


def place(chances, free, flip):
    """Return the corner of a crop, and whether the crop is mirrored.

    Args:
        chances: float64 `[..., 4]`, from `draw_numbers`.
        free: int32 scalar or `[2]`, the largest top and left, in pixels.
        flip: If True, half of the crops are mirrored.

    Returns:
        corner: int32 `[..., 2]`, top and left, from 0 to `free`, in pixels.
        mirrored: bool `[...]`.
    """
    return _up_to(chances[..., 1:3], free), chances[..., 3] < (0.5 if flip else 0.0)


def draw_cutout_center(seed, crop):
    """Draw the center `(y, x)` of the cutout square in a view of side `crop`, int32 `[2]`."""
    return tf.random.stateless_uniform([2], tf.cast(seed, tf.int64) + 2, 0, crop, tf.int32)


def _up_to(draw, n):
    """Return uniform integers from 0 to n, from draws in [0, 1)."""
    return tf.minimum(tf.cast(draw * tf.cast(n + 1, tf.float64), tf.int32), n)


def _window(jpeg, shape, corner, crop, factors):
    """Return the part of a JPEG that the crop needs, and the corner of the crop in that part."""
    # A pixel depends on max(1, 1 / factor) source pixels to each side. Two more pixels keep the
    # chroma upsampling of the window's edge out of the crop.
    reach = tf.maximum(1 / factors, 1) + 2
    first = tf.cast(tf.maximum(tf.floor(corner / factors - reach), 0), tf.int32)
    last = tf.cast(tf.math.ceil((corner + crop) / factors + reach), tf.int32)
    extent = tf.minimum(last, shape) - first
    image = tf.image.decode_and_crop_jpeg(
        jpeg, tf.concat([first, extent], 0), channels=3, dct_method="INTEGER_ACCURATE"
    )
    return image, corner - tf.cast(first, tf.float64) * factors


def _train_view(pixels, shape, seed, view):
    """Return the view of an image of this shape.

    Args:
        pixels: Function of corner, crop and factors that returns pixels of the image, and the
            corner of the crop in these pixels.
        shape: int32 vector, height and width of the image, in pixels.
        seed: Integer `[2]`.
        view: The `augmentation.View`.

    Returns:
        uint8 `[crop, crop, 3]`.
    """
    crop = view.crop
    size, drawn, flipped = locate_view(seed, shape, view)
    seed = tf.cast(seed, tf.int64)
    # The mirrored border repeats pixels of the nearest crop inside the image.
    clamped = tf.clip_by_value(drawn, 0, size - crop)
    factors = size / shape
    image, corner = pixels(tf.cast(clamped, tf.float64), crop, factors)
    # Rows and columns stay exchanged until the end. So the flip reorders whole rows, and the RGB
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
    if view.rand_augment:
        image = tf.ensure_shape(image, [crop, crop, 3])
        image = rand_augment(image, seed, view.rand_augment)
    if view.cutout:
        image = tf.ensure_shape(image, [crop, crop, 3])
        image = cut_out(image, draw_cutout_center(seed, crop), view.cutout)
    return tf.ensure_shape(image, [crop, crop, 3])


def _color_shift(seed, view):
    """Draw the RGB shift of a seed, float32 `[3]`, in gray levels."""
    if not view.shift:
        return tf.zeros([3])
    covariance = IMAGENET_COVARIANCE if view.covariance is None else view.covariance
    return compute_shift(tf.random.stateless_normal([3], seed + 1, stddev=view.shift), covariance)


def mirror_indices(indices, n):
    """Return indices mirrored into 0 .. n-1, without repeating the first and the last."""
    return n - 1 - tf.abs(n - 1 - tf.abs(indices))


def cut_out(view, center, side):
    """Fill a square of a view, or of each view of a batch, with the view's mean color.

    Args:
        view: uint8 `[..., n, n, 3]`.
        center: int32 `[..., 2]`, center `(y, x)` of the square, in pixels.
        side: Side of the square, in pixels. The square is clipped to the view.

    Returns:
        uint8, with the shape of `view`.
    """
    offsets = tf.range(view.shape[-2]) - center[..., tf.newaxis]
    inside = tf.abs(2 * offsets + 1 - side % 2) < side
    square = inside[..., 0, :, tf.newaxis] & inside[..., 1, tf.newaxis, :]
    mean = tf.round(tf.reduce_mean(tf.cast(view, tf.float32), [-3, -2], keepdims=True))
    return tf.where(square[..., tf.newaxis], tf.cast(mean, tf.uint8), view)
