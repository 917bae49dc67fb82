"""A source becomes batches of static shape: one finite pass an epoch, each image's view keyed by seed, epoch and image."""

import contextlib
import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vgg_tf import foreign, images, measures, records, soundness, sources
from vgg_tf.selection import EVERYTHING
from vgg_tf.splits import Source

SHUFFLE_BYTES = 256 * 2**20  # bound of the shuffle buffer
READ_SHARDS = 16  # shards read at the same time
AUTO = tf.data.AUTOTUNE
# A bad image or label, a bad checksum, a missing file, fewer images than dataset.json tells of; a file that may not be
# read, or not be reached; what the disk says.
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
    epoch=0,
    size=224,
    scale=None,
    seed=0,
    training=None,
    steps=None,
    flip=True,
    shift=0.1,
    covariance=None,
    cache="none",
    selection=EVERYTHING,
):
    """One pass over a split, as batches.

    Args:
        source: a folder of our shards (with their `dataset.json`); anything that `sources.open_source` opens, such as class
            folders, the ILSVRC competition's, others' shards, `tfds:NAME`, `digits`; or an opened `splits.Source`.
        split: `train`, `validation` or `test`.
        batch_size: images a batch.
        epoch: int, number of the pass. None gives a function of the epoch instead, whose passes share the cache.
        size: side of the crop, in pixels.
        scale: smaller side of the rescaled image, in pixels; `(S_min, S_max)` to draw one per image of a training pass, where
            other passes take the middle. None is 256 for 224, in this proportion for other sizes.
        seed: with the epoch and the image itself it fixes order and views, whatever the number of threads or devices.
        training: random order and views; without it a fixed order (shards interleaved) and centre crops. None: for `train`.
        steps: batches in a training pass; None for as many as are full. The images beyond are left out by chance.
        flip, shift, covariance: as for `images.train_view`; covariance None is the shards' own, and
            ImageNet's published one for images in files.
        cache: keep the images in memory, `bytes` as encoded, `pixels` decoded (before any random step), or `none`.
        selection: a `selection.Selection` of classes and images; of our shards it means to read them through once more.

    Returns:
        A `tf.data.Dataset` of known length. Training: `(images, labels)`, uint8 `[batch_size, size, size, 3]` and int32
        `[batch_size]`. Else `(images, labels, mask)`: the last batch is filled up with black images of mask 0, so that a
        mean weighted by the mask, float32 `[batch_size]`, counts each image once.

    Raises:
        ValueError: no such split, more steps than the images give, or sizes that do not fit; the message says what would.
        FileNotFoundError: no such source, or shards missing.
    """
    if training is None:
        training = split == "train"
    if cache not in ("none", "bytes", "pixels"):
        raise ValueError(f"cache is 'none', 'bytes' or 'pixels'. Received: {cache!r}.")
    scale = scale or round(size * 256 / 224)
    low, high = scale if isinstance(scale, tuple | list) else (scale, scale)
    if not size <= low <= high:
        raise ValueError(f"scale must be S or (S_min, S_max), not below the crop's side of {size} pixels. Received: {scale}.")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: {batch_size}.")
    reader = _reader(source, split, selection)
    n = reader.images
    if training:
        full = n // batch_size
        if not full or not 0 <= (steps or 0) <= full:
            raise ValueError(
                f"{n} {split} images make {full} batches of {batch_size}; {steps or 1} asked for. Lower steps or batch_size."
            )
        steps = steps or full
    base = None
    if cache != "none":
        base = reader.ordered()
        if cache == "pixels":
            base = base.map(_decoded, num_parallel_calls=AUTO)
        base = base.cache()
    covariance = reader.covariance if covariance is None else covariance

    def view(key, image, label, epoch):
        if not training:
            pixels = image if cache == "pixels" else images.decode(image)
            return images.center_view(pixels, size, (low + high) // 2), tf.cast(label, tf.int32), tf.constant(1.0)
        look = images.train_view_of_pixels if cache == "pixels" else images.train_view
        seeds = tf.stack([key, epoch + (seed << 32)])
        return look(image, seeds, size, (low, high), flip, shift, covariance), tf.cast(label, tf.int32)

    def one(epoch):
        epoch = tf.constant(epoch, tf.int64)
        if not training:
            examples = base or reader.ordered()
        elif base is not None:
            # The whole order at once: the buffer shares its memory with the cache.
            examples = _shuffled(base, n, seed, epoch)
        else:
            examples = reader.shuffled(seed, epoch)
        examples = examples.map(lambda key, image, label: view(key, image, label, epoch), num_parallel_calls=AUTO)
        if training:
            batches = examples.batch(batch_size, drop_remainder=True, num_parallel_calls=AUTO).take(steps)
            count = steps
        else:
            blank = (tf.zeros([size, size, 3], tf.uint8), tf.constant(0), tf.constant(0.0))
            padding = tf.data.Dataset.from_tensors(blank).repeat(-n % batch_size)
            batches = examples.concatenate(padding).batch(batch_size, drop_remainder=True, num_parallel_calls=AUTO)
            count = -(-n // batch_size)
        # Keras makes one step too many, on dead data, on a dataset of unknown length (keras#23084).
        batches = batches.apply(tf.data.experimental.assert_cardinality(count)).prefetch(AUTO)
        options = tf.data.Options()
        options.deterministic = True
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return batches.with_options(options)

    return one if epoch is None else one(epoch)


@contextlib.contextmanager
def naming_the_unreadable(source):
    """Turn a read or decode error of TensorFlow, which names no file, into a ValueError that names all unreadable ones.

    Args:
        source: what the failing data set was made from.
    """
    try:
        yield
    except READ_ERRORS:
        if not (found := list(_unreadable(source))):
            raise
        in_shards = records.holds_shards(source)
        remedy = "delete these shards, and the command that wrote them restores them" if in_shards else "mend it, or remove it"
        raise ValueError(f"what follows cannot be read; {remedy}:\n  " + "\n  ".join(found)) from None


def _unreadable(source):
    """Go through everything, one by one."""
    if records.holds_shards(source):
        yield from map(str, soundness.verify(source, progress=False))
        return
    for split in _opened(source).splits.values():
        for path in sorted({content.path for content in split.contents if isinstance(content, records.Record)}):
            yield from (f"{path}, record {index}: {what}" for index, what in soundness.damages(path))
        for i, name in enumerate(split.names):
            try:
                measures.decode_named(split.read(i), name)
            except (ValueError, OSError) as error:
                yield str(error)


@dataclass
class _Reader:
    """A split as `(key, encoded bytes, label)`, in its own order or in that of an epoch."""

    images: int
    covariance: object
    ordered: object
    shuffled: object


def _reader(source, split, selection):
    if records.holds_shards(source) and not selection:
        collection = records.Collection.read(source)
        n, paths = collection.images(split), records.shard_paths(source, collection, split)
        return _shard_reader(paths, n, collection.bytes_per_image, collection.covariance_rgb, len(collection.classes))
    source = _opened(source, selection)
    n = source.images(split)
    images_of = source.splits[split]
    if isinstance(images_of.contents[0], records.Record):
        return _record_reader(images_of)
    return _file_reader(images_of, n)


def _shard_reader(paths, n, bytes_per_image, covariance, classes, places=None, form=records.SLIM):
    """A reader of shards; with `places`, `(first, count, labels)`, record i of a shard is number `first + i`, of which
    `labels` tells the label, -1 for records of other splits. Without, the records tell it, each of `classes` from 0 on.
    """
    first, count, labels = places or (np.zeros(len(paths), np.int64), np.full(len(paths), -1), None)

    def examples(paths, first, count):
        def of_shard(path, first, count):
            return tf.data.TFRecordDataset(path, buffer_size=2**23).take(count).enumerate(first)

        return tf.data.Dataset.from_tensor_slices((paths, first, count)).interleave(
            of_shard, cycle_length=min(READ_SHARDS, len(first)), num_parallel_calls=AUTO, deterministic=True
        )

    def parse(number, serialized):
        contents, label = records.parse(serialized, form)
        if labels is not None:
            return _keyed(contents, labels[number])
        tf.debugging.Assert((label >= 0) & (label < classes), ["a label is out of range", label])  # no loss would tell
        return _keyed(contents, label)

    def of_split(examples):
        if labels is None:
            return examples
        return examples.filter(lambda number, serialized: labels[number] >= 0)

    def shuffled(seed, epoch):
        order = tf.random.experimental.stateless_shuffle(range(len(paths)), seed=tf.stack([tf.constant(seed, tf.int64), epoch]))
        in_order = [tf.gather(column, order) for column in (paths, first, count)]
        buffer = max(1, min(n, SHUFFLE_BYTES // bytes_per_image))
        return _shuffled(of_split(examples(*in_order)), buffer, seed, epoch).map(parse, num_parallel_calls=AUTO)

    def ordered():
        return of_split(examples(paths, first, count)).map(parse, num_parallel_calls=AUTO)

    return _Reader(n, covariance, ordered, shuffled)


def _record_reader(split):
    """A reader of some records of foreign shards: the shards are read through, as random access is slow, others left out."""
    shards = {}
    for record, label in zip(split.contents, split.labels.tolist(), strict=True):
        shards.setdefault(record.path, {})[record.index] = label
    count = np.array([max(labels) + 1 for labels in shards.values()])
    first = np.cumsum([0, *count[:-1]])
    table = np.full(count.sum(), -1)
    for start, labels in zip(first, shards.values(), strict=True):
        table[start + np.array(list(labels))] = list(labels.values())
    form = records.TFDS if foreign.is_tfds(list(shards)) else records.SLIM
    folder = os.path.dirname(next(iter(shards)))
    ours = records.holds_shards(folder)
    covariance = records.Collection.read(folder).covariance_rgb if ours else images.IMAGENET_COVARIANCE
    mean_bytes = max(1, sum(record.length for record in split.contents) // len(split))
    return _shard_reader(list(shards), len(split), mean_bytes, covariance, None, (first, count, tf.constant(table)), form)


def _file_reader(files, n):
    contents = tf.data.Dataset.from_tensor_slices((files.contents, files.labels))

    def read(content, label):
        return _keyed(content if isinstance(files.contents[0], bytes) else tf.io.read_file(content), label)

    def shuffled(seed, epoch):
        return _shuffled(contents, n, seed, epoch).map(read, num_parallel_calls=AUTO)

    def ordered():
        return contents.map(read, num_parallel_calls=AUTO)

    return _Reader(n, images.IMAGENET_COVARIANCE, ordered, shuffled)


def _opened(source, selection=EVERYTHING):
    if not isinstance(source, Source):
        return sources.open_source(str(source), selection)
    return selection.of(source) if selection else source


def _shuffled(dataset, buffer, seed, epoch):
    """Shuffle by seed and epoch alone: by itself tf.data mixes in the global seed, which is fixed here for this one step."""
    key = int(tf.random.stateless_uniform([], [seed, int(epoch)], 1, 2**31 - 1, tf.int32))

    def shuffle(_):
        tf.compat.v1.set_random_seed(0)  # of the graph of this function
        return dataset.shuffle(buffer, seed=key, reshuffle_each_iteration=False)

    return tf.data.Dataset.from_tensors(0).flat_map(shuffle)


def _keyed(contents, label):
    return images.key(contents), contents, label


def _decoded(key, contents, label):
    return key, images.decode(contents), label
