"""A split becomes a dataset of encoded images with their labels, from files, from our shards or
from those of others.
"""

import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vgg_tf.data import foreign_shards, opening
from vgg_tf.data.selection import EVERYTHING
from vgg_tf.images import decoding
from vgg_tf.images.colors import IMAGENET_COVARIANCE
from vgg_tf.records import schema
from vgg_tf.records.collection import Collection, holds_shards, shard_paths
from vgg_tf.records.splits import Source

SHUFFLE_BYTES = 256 * 2**20  # bound of the shuffle buffer
READ_SHARDS = 16  # shards read at the same time
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
        covariance: of the colours, for `views.train_view`.
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
        n, paths = collection.images(split), shard_paths(source, collection, split)
        counts = collection.splits[split].get("per_shard")
        if counts is None and share.processes > 1:
            raise ValueError(
                f"{source} was written by an earlier version, without counts of its shards. "
                "Write it anew."
            )
        return _shard_reader(
            paths,
            counts,
            n,
            share,
            collection.bytes_per_image,
            collection.covariance_rgb,
            classes=len(collection.classes),
        )
    source = opened(source, selection)
    n = source.images(split)
    images_of = source.splits[split]
    if isinstance(images_of.contents[0], schema.Record):
        return _record_reader(images_of, share)
    return _file_reader(images_of, n, share)


def _shard_reader(
    paths,
    counts,
    n,
    share,
    bytes_per_image,
    covariance,
    classes=None,
    labels=None,
    form=schema.SLIM,
):
    """A reader of `n` images in shards of so many records (`counts`; None where they are not
    known).

    `labels` tells the labels of all records, through all shards, -1 for those of other splits.
    Without it the records tell their own, each of `classes` from 0 on.
    """

    def columns(start, end):
        """Paths of the shards that hold images start to end; of each the records to skip, to
        take, the number of the first.
        """
        # Whatever is there: too many are an error as well.
        if labels is None and (start, end) == (0, n):
            return (
                np.array(paths),
                np.zeros(len(paths), np.int64),
                np.full(len(paths), -1),
                np.zeros(len(paths), np.int64),
            )
        if labels is not None and (start, end) == (0, n):
            start, end = 0, len(labels)
        elif labels is not None:
            mine = np.flatnonzero(labels >= 0)[start:end]
            start, end = mine[0], mine[-1] + 1
        ends = np.cumsum(counts)
        begins = ends - counts
        low, high = np.maximum(start, begins), np.minimum(end, ends)
        some = high > low
        return np.array(paths)[some], (low - begins)[some], (high - low)[some], low[some]

    def examples(paths, skip, count, first):
        @tf.autograph.experimental.do_not_convert
        def of_shard(path, skip, count, first):
            return (
                tf.data.TFRecordDataset(path, buffer_size=2**23)
                .skip(skip)
                .take(count)
                .enumerate(first)
            )

        return tf.data.Dataset.from_tensor_slices((paths, skip, count, first)).interleave(
            of_shard,
            cycle_length=min(READ_SHARDS, paths.shape[0]),
            num_parallel_calls=AUTO,
            deterministic=True,
        )

    table = None if labels is None else tf.constant(labels)

    @tf.autograph.experimental.do_not_convert
    def parse(number, serialized):
        contents, label = schema.parse(serialized, form)
        if table is not None:
            return _keyed(contents, table[number])
        # No loss would tell.
        tf.debugging.Assert((label >= 0) & (label < classes), ["a label is out of range", label])
        return _keyed(contents, label)

    def of_split(examples):
        if table is None:
            return examples
        return examples.filter(lambda number, serialized: table[number] >= 0)

    def shuffled(seed, epoch):
        mine = columns(*share.range(n))
        seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(range(len(mine[0])), seed=seeds)
        in_order = [tf.gather(column, order) for column in mine]
        buffer = max(1, min(n, SHUFFLE_BYTES // bytes_per_image))
        return shuffle(of_split(examples(*in_order)), buffer, seed, epoch).map(
            parse, num_parallel_calls=AUTO
        )

    def ordered(start, end):
        return of_split(examples(*columns(start, end))).map(parse, num_parallel_calls=AUTO)

    return Reader(n, covariance, ordered, shuffled)


def _record_reader(split, share):
    """A reader of some records of foreign shards: the shards are read through, as random access
    is slow, others left out.
    """
    shards = {}
    for record, label in zip(split.contents, split.labels.tolist(), strict=True):
        shards.setdefault(record.path, {})[record.index] = label
    counts = np.array([max(labels) + 1 for labels in shards.values()])
    table = np.full(counts.sum(), -1)
    for start, labels in zip(np.cumsum([0, *counts[:-1]]), shards.values(), strict=True):
        table[start + np.array(list(labels))] = list(labels.values())
    form = schema.TFDS if foreign_shards.is_tfds(list(shards)) else schema.SLIM
    folder = os.path.dirname(next(iter(shards)))
    ours = holds_shards(folder)
    covariance = Collection.read(folder).covariance_rgb if ours else IMAGENET_COVARIANCE
    mean_bytes = max(1, sum(record.length for record in split.contents) // len(split))
    return _shard_reader(
        list(shards), counts, len(split), share, mean_bytes, covariance, labels=table, form=form
    )


def _file_reader(files, n, share):
    contents = tf.data.Dataset.from_tensor_slices((files.contents, files.labels))

    def read(content, label):
        return _keyed(
            content if isinstance(files.contents[0], bytes) else tf.io.read_file(content), label
        )

    def shuffled(seed, epoch):
        return share.rows(shuffle(contents, n, seed, epoch)).map(read, num_parallel_calls=AUTO)

    def ordered(start, end):
        return contents.skip(start).take(end - start).map(read, num_parallel_calls=AUTO)

    return Reader(n, IMAGENET_COVARIANCE, ordered, shuffled)


def opened(source, selection=EVERYTHING):
    """Return a `splits.Source` of what `opening.open_source` opens, or of a part of an opened
    one.
    """
    if not isinstance(source, Source):
        return opening.open_source(str(source), selection)
    return selection.of(source) if selection else source


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


def _keyed(contents, label):
    return decoding.key(contents), contents, label


def with_pixels(key, contents, label):
    """Replace an encoded image by its pixels, uint8 `[h, w, 3]`."""
    return key, decoding.decode(contents), label
