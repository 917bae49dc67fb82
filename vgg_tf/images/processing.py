"""One image file, ready for the network, for `tf.data` pipelines of your own."""

import tensorflow as tf

from vgg_tf.images.augmentation import View
from vgg_tf.images.colors import IMAGENET_COVARIANCE
from vgg_tf.images.decoding import PNG, decode, is_bmp, is_jpeg, make_key
from vgg_tf.images.rescaling import make_center_view
from vgg_tf.images.views import make_train_view
from vgg_tf.runtime.passes import draw_fresh_seed


@tf.autograph.experimental.do_not_convert
def process_path(
    path,
    class_names,
    crop=224,
    scale=256,
    *,
    training=True,
    seed=None,
    flip=True,
    shift=0.1,
    covariance=IMAGENET_COVARIANCE,
    padding=0,
    cutout=0,
    **old,
):
    """Read one image file, ready for the network.

    Cache before the map, never after: a cache after it repeats the views of the first pass.

    Example:
        paths.map(lambda path: process_path(path, class_names))  # new views in each pass

        # New views in each pass, the same ones each time the program runs.
        seeds = tf.data.Dataset.random(seed=0, rerandomize_each_iteration=True)
        tf.data.Dataset.zip(paths, seeds).map(
            lambda path, seed: process_path(path, class_names, seed=seed)
        )

    Args:
        path: scalar string, `.../<class name>/<file>`.
        class_names: sequence of class names; the label is the position of the file's folder in it.
        crop: side of the square crop, in pixels.
        scale: smaller side after rescaling, in pixels, or `(low, high)` to draw one per image
            (section 3.1); without `training` the middle of them is taken (section 4.1).
        training: a random view (crop, flip, RGB shift), else the centre crop.
        seed: None: a new view at each call, so in each pass over a dataset. An int or an integer
            scalar tensor fixes the view of a file, together with its bytes; the number of the epoch
            gives the pixels of `load_dataset(source, epoch=seed, seed=0)`.
        flip, shift, covariance, padding, cutout: as for `augmentation.View`.

    Returns:
        image: uint8 `[crop, crop, 3]`, RGB 0..255.
        label: int64 scalar.

    Raises:
        InvalidArgumentError: the folder is not in `class_names`, or the file is no image: the
            message names the file. A damaged image gets the message of TensorFlow's decoder, which
            names none.
        TypeError: arguments of an older form.
    """
    if unknown := sorted(set(old) - {"cut", "S", "max_delta"}):
        raise TypeError(f"process_path() got an unexpected keyword argument {unknown[0]!r}")
    if old:
        raise TypeError(
            "process_path() takes crop= for cut=, scale= for S=, and shift= (a shift of the "
            f"colours) for max_delta= (a shift of the hue). Received: {', '.join(old)}."
        )
    view = View(crop, scale, flip, shift, covariance, padding, cutout)
    contents, label = _read_labeled(tf.convert_to_tensor(path), class_names)
    if training:
        pair = tf.stack(
            [make_key(contents), draw_fresh_seed() if seed is None else tf.cast(seed, tf.int64)]
        )
        return make_train_view(contents, pair, view), label
    return make_center_view(decode(contents), view.crop, view.center_scale), label


def _read_labeled(path, class_names):
    """Read a file and its label, with the errors of `process_path`."""
    folder = tf.strings.split(path, "/")[-2]
    matches = tf.equal(tf.constant(list(class_names)), folder)
    contents = tf.io.read_file(path)
    known = tf.debugging.Assert(tf.reduce_any(matches), ["The folder is not in class_names:", path])
    start = tf.strings.substr(contents, 0, 4)
    is_image = (
        is_jpeg(contents)
        | is_bmp(contents)
        | (start == PNG)
        | (tf.strings.substr(start, 0, 3) == b"GIF")
    )
    readable = tf.debugging.Assert(is_image, ["The file is no JPEG, PNG, GIF or BMP image:", path])
    with tf.control_dependencies([op for op in (known, readable) if op is not None]):
        label = tf.argmax(matches, output_type=tf.int64)
        contents = tf.identity(contents)
    return contents, label
