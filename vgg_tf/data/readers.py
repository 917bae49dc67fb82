"""A split becomes a dataset of encoded images with their labels, from files, from our shards or
from those of others.
"""

import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vgg_tf.data import opening
from vgg_tf.data.selection import EVERYTHING
from vgg_tf.data.shards import Shards, add_key
from vgg_tf.images import decoding
from vgg_tf.images.colors import IMAGENET_COVARIANCE
from vgg_tf.records.collection import Collection, holds_shards, list_shards
from vgg_tf.records.framing import Record
from vgg_tf.records.scanning import find_form
from vgg_tf.records.splits import Source

SHUFFLE_BYTES = 256 * 2**20  # bound of the shuffle buffer
AUTO = tf.data.AUTOTUNE


@dataclass(frozen=True)
class Share:
    """The part of one process of the batches that several processes share.

    Attributes:
        process: its number, from 0.
        processes: how many there are.
        whole: images of a whole batch.
    """

    process: int
    processes: int
    whole: int

    @property
    def batch(self):
        """Rows of each batch."""
        return self.whole // self.processes

    def range(self, n):
        """First and end of its range of a split of `n` images."""
        return n * self.process // self.processes, n * (self.process + 1) // self.processes

    def rows(self, examples):
        """Its rows of the batches that would be made of these examples."""
        if self.processes == 1:
            return examples
        mine = examples.enumerate().filter(
            lambda i, _: i % self.whole // self.batch == self.process
        )
        return mine.map(lambda _, example: example)


@dataclass
class Reader:
    """A split as a dataset of `(key, encoded bytes, label)`.

    Attributes:
        images: how many there are.
        covariance: of the colours, for `views.make_train_view`.
        ordered: function `(start, end)` that gives these images in their fixed order.
        shuffled: function `(seed, epoch)` that gives one process's part in the order of an epoch.
    """

    images: int
    covariance: object
    ordered: object
    shuffled: object


def open_reader(source, split, selection, share):
    """Return the `Reader` of a split; arguments as for `loading.load_dataset`, and the `Share`
    of this process.
    """
    if holds_shards(source) and not selection:
        collection = Collection.read(source)
        n, paths = collection.count_images(split), list_shards(source, collection, split)
        counts = collection.splits[split].get("per_shard")
        if counts is None and share.processes > 1:
            raise ValueError(
                f"{source} was written by an earlier version, without counts of its shards. "
                "Write it anew."
            )
        shards = Shards(paths, counts, n, len(collection.classes))
        return _make_shard_reader(
            shards, share, collection.bytes_per_image, collection.covariance_rgb
        )
    source = ensure_opened(source, selection)
    n = source.count_images(split)
    images_of = source.splits[split]
    if isinstance(images_of.contents[0], Record):
        return _make_record_reader(images_of, share)
    return _make_file_reader(images_of, n, share)


def _make_shard_reader(shards, share, bytes_per_image, covariance):
    """Make the reader of a split in shards."""

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


def _make_record_reader(split, share):
    """Make the reader of some records of foreign shards.

    The shards are read through, as random access is slow, and the other records are left out.
    """
    shards = {}
    for record, label in zip(split.contents, split.labels.tolist(), strict=True):
        shards.setdefault(record.path, {})[record.index] = label
    counts = np.array([max(labels) + 1 for labels in shards.values()])
    table = np.full(counts.sum(), -1)
    for start, labels in zip(np.cumsum([0, *counts[:-1]]), shards.values(), strict=True):
        table[start + np.array(list(labels))] = list(labels.values())
    form = find_form(list(shards))
    folder = os.path.dirname(next(iter(shards)))
    ours = holds_shards(folder)
    covariance = Collection.read(folder).covariance_rgb if ours else IMAGENET_COVARIANCE
    mean_bytes = max(1, sum(record.length for record in split.contents) // len(split))
    records = Shards(list(shards), counts, len(split), labels=table, form=form)
    return _make_shard_reader(records, share, mean_bytes, covariance)


def _make_file_reader(files, n, share):
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
    """Return a `splits.Source` of what `opening.open_source` opens, or of a part of an opened
    one.
    """
    if not isinstance(source, Source):
        return opening.open_source(str(source), selection)
    return selection.apply(source) if selection else source


def shuffle(dataset, buffer, seed, epoch):
    """Shuffle by seed and epoch alone. `Dataset.shuffle` mixes in the program's seed, and takes
    no seed that is a tensor.
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
    """Replace an encoded image by its pixels, uint8 `[h, w, 3]`."""
    return key, decoding.decode(contents), label
