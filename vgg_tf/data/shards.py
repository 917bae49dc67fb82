"""The records of a split in TFRecord shards, as datasets."""

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
        paths: of the shards.
        counts: records of each; None where they are not known.
        n: images of the split.
        classes: number of classes, where the records hold the labels, which count from 0.
        labels: else the labels of all records, through all shards, -1 for those of other splits.
        form: of the records, as for `schema.parse`.
    """

    paths: list
    counts: object
    n: int
    classes: int | None = None
    labels: object = None
    form: str = schema.SLIM

    def locate(self, start, end):
        """Return where images start to end are, four arrays with an entry a shard.

        Returns:
            The paths, the records to skip, the records to take, and the number of the first.
        """
        paths, shards = np.array(self.paths), len(self.paths)
        if self.labels is None and (start, end) == (0, self.n):
            # Whatever is there: too many are an error as well.
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
        """Read the records that `locate` gives: a dataset of `(number, serialized)`."""

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
        """Parse records: a dataset of `(key, encoded bytes, label)`."""
        table = None if self.labels is None else tf.constant(self.labels)

        @tf.autograph.experimental.do_not_convert
        def parse(number, serialized):
            contents, label = schema.parse(serialized, self.form)
            if table is not None:
                return add_key(contents, table[number])
            # No loss would tell.
            known = (label >= 0) & (label < self.classes)
            tf.debugging.Assert(known, ["a label is out of range", label])
            return add_key(contents, label)

        return records.map(parse, num_parallel_calls=AUTO)


def add_key(contents, label):
    """Return an example: the digest of an encoded image, the image, and its label."""
    return decoding.make_key(contents), contents, label
