"""A source becomes batches of static shape: one finite pass an epoch, each image's view keyed by
seed, epoch and image.
"""

import contextlib
import functools

import numpy as np
import tensorflow as tf

from vgg_tf.data.readers import Share, open_reader, opened, shuffle, with_pixels
from vgg_tf.data.selection import EVERYTHING
from vgg_tf.images import batched_views, decoding, views
from vgg_tf.images.decoding import decode_named
from vgg_tf.records import collection, integrity, schema
from vgg_tf.runtime import passes
from vgg_tf.runtime.pipelines import BATCHES, untuned

SMALL = 64  # pixels, the largest side of a crop whose views are cut by the batch
AUTO = tf.data.AUTOTUNE
# A bad image or label, a bad checksum, a missing file, fewer images than dataset.json tells of; a
# file that may not be read, or not be reached; what the disk says.
READ_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.FailedPreconditionError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnauthenticatedError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)


def load_dataset(
    source,
    split="train",
    *,
    batch_size,
    epoch=None,
    size=224,
    scale=None,
    seed=0,
    training=None,
    steps=None,
    flip=True,
    shift=0.1,
    covariance=None,
    padding=0,
    cutout=0,
    cache="none",
    selection=EVERYTHING,
    part=(0, 1),
):
    """Read a split as batches, for `fit`, `evaluate` or a loop.

    Example:
        Each pass of a training dataset has an order and views of its own:

            batches = load_dataset("digits", batch_size=32, size=32, flip=False)
            model.fit(batches, epochs=12, shuffle=False)

    Args:
        source: a folder of our shards (with their `dataset.json`); anything that
            `opening.open_source` opens, such as class folders, the ILSVRC competition's, others'
            shards, `tfds:NAME`, `digits`; or an opened `splits.Source`.
        split: `train`, `validation` or `test`.
        batch_size: images a batch.
        epoch: int, the one pass to read, from 0. None: each pass over the dataset is the next
            epoch, from 0. Keras may open a pass that it does not train on (JAX does so in the first
            `fit`); where the number of the pass must be the number of the epoch, use `load_epochs`.
        size: side of the crop, in pixels.
        scale: smaller side of the rescaled image, in pixels; `(S_min, S_max)` to draw one per image
            of a training pass, where other passes take the middle. None is 256 for 224, in this
            proportion for other sizes.
        seed: with the epoch and the image itself it fixes order and views, whatever the number of
            threads or devices.
        training: random order and views; without it a fixed order (shards interleaved) and centre
            crops. None: for `train`.
        steps: batches in a training pass; None for as many as are full. The images beyond are left
            out by chance.
        flip, shift, covariance, padding, cutout: as for `views.train_view`; covariance None is the
            shards' own, and ImageNet's published one for images in files.
        cache: keep the images in memory, `bytes` as encoded, `pixels` decoded (before any random
            step), or `none`.
        selection: a `selection.Selection` of classes and images; of our shards it means to read
            them through once more.
        part: `(process, processes)`, of several processes that share each batch. A training pass
            from shards takes this process's share from shards of its own. From files, and from a
            cache, it takes its rows of the batches that one process alone would make. Other passes
            take a range of the split. All have the same number of batches.

    Returns:
        A `tf.data.Dataset` of known length. Training: `(images, labels)`, uint8 `[batch_size, size,
        size, 3]` and int32 `[batch_size]`. Else `(images, labels, mask)`: the last batch is filled
        up with black images of mask 0, so that a mean weighted by the mask, float32 `[batch_size]`,
        counts each image once. Of several processes each has its part of these rows.

    Raises:
        ValueError: no such split, more steps than the images give, or sizes that do not fit; the
            message says what would.
        FileNotFoundError: no such source, or shards missing.
    """
    one = load_epochs(
        source,
        split,
        batch_size=batch_size,
        size=size,
        scale=scale,
        seed=seed,
        training=training,
        steps=steps,
        flip=flip,
        shift=shift,
        covariance=covariance,
        padding=padding,
        cutout=cutout,
        cache=cache,
        selection=selection,
        part=part,
    )
    if epoch is not None:
        return one(epoch)
    first = one(0)
    if len(first.element_spec) == 3:  # with a mask: all passes are the same
        return first
    return _finished(passes.counting(one, len(first)), len(first))


