"""Examples of a split become batches of views: one finite pass an epoch, of static shape."""

import functools
from dataclasses import dataclass, replace

import tensorflow as tf

from vgg_tf.data.readers import Share, open_reader, shuffle, with_pixels
from vgg_tf.data.selection import EVERYTHING
from vgg_tf.images import batched_views, decoding, views
from vgg_tf.images.rescaling import make_center_view
from vgg_tf.runtime.pipelines import BATCHES, disable_autotuner

AUTO = tf.data.AUTOTUNE


@dataclass(frozen=True)
class Plan:
    """How the images of a split are cut into batches.

    Attributes:
        batch_size: images a batch, of all processes together.
        training: random order and views, and full batches only; else a fixed order and center
            crops, and the last batch is filled up.
        steps: batches in a training pass; None for as many as are full.
        seed: of the order and the views.
        cache: what is kept in memory: `none`, `bytes` as encoded, or `pixels` decoded.
        part: `(process, processes)`, of several processes that share each batch.

    Raises:
        ValueError: a value is out of range; the message says which.
    """

    batch_size: int
    training: bool
    steps: int | None = None
    seed: int = 0
    cache: str = "none"
    part: tuple[int, int] = (0, 1)

    def __post_init__(self):
        """Check the values."""
        if self.cache not in ("none", "bytes", "pixels"):
            raise ValueError(f"cache is 'none', 'bytes' or 'pixels'. Received: {self.cache!r}.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {self.batch_size}.")
        if self.batch_size % self.part[1]:
            raise ValueError(
                f"{self.part[1]} processes share a batch; {self.batch_size} does not divide by it."
            )

    @property
    def share(self):
        """The `readers.Share` of this process."""
        return Share(*self.part, self.batch_size)

    def count_steps(self, n, split):
        """Return the number of batches of a pass over the `n` images of a split.

        Raises:
            ValueError: the images are too few.
        """
        if n < self.part[1]:
            raise ValueError(f"{n} {split} images are fewer than {self.part[1]} processes.")
        if not self.training:
            return -(-n // self.batch_size)
        full = n // self.batch_size
        if not full or not 0 <= (self.steps or 0) <= full:
            raise ValueError(
                f"{n} {split} images make {full} batches of {self.batch_size}; {self.steps or 1} "
                "asked for. Lower steps or batch_size."
            )
        return self.steps or full


def make_epochs(source, split, view, plan, selection=EVERYTHING):
    """Return a function of the epoch that reads it; its epochs share one cache.

    Args:
        source, split, selection: as for `loading.load_dataset`.
        view: the `augmentation.View`. Of it, passes that do not train use the crop and the center
            of the scales.
        plan: the `Plan`.

    Returns:
        A function: epoch, an int or an int64 scalar tensor, to a `tf.data.Dataset` as
        `loading.load_dataset` gives it.

    Raises:
        ValueError, FileNotFoundError: as `loading.load_dataset`.
    """
    reader = open_reader(source, split, selection, plan.share)
    count = plan.count_steps(reader.images, split)
    if view.covariance is None:
        view = replace(view, covariance=reader.covariance)
    read, cut = _make_reading(reader, plan), _make_cutting(view, plan, reader.images, count)

    def one(epoch):
        epoch = tf.cast(epoch, tf.int64)
        return finish(cut(read(epoch), epoch + (plan.seed << 32)), count)

    return one


def _make_reading(reader, plan):
    """Return a function of the epoch to its examples, `(key, image, label)`, in their order."""
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
    # The whole order at once: the buffer shares its memory with the cache.
    return lambda epoch: share.rows(shuffle(kept, n, plan.seed, epoch))


def _make_cutting(view, plan, n, count):
    """Return a function of examples and the number of a pass to batches of their views."""
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
    """Return the dataset as it is handed over.

    Its length is known, it is two batches ahead, and threads do not change its order.
    """
    # Keras makes one step too many, on dead data, on a dataset of unknown length (keras#23084).
    batches = batches.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return disable_autotuner(batches.with_options(options))


# All epochs, and all datasets that show the same views, share one graph of a view, which takes
# 0.3 s to trace.


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
