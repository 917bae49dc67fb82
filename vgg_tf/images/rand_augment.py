"""RandAugment: two random operations on a view (Cubuk et al. 2020).

The fourteen operations are those of the paper. All but `identity`, `auto_contrast` and `equalize`
have a strength, which is 0 for an unchanged view. The ranges are those of torchvision, where a
larger magnitude always changes more:

| operation | at magnitude 10 |
| --- | --- |
| `rotate` | 30 degrees, to either side |
| `shear_x`, `shear_y` | 0.3 pixels per pixel, to either side |
| `translate_x`, `translate_y` | 45 % of the side, to either side |
| `brightness`, `color`, `contrast`, `sharpness` | Pillow's factors 0.1 or 1.9 |
| `posterize` | 4 bits are kept |
| `solarize` | all levels are inverted; at magnitude 5 those from 128 |

Geometric operations move about the center, interpolate, and fill with `FILL`. Keras has a layer of
this name. It applies the same operations to all images of a batch, and its random numbers depend
on the calls before, so an interrupted run would continue with other views.
"""

import numpy as np
import tensorflow as tf

COUNT = 2  # operations on each view
FILL = 128  # gray level outside the view, as in the paper's code
LARGEST = 10.0  # magnitude
_STREAM = 4  # separates the random numbers from those of crop, RGB shift and cutout


@tf.autograph.experimental.do_not_convert
def rand_augment(view, seed, magnitude):
    """Apply two random operations to a view.

    Args:
        view: uint8 `[n, n, 3]`, RGB 0..255, of static shape.
        seed: int64 `[2]`, that of the view.
        magnitude: float, 0..10.

    Returns:
        uint8 `[n, n, 3]`, RGB 0..255.
    """
    numbers, signs = draw_operations(seed)
    strengths = signs * (magnitude / LARGEST)
    # A loop has one graph for both rounds, so each pass starts sooner.
    _, view = tf.while_loop(
        lambda i, view: i < COUNT,
        lambda i, view: (i + 1, _apply(view, numbers[i], strengths[i])),
        (0, view),
    )
    return view


def draw_operations(seed):
    """Draw the operations for the view of a seed.

    Args:
        seed: Integer `[2]`.

    Returns:
        numbers: int32 `[2]`, positions in `OPERATIONS`, drawn with replacement.
        signs: float32 `[2]`, -1 or 1, for operations that go to either side.
    """
    seed = tf.random.fold_in(tf.cast(seed, tf.int64), tf.constant(_STREAM, tf.int64))
    chances = tf.random.stateless_uniform([2, COUNT], seed, dtype=tf.float64)
    numbers = tf.cast(chances[0] * len(OPERATIONS), tf.int32)
    return numbers, tf.where(chances[1] < 0.5, -1.0, 1.0)


def _apply(view, number, strength):
    """Apply the operation of this number, with a strength of -1 to 1."""
    made = tf.switch_case(
        number, [lambda make=make: make(view, strength) for make in OPERATIONS.values()]
    )
    return tf.ensure_shape(made, view.shape)


def _identity(view, strength):
    return tf.identity(view)


def _auto_contrast(view, strength):
    """Stretch the levels of each channel to 0..255, as `PIL.ImageOps.autocontrast`."""
    low, high = (
        tf.cast(reduce(view, [0, 1]), tf.float64) for reduce in (tf.reduce_min, tf.reduce_max)
    )
    factor, offset = (
        _along_rows(view, values)
        for values in (255 / tf.maximum(high - low, 1), -low * (255 / tf.maximum(high - low, 1)))
    )
    rows = tf.reshape(view, [view.shape[0], -1])
    stretched = tf.floor(tf.cast(rows, tf.float64) * factor + offset)
    stretched = tf.cast(tf.clip_by_value(stretched, 0, 255), tf.uint8)
    return tf.reshape(tf.where(_along_rows(view, high > low), stretched, rows), view.shape)


def _along_rows(view, values):
    """Repeat the values of the channels, `[3]`, along a row of the view."""
    return tf.tile(values, view.shape[1:2])


