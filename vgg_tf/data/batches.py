"""Batches of views of the images of a split.

An epoch is one finite pass. All batches have the same static shape.
"""

import functools
from dataclasses import dataclass, field, replace

import tensorflow as tf

from vgg_tf.data.readers import Share, open_reader, shuffle, with_pixels
from vgg_tf.data.selection import EVERYTHING
from vgg_tf.images import batched_views, decoding, mixing, views
from vgg_tf.images.augmentation import Mix
from vgg_tf.images.rescaling import make_center_view
from vgg_tf.runtime.pipelines import BATCHES, disable_autotuner

AUTO = tf.data.AUTOTUNE


@dataclass(frozen=True)
class Plan:
    """How the images of a split become batches.

    Attributes:
        batch_size: images per batch, of all processes together.
        training: True for a random order, random views and full batches only. False for a fixed
            order, center crops and a padded last batch.
        steps: batches in a training pass; None for all full batches.
        seed: seed of the order and the views.
        cache: what stays in memory: `"none"`, `"bytes"` (encoded images) or `"pixels"` (decoded
            images).
        part: `(process, processes)`, where several processes share each batch.
        mix: how the images of a training batch are mixed, an `augmentation.Mix`. Processes mix
            their parts of a batch separately.

    Raises:
        ValueError: a value is out of range; the message says which.
    """

    batch_size: int
    training: bool
    steps: int | None = None
    seed: int = 0
    cache: str = "none"
    part: tuple[int, int] = (0, 1)
    mix: Mix = field(default_factory=Mix)

    def __post_init__(self):
        """Check the values."""
        if self.cache not in ("none", "bytes", "pixels"):
            raise ValueError(
                f"cache must be 'none', 'bytes' or 'pixels'. Received: {self.cache!r}. Choose one "
                "of them."
            )
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {self.batch_size}. Try 32.")
        if self.batch_size % self.part[1]:
            raise ValueError(
                f"batch_size must be a multiple of the {self.part[1]} processes that share each "
                f"batch. Received: {self.batch_size}. Try "
                f"{-(-self.batch_size // self.part[1]) * self.part[1]}."
            )

    @property
    def share(self):
        """Part of this process, a `readers.Share`."""
        return Share(*self.part, self.batch_size)

    def count_steps(self, n, split):
        """Return the number of batches of a pass over a split.

        Args:
            n: number of images of the split.
            split: name of the split, for messages.

        Returns:
            The number of batches, an int.

        Raises:
            ValueError: the split has too few images.
        """
        if n < self.part[1]:
            raise ValueError(
                f"The {split} split must have at least one image for each of {self.part[1]} "
                f"processes. Received: {n} images. Use fewer processes."
            )
        if not self.training:
            return -(-n // self.batch_size)
        full = n // self.batch_size
        if not full or not 0 <= (self.steps or 0) <= full:
            raise ValueError(
                f"steps must fit the {full} full batches of {self.batch_size} that {n} {split} "
                f"images make. Received: {self.steps or 1}. Lower steps or batch_size."
            )
        return self.steps or full


def make_epochs(source, split, view, plan, selection=EVERYTHING):
    """Return a function from an epoch to its batches; all epochs share one cache.

    Args:
        source: as for `loading.load_dataset`.
        split: as for `loading.load_dataset`.
        view: an `augmentation.View`. Evaluation uses only its crop and the middle of its scales.
        plan: a `Plan`.
        selection: as for `loading.load_dataset`.

    Returns:
        A function of the epoch, an int or an int64 scalar tensor. It returns a `tf.data.Dataset`
        like that of `loading.load_dataset`.

    Raises:
        ValueError: as for `loading.load_dataset`.
        FileNotFoundError: as for `loading.load_dataset`.
    """
    reader = open_reader(source, split, selection, plan.share)
    count = plan.count_steps(reader.images, split)
    if view.covariance is None:
        view = replace(view, covariance=reader.covariance)
    read, cut = _make_reading(reader, plan), _make_cutting(view, plan, reader.images, count)

    def one(epoch):
        epoch = tf.cast(epoch, tf.int64)
        number = epoch + (plan.seed << 32)
        batches = cut(read(epoch), number)
        if plan.training and plan.mix:
            batches = mixing.mix_batches(batches, number, plan.mix, plan.part[0])
        return finish(batches, count)

    return one


def _make_reading(reader, plan):
    """Return a function from an epoch to its ordered examples, `(key, image, label)`."""
    n, share = reader.images, plan.share
    first, end = (0, n) if plan.training else share.range(n)
    if plan.cache == "none":
        if plan.training:
            return lambda epoch: reader.shuffled(plan.seed, epoch)
        return lambda epoch: reader.ordered(first, end)
    kept = reader.ordered(first, end)
    if plan.cache == "pixels":
        kept = kept.map(with_pixels, num_parallel_calls=AUTO)
    kept = kept.cache()
    if not plan.training:
        return lambda epoch: kept
    # The buffer holds all images: it shares its memory with the cache.
    return lambda epoch: share.rows(shuffle(kept, n, plan.seed, epoch))


def _make_cutting(view, plan, n, count):
    """Return a function from examples and the number of a pass to batches of views."""
    share, decoded = plan.share, plan.cache == "pixels"
    if plan.training and decoded and batched_views.can_batch(view):

        def cut(examples, number):
            return batched_views.make_batches(examples, number, share.batch, view).take(count)

        return cut
    look = (
        _make_random_view(decoded, view)
        if plan.training
        else _make_center_view(decoded, view.crop, view.center_scale)
    )

    def cut(examples, number):
        seen = examples.map(
            lambda key, image, label: look(key, image, label, number), num_parallel_calls=AUTO
        )
        if not plan.training:
            start, end = share.range(n)
            missing = count * share.batch - (end - start)
            blank = (tf.zeros([view.crop] * 2 + [3], tf.uint8), tf.constant(0), tf.constant(0.0))
            seen = seen.concatenate(tf.data.Dataset.from_tensors(blank).repeat(missing))
        batches = seen.batch(share.batch, drop_remainder=True, num_parallel_calls=BATCHES)
        return batches.take(count) if plan.training else batches

    return cut


def finish(batches, count):
    """Return batches with a known length, two prefetched batches and a fixed order.

    Args:
        batches: a `tf.data.Dataset`.
        count: its number of batches.

    Returns:
        A `tf.data.Dataset`.
    """
    # Without a known length, Keras runs one more step, on invalid data (keras#23084).
    batches = batches.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return disable_autotuner(batches.with_options(options))


# Tracing the graph of a view takes 0.3 s. All epochs and datasets with the same views share it.


@functools.lru_cache
def _make_random_view(decoded, view):
    make = views.make_train_view_of_pixels if decoded else views.make_train_view

    @tf.function(autograph=False)
    def look(key, image, label, number):
        return make(image, tf.stack([key, number]), view), tf.cast(label, tf.int32)

    return look


@functools.lru_cache
def _make_center_view(decoded, crop, scale):
    @tf.function(autograph=False)
    def look(key, image, label, number):
        pixels = image if decoded else decoding.decode(image)
        return make_center_view(pixels, crop, scale), tf.cast(label, tf.int32), tf.constant(1.0)

    return look
