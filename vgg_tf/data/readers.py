"""Datasets of the encoded images and labels of a split.

The images are in files, in our own shards or in third-party shards.
"""

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from vgg_tf.data import opening
from vgg_tf.data.selection import EVERYTHING
from vgg_tf.data.shards import Shards, add_key
from vgg_tf.images import decoding
from vgg_tf.images.colors import IMAGENET_COVARIANCE
from vgg_tf.records import schema
from vgg_tf.records.collection import list_shards
from vgg_tf.records.framing import Record
from vgg_tf.records.splits import Source
from vgg_tf.records.unpacking import get_plain

SHUFFLE_BYTES = 256 * 2**20  # maximum size of the shuffle buffer
AUTO = tf.data.AUTOTUNE


@dataclass(frozen=True)
class Share:
    """Part of one process in batches that several processes share.

    Attributes:
        process: number of the process, from 0.
        processes: number of processes.
        whole: images per batch, of all processes together.
    """

    process: int
    processes: int
    whole: int

    @property
    def batch(self):
        """Images per batch of this process."""
        return self.whole // self.processes

    def range(self, n):
        """Return start and end of the images of this process in a split of `n` images."""
        return n * self.process // self.processes, n * (self.process + 1) // self.processes

    def rows(self, examples):
        """Return the examples that are rows of this process in whole batches."""
        if self.processes == 1:
            return examples
        mine = examples.enumerate().filter(
            lambda i, _: i % self.whole // self.batch == self.process
        )
        return mine.map(lambda _, example: example)


@dataclass
class Reader:
    """Datasets of a split, with elements `(key, encoded bytes, label)`.

    Attributes:
        images: number of images.
        covariance: `[3, 3]` covariance of the colors, for `views.make_train_view`.
        ordered: function `(start, end)` that returns a dataset of these images in fixed order.
        shuffled: function `(seed, epoch)` that returns a dataset of the part of this process, in
            the order of an epoch.
    """

    images: int
    covariance: object
    ordered: object
    shuffled: object


def open_reader(source, split, selection, share):
    """Return the reader of a split.

    Args:
        source: as for `loading.load_dataset`.
        split: as for `loading.load_dataset`.
        selection: as for `loading.load_dataset`.
        share: the `Share` of this process.

    Returns:
        A `Reader`.

    Raises:
        ValueError: several processes read shards of an earlier version, which have no counts.
    """
    source = ensure_opened(source, selection)
    n = source.count_images(split)
    if collection := source.collection:
        paths = list_shards(source.name, collection, split)
        counts = collection.splits[split].get("per_shard")
        if counts is None and share.processes > 1:
            raise ValueError(
                f"dataset.json of {source.name} must have the number of images per shard. "
                "Received: a "
                "file of an earlier version. Write the shards again."
            )
        shards = Shards(paths, counts, n, len(collection.classes))
        return _make_shard_reader(
            shards, share, collection.bytes_per_image, collection.covariance_rgb
        )
    images_of = source.splits[split]
    if isinstance(images_of.contents[0], Record):
        return _make_record_reader(images_of, share, source.covariance)
    return _make_file_reader(images_of, n, share)


def _make_shard_reader(shards, share, bytes_per_image, covariance):
    """Return the reader of a split in shards."""

    def shuffled(seed, epoch):
        mine = shards.locate(*share.range(shards.n))
        seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(range(len(mine[0])), seed=seeds)
        records = shards.read(*(tf.gather(column, order) for column in mine))
        buffer = max(1, min(shards.n, SHUFFLE_BYTES // bytes_per_image))
        return shards.parse(shuffle(records, buffer, seed, epoch))

    def ordered(start, end):
        return shards.parse(shards.read(*shards.locate(start, end)))

    return Reader(shards.n, covariance, ordered, shuffled)


def _make_record_reader(split, share, covariance):
    """Return the reader of some records of shards.

    Random access is slow, so whole shards are read and the other records are dropped.

    Args:
        split: a `splits.Split` of records.
        share: the `Share` of this process.
        covariance: of the colors, or None.

    Returns:
        A `Reader`.
    """
    shards, packed, form = {}, set(), split.contents[0].form or schema.SLIM
    for record, label in zip(split.contents, split.labels.tolist(), strict=True):
        shards.setdefault(record.path, {})[record.index] = label
        if record.packed:
            packed.add(record.path)
    counts = np.array([max(labels) + 1 for labels in shards.values()])
    table = np.full(counts.sum(), -1)
    for start, labels in zip(np.cumsum([0, *counts[:-1]]), shards.values(), strict=True):
        table[start + np.array(list(labels))] = list(labels.values())
    paths = [get_plain(path) if path in packed else path for path in shards]
    covariance = IMAGENET_COVARIANCE if covariance is None else covariance
    mean_bytes = max(1, sum(record.length for record in split.contents) // len(split))
    records = Shards(paths, counts, len(split), labels=table, key=form.encoded)
    return _make_shard_reader(records, share, mean_bytes, covariance)


def _make_file_reader(files, n, share):
    """Return the reader of a split in files or in memory."""
    contents = tf.data.Dataset.from_tensor_slices((files.contents, files.labels))

    def read(content, label):
        return add_key(
            content if isinstance(files.contents[0], bytes) else tf.io.read_file(content), label
        )

    def shuffled(seed, epoch):
        return share.rows(shuffle(contents, n, seed, epoch)).map(read, num_parallel_calls=AUTO)

    def ordered(start, end):
        return contents.skip(start).take(end - start).map(read, num_parallel_calls=AUTO)

    return Reader(n, IMAGENET_COVARIANCE, ordered, shuffled)


def ensure_opened(source, selection=EVERYTHING):
    """Open a source if it is not open yet.

    Args:
        source: as for `opening.open_source`, or a `splits.Source`.
        selection: the `selection.Selection` to take.

    Returns:
        A `splits.Source`.
    """
    if not isinstance(source, Source):
        return opening.open_source(str(source), selection)
    return replace(selection.apply(source), collection=None) if selection else source


def shuffle(dataset, buffer, seed, epoch):
    """Shuffle a dataset by seed and epoch alone.

    `Dataset.shuffle` also depends on the global seed, and its seed cannot be a tensor.

    Args:
        dataset: a `tf.data.Dataset`.
        buffer: number of elements in the shuffle buffer.
        seed: an int.
        epoch: an int64 scalar tensor.

    Returns:
        A `tf.data.Dataset`.
    """
    key = tf.random.stateless_uniform(
        [], tf.stack([tf.constant(seed, tf.int64), epoch]), 1, 2**31 - 1, tf.int32
    )
    spec = dataset.element_spec
    flat = tf.nest.flatten(spec)
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=buffer,
        seed=0,
        seed2=tf.cast(key, tf.int64),
        output_types=[part.dtype for part in flat],
        output_shapes=[part.shape for part in flat],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(shuffled, spec)


def with_pixels(key, contents, label):
    """Replace an encoded image with its pixels, uint8 `[h, w, 3]`."""
    return key, decoding.decode(contents), label
