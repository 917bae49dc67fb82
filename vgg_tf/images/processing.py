"""process_path: reads one image file for the network, in your own `tf.data` pipelines."""

from collections.abc import Sequence

import tensorflow as tf

from vgg_tf.images.augmentation import View
from vgg_tf.images.colors import IMAGENET_COVARIANCE
from vgg_tf.images.decoding import decode, is_jpeg, is_png, make_key
from vgg_tf.images.rescaling import make_center_view
from vgg_tf.images.views import make_train_view
from vgg_tf.runtime.passes import draw_fresh_seed


@tf.autograph.experimental.do_not_convert
def process_path(
    path: str | tf.Tensor,
    class_names: Sequence[str],
    crop: int = 224,
    scale: int | tuple[int, int] = 256,
    *,
    training: bool = True,
    seed: int | tf.Tensor | None = None,
    flip: bool = True,
    shift: float = 0.1,
    covariance: Sequence[Sequence[float]] | None = IMAGENET_COVARIANCE,
    padding: int = 0,
    cutout: int = 0,
    rand_augment: float = 0.0,
    **old: object,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Read an image file and return a view of the image, and its label.

    Map it over a dataset of paths. If you cache the dataset, cache the paths: a cache after the map
    repeats the views of the first pass.

    Args:
        path: Scalar string, `.../<class name>/<file>`: a JPEG, PNG, GIF, BMP or WebP image.
        class_names: Names of the classes. The label is the position of the file's folder in them.
        crop: Side of the square crop, in pixels. Defaults to 224.
        scale: Smaller side of the image after rescaling, in pixels, at least `crop`. A pair
            `(S_min, S_max)` draws an integer for each image (section 3.1). With `training=False`
            the middle of the pair is used (section 4.1). Defaults to 256.
        training: If True, return a random view (crop, flip, RGB shift). If False, return the center
            crop. Defaults to True.
        seed: Int or integer scalar tensor. It determines the view, together with the bytes of the
            file. None draws a new view at each call, so in each pass over a dataset. Set it to the
            number of the epoch for the pixels of `load_dataset(source, epoch=seed, seed=0)`.
            Defaults to None.
        flip: If True, half of the random views are mirrored left to right. Defaults to True.
        shift: Standard deviation of the amounts of the RGB shift, 0 or more; 0 turns it off.
            Defaults to 0.1, as in the paper.
        covariance: `[3, 3]`, covariance of the colors for the RGB shift, in squared gray levels.
            Defaults to ImageNet's.
        padding: Pixels by which a random crop may extend beyond the rescaled image, 0 to
            `crop - 1`. The image is mirrored there. Defaults to 0.
        cutout: Side of a square of the random view that gets the view's mean color, in pixels
            (DeVries & Taylor 2017). Defaults to 0, no square.
        rand_augment: Magnitude, 0 to 10, of two random operations on the random view, such as
            rotation and contrast (Cubuk et al. 2020). Defaults to 0, no operations.
        **old: Arguments of an older version; they raise a TypeError that names the new ones.

    Returns:
        image: uint8 `[crop, crop, 3]`, RGB 0..255.
        label: int64 scalar, from 0 to `len(class_names) - 1`.

    Raises:
        InvalidArgumentError: The folder is not in `class_names`, or the file is not an image; the
            message names the file. For a damaged image it is the error of TensorFlow's decoder,
            which does not name the file.
        NotFoundError: The file does not exist.
        TypeError: An unknown keyword, or one of an older version.
        ValueError: `crop` or `scale` is out of range; with `training=True` also `shift`, `padding`,
            `cutout` or `rand_augment`, or `covariance` is a tensor whose values depend on the
            dataset.

    Examples:
        >>> import os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "cat", "1.png")
        >>> os.makedirs(os.path.dirname(path))
        >>> tf.io.write_file(path, tf.io.encode_png(tf.zeros([40, 50, 3], tf.uint8)))
        >>> image, label = process_path(path, ["ant", "cat"], crop=32, scale=36)
        >>> image.shape, int(label)
        (TensorShape([32, 32, 3]), 1)

        A dataset with new views in each pass, the same ones in each run of the program:

        >>> paths = tf.data.Dataset.from_tensor_slices([path])
        >>> seeds = tf.data.Dataset.random(seed=0, rerandomize_each_iteration=True)
        >>> dataset = tf.data.Dataset.zip(paths, seeds).map(
        ...     lambda path, seed: process_path(path, ["ant", "cat"], 32, 36, seed=seed)
        ... )
        >>> dataset.element_spec[0]
        TensorSpec(shape=(32, 32, 3), dtype=tf.uint8, name=None)
        >>> folder.cleanup()
    """
    if unknown := sorted(set(old) - {"cut", "S", "max_delta"}):
        raise TypeError(f"process_path() got an unexpected keyword argument {unknown[0]!r}")
    if old:
        raise TypeError(
            "process_path() has new keywords: crop= instead of cut=, scale= instead of S=, and "
            "shift= (of the RGB colors) instead of max_delta= (of the hue). Received: "
            f"{', '.join(old)}. Use the new keywords."
        )
    # The center crop ignores the other arguments, which may be out of range.
    random = ()
    if training:
        random = (flip, shift, _read_static(covariance), padding, cutout, rand_augment)
    view = View(crop, scale, *random)
    contents, label = _read_labeled(tf.convert_to_tensor(path), class_names)
    if training:
        pair = tf.stack(
            [make_key(contents), draw_fresh_seed() if seed is None else tf.cast(seed, tf.int64)]
        )
        return make_train_view(contents, pair, view), label
    return make_center_view(decode(contents), view.crop, view.center_scale), label


def _read_static(covariance):
    """Return the values of a covariance that may be a constant of the graph of a Dataset.map."""
    if not tf.is_tensor(covariance):
        return covariance
    values = tf.get_static_value(covariance)
    if values is None:
        raise ValueError(
            f"covariance must have the same values for all images. Received: {covariance}. Compute "
            "it before Dataset.map."
        )
    return values


def _read_labeled(path, class_names):
    """Read a file and its label, and check both as `process_path` documents."""
    folder = tf.strings.split(path, "/")[-2]
    matches = tf.equal(tf.constant(list(class_names)), folder)
    contents = tf.io.read_file(path)
    known = tf.debugging.Assert(
        tf.reduce_any(matches), ["The folder of the image is not in class_names. Received:", path]
    )
    head = tf.strings.substr(contents, 0, 12)
    is_image = (
        is_jpeg(contents)
        | is_png(contents)
        | tf.strings.regex_full_match(head, r"(?s)(GIF8|BM|RIFF\C{4}WEBP)\C*")
    )
    readable = tf.debugging.Assert(
        is_image, ["The file is not a JPEG, PNG, GIF, BMP or WebP image. Received:", path]
    )
    with tf.control_dependencies([op for op in (known, readable) if op is not None]):
        label = tf.argmax(matches, output_type=tf.int64)
        contents = tf.identity(contents)
    return contents, label