def load_epochs(
    source,
    split="train",
    *,
    batch_size,
    size=224,
    scale=None,
    seed=0,
    training=None,
    steps=None,
    flip=True,
    shift=0.1,
    covariance=None,
    padding=0,
    cutout=0,
    cache="none",
    selection=EVERYTHING,
    part=(0, 1),
):
    """Return a function of the epoch that reads it as `load_dataset` does; its epochs share one
    cache.

    Args:
        source, split, batch_size, size, scale, seed, training, steps, flip, shift, covariance,
            padding, cutout, cache: as for `load_dataset`.
        selection, part: as for `load_dataset`.

    Returns:
        A function: epoch, an int or an int64 scalar tensor, to a `tf.data.Dataset` as
        `load_dataset` gives it.

    Raises:
        ValueError, FileNotFoundError: as `load_dataset`.
    """
    if training is None:
        training = split == "train"
    if cache not in ("none", "bytes", "pixels"):
        raise ValueError(f"cache is 'none', 'bytes' or 'pixels'. Received: {cache!r}.")
    scale = scale or round(size * 256 / 224)
    low, high = scale if isinstance(scale, tuple | list) else (scale, scale)
    if not size <= low <= high:
        raise ValueError(
            f"scale must be S or (S_min, S_max), not below the crop's side of {size} pixels. "
            f"Received: {scale}."
        )
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: {batch_size}.")
    share = Share(*part, batch_size)
    if batch_size % share.processes:
        raise ValueError(
            f"{share.processes} processes share a batch; {batch_size} does not divide by it."
        )
    reader = open_reader(source, split, selection, share)
    n = reader.images
    if n < share.processes:
        raise ValueError(f"{n} {split} images are fewer than {share.processes} processes.")
    if training:
        full = n // batch_size
        if not full or not 0 <= (steps or 0) <= full:
            raise ValueError(
                f"{n} {split} images make {full} batches of {batch_size}; {steps or 1} asked "
                "for. Lower steps or batch_size."
            )
    count = (steps or full) if training else -(-n // batch_size)
    base = None
    if cache != "none":
        base = reader.ordered(0, n) if training else reader.ordered(*share.range(n))
        if cache == "pixels":
            base = base.map(with_pixels, num_parallel_calls=AUTO)
        base = base.cache()
    covariance = reader.covariance if covariance is None else covariance
    colours = tuple(map(tuple, np.asarray(covariance).tolist())) if shift else None
    decoded = cache == "pixels"
    view = (
        _random_view(decoded, size, low, high, flip, shift, colours, padding, cutout)
        if training
        else _centre_view(decoded, size, (low + high) // 2)
    )

    by_the_batch = training and cache == "pixels" and size == low == high <= SMALL and not shift

    def one(epoch):
        epoch = tf.cast(epoch, tf.int64)
        number = epoch + (seed << 32)
        if not training:
            examples = base or reader.ordered(*share.range(n))
        elif base is not None:
            # The whole order at once: the buffer shares its memory with the cache.
            examples = share.rows(shuffle(base, n, seed, epoch))
        else:
            examples = reader.shuffled(seed, epoch)
        if by_the_batch:
            batches = batched_views.batches(
                examples, number, share.batch, size, flip, padding, cutout
            )
        else:
            examples = examples.map(
                lambda key, image, label: view(key, image, label, number), num_parallel_calls=AUTO
            )
            if not training:
                blank = (tf.zeros([size, size, 3], tf.uint8), tf.constant(0), tf.constant(0.0))
                start, end = share.range(n)
                examples = examples.concatenate(
                    tf.data.Dataset.from_tensors(blank).repeat(count * share.batch - (end - start))
                )
            batches = examples.batch(share.batch, drop_remainder=True, num_parallel_calls=BATCHES)
        return _finished(batches.take(count) if training else batches, count)

    return one


def _finished(batches, count):
    """The dataset as it is handed over: of known length, two batches ahead, in an order that
    threads do not change.
    """
    # Keras makes one step too many, on dead data, on a dataset of unknown length (keras#23084).
    batches = batches.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return untuned(batches.with_options(options))


# All epochs, and all datasets that show the same views, share one graph of a view, which takes 0.3
# s to trace.


@functools.lru_cache
def _random_view(decoded, size, low, high, flip, shift, covariance, padding, cutout):
    look = views.train_view_of_pixels if decoded else views.train_view

    @tf.function(autograph=False)
    def view(key, image, label, number):
        seeds = tf.stack([key, number])
        return look(
            image, seeds, size, (low, high), flip, shift, covariance, padding, cutout
        ), tf.cast(label, tf.int32)

    return view


@functools.lru_cache
def _centre_view(decoded, size, scale):
    @tf.function(autograph=False)
    def view(key, image, label, number):
        pixels = image if decoded else decoding.decode(image)
        return views.center_view(pixels, size, scale), tf.cast(label, tf.int32), tf.constant(1.0)

    return view


@contextlib.contextmanager
def naming_the_unreadable(source):
    """Turn a read or decode error of TensorFlow, which names no file, into a ValueError that names
    all unreadable ones.

    Args:
        source: what the failing data set was made from.
    """
    try:
        yield
    except READ_ERRORS:
        if not (found := list(_unreadable(source))):
            raise
        in_shards = collection.holds_shards(source)
        remedy = (
            "delete these shards, and the command that wrote them restores them"
            if in_shards
            else "mend it, or remove it"
        )
        raise ValueError(
            f"what follows cannot be read; {remedy}:\n  " + "\n  ".join(found)
        ) from None


def _unreadable(source):
    """Go through everything, one by one."""
    if collection.holds_shards(source):
        yield from map(str, integrity.verify(source, progress=False))
        return
    for split in opened(source).splits.values():
        for path in sorted(
            {content.path for content in split.contents if isinstance(content, schema.Record)}
        ):
            yield from (
                f"{path}, record {index}: {what}" for index, what in integrity.damages(path)
            )
        for i, name in enumerate(split.names):
            try:
                decode_named(split.read(i), name)
            except (ValueError, OSError) as error:
                yield str(error)
