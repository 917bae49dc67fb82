"""Reads the images of a split and cuts their views for an evaluator."""

import zlib

import numpy as np
import tensorflow as tf

from vgg_tf.images import decoding
from vgg_tf.images.rescaling import check_proportions, is_too_narrow
from vgg_tf.runtime.pipelines import disable_autotuner

READ = 32  # images per call
AUTO = tf.data.AUTOTUNE


class ImageReader:
    """Reads images and records which of them cannot be read.

    Attributes:
        images: the `splits.Split`.
        least: minimum of an image's smaller side, in pixels.
        problems: `{number of image: what is wrong with it}` of the images read so far.
        checksums: `{number of image: CRC-32 of its bytes}` of the images read so far.
    """

    def __init__(self, images, least):
        self.images, self.least = images, least
        self.problems, self.checksums = {}, {}

    def cut_views(self, numbers, evaluator):
        """Read images and cut their views, several images at a time.

        Args:
            numbers: int, numbers of the images.
            evaluator: the `evaluator.Evaluator` that cuts the views.

        Yields:
            `(number, views)` of each image that can be read.
        """
        numbers, seen = np.array(numbers, np.int64), set()
        largest = max(scale for scale, _ in evaluator.units)
        # as_numpy_iterator would take a third of the time for small images.
        for number, sides, found in self._make_dataset(numbers, evaluator, largest):
            number, (h, w) = int(number), sides.numpy().tolist()
            seen.add(number)
            if problem := self._describe_size(number, h, w, largest):
                self.problems[number] = problem
            else:
                yield number, [view.numpy() for view in found]
        for number in sorted(set(numbers.tolist()) - seen):
            self.problems[number] = self._describe_problem(number)

    def _describe_size(self, i, h, w, scale):
        """Return why an image of this size cannot be used at a scale; None if it can be."""
        name = self.images.names[i]
        if min(h, w) < self.least:
            return f"{name} has a side of {min(h, w)} pixels, less than {self.least}"
        try:
            check_proportions(h, w, scale, name)
        except ValueError as error:
            return str(error)
        return None

    def _make_dataset(self, numbers, evaluator, largest):
        """Return a dataset of `(number, (height, width), views)`, without damaged images."""
        least = self.least

        def read(some):
            contents = [read_bytes(self.images, i) for i in some]
            self.checksums.update(zip(some.tolist(), map(zlib.crc32, contents), strict=True))
            return np.array(contents, object)

        def cut(i, contents):
            pixels = decoding.decode(contents)
            sides = tf.shape(pixels, tf.int64)[:2]
            # Images that are too small or too narrow are not enlarged, which would take gigabytes.
            unfit = (tf.reduce_min(sides) < least) | is_too_narrow(sides[0], sides[1], largest)
            pixels = tf.cond(unfit, lambda: tf.zeros([least, least, 3], tf.uint8), lambda: pixels)
            return i, sides, evaluator.cut_views(tf.ensure_shape(pixels, [None, None, 3]))

        # One Python call per image would take most of the time.
        chunks = tf.data.Dataset.from_tensor_slices(numbers).batch(READ)
        contents = chunks.map(
            lambda some: (some, tf.numpy_function(read, [some], tf.string)),
            num_parallel_calls=AUTO,
        )
        views = contents.unbatch().map(cut, num_parallel_calls=AUTO).ignore_errors()
        return disable_autotuner(views.prefetch(2 * READ))

    def _describe_problem(self, i):
        """Return why image `i` cannot be read."""
        name = self.images.names[i]
        try:
            decoding.decode_named(self.images.read(i), name)
        except (ValueError, OSError) as error:
            return str(error)
        raise RuntimeError(
            f"{name} was unreadable at first and is readable now. Run the same command again."
        )


def read_bytes(images, i):
    """Return the bytes of an image; empty if it cannot be read."""
    try:
        return images.read(i)
    except (ValueError, OSError):
        return b""  # decoding fails, too
