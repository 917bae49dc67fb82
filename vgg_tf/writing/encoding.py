"""Encoding of images for shards: the original bytes, or a new JPEG or PNG.

`tf.data` reads, checks, encodes and measures images in parallel.
"""

import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vgg_tf.images import colors, decoding
from vgg_tf.images.decoding import decode_named
from vgg_tf.runtime.pipelines import disable_autotuner

JPEG_QUALITY = 95
CALLS = 2 * (os.cpu_count() or 1)
BATCH = 16  # images taken out of tf.data at a time
# Changes to an image that the pipeline reports; the first one is none.
CHANGES = [
    "",
    f"CMYK, as JPEG of quality {JPEG_QUALITY}",
    "PNG of other than 8 bits, as 8-bit PNG",
    "as PNG",
]


class Prepared(NamedTuple):
    """Bytes to store for an image, with its statistics, as NumPy values.

    Attributes:
        encoded: bytes to store.
        format: `JPEG` or `PNG`, as bytes.
        change: position in `CHANGES`.
        height: height in pixels.
        width: width in pixels.
        measured: whether the image was decoded.
        mean: mean RGB, float32 `[3]`; zeros if the image was not decoded.
        covariance: covariance of RGB, float32 `[3, 3]`; zeros if the image was not decoded.
    """

    encoded: bytes
    format: bytes
    change: int
    height: int
    width: int
    measured: bool
    mean: np.ndarray
    covariance: np.ndarray


def prepare_images(jobs):
    """Prepare the images of shards, in order.

    Args:
        jobs: sequence of `jobs.Job`.

    Yields:
        A `Prepared` for each image, or the exception that reading it raised.
    """
    at = [(job.images, i) for job in jobs for i in range(len(job.images))]
    look = [i % job.every == 0 for job in jobs for i in range(len(job.images))]
    # The dataset skips images that cannot be read or decoded, and `_explain` finds their errors.
    # Batches, because taking an element out of tf.data costs 0.2 ms, more than copying its bytes.
    batches = disable_autotuner(
        _prepare_in_parallel(at, look).ignore_errors(log_warning=False).batch(BATCH).prefetch(4)
    ).as_numpy_iterator()
    found = (
        (i, prepared) for batch in batches for i, *prepared in zip(batch[0], *batch[1], strict=True)
    )
    coming, prepared = next(found, (-1, None))
    for i, (split, k) in enumerate(at):
        if i != coming:
            yield _explain(split, k)
            continue
        yield Prepared(*prepared)
        coming, prepared = next(found, (-1, None))


def _prepare_in_parallel(at, look):
    """Return a dataset of the results of `prepare`.

    Args:
        at: `(splits.Split, position in it)` of each image.
        look: whether to decode the image, for each image.

    Returns:
        A `tf.data.Dataset` of `(position in at, fields of a Prepared)`.
    """
    contents = [split.contents[i] for split, i in at]
    in_files = all(isinstance(content, str) for content in contents)

    def read(i):
        split, k = at[i]
        return split.read(k)

    # AutoGraph has nothing to convert here, and would take longer than tracing.
    @tf.autograph.experimental.do_not_convert
    def of_file(i, look, path):
        return i, prepare(tf.io.read_file(path), look)

    @tf.autograph.experimental.do_not_convert
    def of_memory(i, look):
        return i, prepare(
            tf.ensure_shape(tf.numpy_function(read, [i], tf.string, stateful=False), []), look
        )

    columns = (np.arange(len(at)), look, contents) if in_files else (np.arange(len(at)), look)
    return tf.data.Dataset.from_tensor_slices(columns).map(
        of_file if in_files else of_memory, num_parallel_calls=CALLS
    )


def _explain(split, k):
    """Return the exception of image `k`, or its `Prepared` if it can be read now."""
    try:
        contents = split.read(k)
        decode_named(contents, split.names[k])
    except (ValueError, OSError) as error:
        return error
    return Prepared(*(value.numpy() for value in prepare(contents, tf.constant(True))))


def prepare(contents, look):
    """Choose the bytes to store for an encoded image, in a graph.

    Args:
        contents: scalar string tensor.
        look: scalar bool tensor: decode the image to check and measure it.

    Returns:
        The fields of a `Prepared`: scalar string, int32 and bool tensors, float32 `[3]` and
        `[3, 3]`.
    """
    is_jpeg, is_png = decoding.is_jpeg(contents), tf.strings.substr(contents, 0, 4) == decoding.PNG

    def header():  # height, width, then the components of a JPEG or the bits of a PNG
        return tf.cond(
            is_jpeg, lambda: tf.io.extract_jpeg_shape(contents), lambda: _parse_png(contents)
        )

    h, w, kind = tf.unstack(tf.cond(is_jpeg | is_png, header, lambda: tf.zeros([3], tf.int32)))
    change = tf.where(
        is_jpeg, tf.where(kind == 4, 1, 0), tf.where(is_png, tf.where(kind == 8, 0, 2), 3)
    )

    def decoded():
        image = decoding.decode(contents)
        encode = [
            lambda: contents,
            lambda: tf.io.encode_jpeg(image, quality=JPEG_QUALITY),
            lambda: tf.io.encode_png(image),
        ]
        stored = tf.switch_case(tf.minimum(change, 2), encode)
        return stored, tf.shape(image)[0], tf.shape(image)[1], True, *colors.measure_colors(image)

    def unseen():
        return contents, h, w, False, tf.zeros([3]), tf.zeros([3, 3])

    stored, *rest = tf.cond(look | (change > 0), decoded, unseen)
    return stored, tf.where(is_jpeg, "JPEG", "PNG"), change, *rest


def _parse_png(contents):
    """Return height, width and bit depth from the header of a PNG, int32 `[3]`."""
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(contents, 16, 9), tf.uint8), tf.int32)
    width, height = (tf.tensordot(header[at : at + 4], [2**24, 2**16, 2**8, 1], 1) for at in (0, 4))
    return tf.stack([height, width, header[8]])