def _equalize(view, strength):
    """Make the levels of each channel equally frequent, as `PIL.ImageOps.equalize`."""
    rows = tf.reshape(tf.cast(view, tf.int32), [view.shape[0], -1])
    rows += _along_rows(view, tf.constant([0, 256, 512]))
    counts = tf.math.bincount(tf.reshape(rows, [-1]), minlength=768, maxlength=768)
    counts = tf.reshape(counts, [3, 256])
    highest = tf.cast(tf.reduce_max(view, [0, 1]), tf.int32)
    total = tf.reduce_sum(counts, 1)
    step = ((total - tf.gather(counts, highest, batch_dims=1)) // 255)[:, tf.newaxis]
    below = step // 2 + tf.cumsum(counts, 1, exclusive=True)
    table = tf.where(step > 0, below // tf.maximum(step, 1), tf.range(256))
    table = tf.cast(tf.minimum(table, 255), tf.uint8)
    return tf.reshape(tf.gather(tf.reshape(table, [-1]), rows), view.shape)


def _solarize(view, strength):
    """Invert the levels from a threshold on, as `PIL.ImageOps.solarize`."""
    threshold = tf.math.ceil(256 * (1 - tf.abs(strength)))
    bits = tf.where(threshold < 256, tf.constant(255, tf.uint8), 0)  # 256 inverts no level
    inverted = tf.cast(view >= tf.cast(tf.minimum(threshold, 255), tf.uint8), tf.uint8)
    return tf.bitwise.bitwise_xor(view, inverted * bits)


def _posterize(view, strength):
    """Keep the upper bits of the levels, as `PIL.ImageOps.posterize`."""
    dropped = tf.cast(tf.round(4 * tf.abs(strength)), tf.uint8)
    return tf.bitwise.bitwise_and(view, tf.bitwise.left_shift(tf.constant(255, tf.uint8), dropped))


def _brightness(view, strength):
    return _blend(view, tf.constant(0), strength)


def _color(view, strength):
    return _blend(view, tf.stack([_to_gray(view)] * 3, -1), strength)


def _contrast(view, strength):
    mean = tf.reduce_mean(tf.cast(_to_gray(view), tf.float64))
    return _blend(view, tf.floor(mean + 0.5), strength)


def _sharpness(view, strength):
    """Blend with the view smoothed by the kernel of `PIL.ImageFilter.SMOOTH`, borders apart."""
    levels = tf.reshape(tf.cast(view, tf.float32), [view.shape[0], -1])  # fast slices
    around = tf.pad(levels, [[1, 1], [3, 3]])
    rows = around[:-2] + around[1:-1] + around[2:]
    sums = rows[:, :-6] + rows[:, 3:-3] + rows[:, 6:] + 4 * levels
    inside = np.zeros(levels.shape, bool)
    inside[1:-1, 3:-3] = True
    smooth = tf.where(inside, tf.floor((sums + 6) / 13), levels)
    return _blend(view, tf.reshape(smooth, view.shape), strength)


def _to_gray(view):
    """Return Pillow's gray levels, int32 `[n, n]`."""
    red, green, blue = tf.unstack(tf.cast(view, tf.int32), axis=-1)
    return tf.bitwise.right_shift(19595 * red + 38470 * green + 7471 * blue + 32768, 16)


def _blend(view, other, strength):
    """Move a view towards another picture or away from it, as `PIL.ImageEnhance`."""
    other, levels = tf.cast(other, tf.float32), tf.cast(view, tf.float32)
    return _to_levels(other + (1 + 0.9 * strength) * (levels - other))


def _to_levels(values):
    return tf.cast(tf.round(tf.clip_by_value(values, 0, 255)), tf.uint8)


def _rotate(view, strength):
    """Turn a view counterclockwise by up to 30 degrees."""
    angle = strength * np.float32(np.radians(30))
    return _move(view, tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle))


def _shear_x(view, strength):
    return _move(view, 1.0, 0.3 * strength, 0.0, 1.0)


def _shear_y(view, strength):
    return _move(view, 1.0, 0.0, 0.3 * strength, 1.0)


def _translate_x(view, strength):
    return _move(view, 1.0, 0.0, 0.0, 1.0, right=150 / 331 * view.shape[1] * strength)


def _translate_y(view, strength):
    return _move(view, 1.0, 0.0, 0.0, 1.0, down=150 / 331 * view.shape[0] * strength)


def _move(view, xx, xy, yx, yy, right=0.0, down=0.0):
    """Return the view whose pixel (x, y) from the center is that of (xx x + xy y + right, ...)."""
    center_y, center_x = ((side - 1) / 2 for side in view.shape[:2])
    right = right + center_x - xx * center_x - xy * center_y
    down = down + center_y - yx * center_x - yy * center_y
    row = [xx, xy, right, yx, yy, down, 0.0, 0.0]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(view, tf.float32)[tf.newaxis],
        transforms=[[tf.cast(value, tf.float32) for value in row]],
        output_shape=view.shape[:2],
        fill_value=float(FILL),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return _to_levels(moved[0])


OPERATIONS = {
    "identity": _identity,
    "auto_contrast": _auto_contrast,
    "equalize": _equalize,
    "rotate": _rotate,
    "solarize": _solarize,
    "color": _color,
    "posterize": _posterize,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
}
