"""Datasets of the records of a split in TFRecord shards."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vgg_tf.images import decoding
from vgg_tf.records import schema

READ_SHARDS = 16  # shards read at the same time
AUTO = tf.data.AUTOTUNE


@dataclass(frozen=True)
class Shards:
    """The records of a split in shards.

    Attributes:
        paths: paths of the shards.
        counts: number of records per shard; None if unknown.
        n: number of images of the split.
        classes: number of classes, if the labels are those in the records and count from 0.
        labels: labels of all records of all shards otherwise, -1 for records of other splits.
        key: key of the encoded image in the records; for labels that are not those in them.
    """

    paths: list
    counts: object
    n: int
    classes: int | None = None
    labels: object = None
    key: str = schema.SLIM.encoded

    def locate(self, start, end):
        """Find a range of images in the shards.

        Args:
            start: position of the first image in the split.
            end: position after the last image.

        Returns:
            paths: paths of the shards to read, an array `[n]`.
            skip: number of records to skip in each, int `[n]`.
            count: number of records to read in each, int `[n]`; -1 for all.
            first: number of the first record read in each, int `[n]`.
        """
        paths, shards = np.array(self.paths), len(self.paths)
        if self.labels is None and (start, end) == (0, self.n):
            # Reads all records, so that too many of them are found as an error.
            none = np.zeros(shards, np.int64)
            return paths, none, np.full(shards, -1), none
        if self.labels is not None and (start, end) == (0, self.n):
            start, end = 0, len(self.labels)
        elif self.labels is not None:
            mine = np.flatnonzero(self.labels >= 0)[start:end]
            start, end = mine[0], mine[-1] + 1
        ends = np.cumsum(self.counts)
        begins = ends - self.counts
        low, high = np.maximum(start, begins), np.minimum(end, ends)
        some = high > low
        return paths[some], (low - begins)[some], (high - low)[some], low[some]

    def read(self, paths, skip, count, first):
        """Return a dataset of records, `(number, serialized)`; arguments from `locate`."""

        @tf.autograph.experimental.do_not_convert
        def read_shard(path, skip, count, first):
            return (
                tf.data.TFRecordDataset(path, buffer_size=2**23)
                .skip(skip)
                .take(count)
                .enumerate(first)
            )

        records = tf.data.Dataset.from_tensor_slices((paths, skip, count, first)).interleave(
            read_shard,
            cycle_length=min(READ_SHARDS, paths.shape[0]),
            num_parallel_calls=AUTO,
            deterministic=True,
        )
        if self.labels is None:
            return records
        table = tf.constant(self.labels)
        return records.filter(lambda number, serialized: table[number] >= 0)

    def parse(self, records):
        """Return a dataset of `(key, encoded bytes, label)` from records."""
        table = None if self.labels is None else tf.constant(self.labels)

        @tf.autograph.experimental.do_not_convert
        def parse(number, serialized):
            if table is not None:
                return add_key(schema.parse_encoded(serialized, self.key), table[number])
            contents, label = schema.parse(serialized)
            # The loss would not report it.
            known = (label >= 0) & (label < self.classes)
            tf.debugging.Assert(known, ["a label is out of range", label])
            return add_key(contents, label)

        return records.map(parse, num_parallel_calls=AUTO)


def add_key(contents, label):
    """Return the example of an encoded image: its digest, the image and the label."""
    return decoding.make_key(contents), contents, label
