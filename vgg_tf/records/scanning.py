"""Reads shards through once for the positions, labels and names of their records."""

import contextlib
import os

import numpy as np

from vgg_tf.records import framing, schema
from vgg_tf.records.splits import Split
from vgg_tf.runtime import files, quiet

BATCH = 64  # records parsed at a time


class Scan:
    """Positions, labels and names of the records of some shards, in order.

    Attributes:
        paths: of the shards.
        counts: number of records of each shard.
        lengths: int64, of the records' data, in bytes.
        labels: int64, as they are in the records.
        filenames: bytes, names of the files.
        synsets: bytes, class names.
        texts: bytes, the classes in words.
    """

    def __init__(self, paths, parts):
        """Join the parts of each shard.

        Args:
            paths: of the shards.
            parts: for each shard a list of tuples of columns: lengths, labels, file names, class
                names, texts.

        Raises:
            ValueError: there are no records.
        """
        columns = list(zip(*(part for of_shard in parts for part in of_shard), strict=True))
        if not columns:
            raise ValueError(f"{paths[0]} and the {len(paths) - 1} beside it hold no records.")
        self.paths = paths
        self.counts = [sum(len(part[0]) for part in of_shard) for of_shard in parts]
        self.lengths, self.labels, self.filenames, self.synsets, self.texts = map(
            np.concatenate, columns
        )

    def describe_place(self, i):
        """Return the shard and number of record `i`, for messages."""
        shard = np.searchsorted(np.cumsum(self.counts), i, side="right")
        return f"{self.paths[shard]}, record {i - sum(self.counts[:shard])},"

    def make_split(self, base, classes):
        """Return the records as a `splits.Split`.

        Args:
            base: number of the first class in the records.
            classes: class names.
        """
        ends = np.cumsum(self.counts)
        contents = [
            record
            for path, start, end in zip(self.paths, ends - self.counts, ends, strict=True)
            for record in framing.locate_records(path, self.lengths[start:end].tolist())
        ]
        labels = self.labels - base
        names = [name.decode(errors="replace") for name in self.filenames]
        if len(set(names)) < len(names):  # none, or base names that occur in several classes
            names = [f"{classes[label]}/{name}" for label, name in zip(labels, names, strict=True)]
        if len(set(names)) < len(names):
            names = [f"{os.path.basename(record.path)}/{record.index}" for record in contents]
        return Split(names, labels, contents)


def scan_shards(paths, progress):
    """Read shards through.

    Args:
        paths: of the shards.
        progress: show a bar with rate and ETA on the standard error.

    Returns:
        A `Scan`.

    Raises:
        ValueError: some records are damaged, or there are none; the message names them.
    """
    from tqdm import tqdm

    tf = quiet.quiet_tensorflow()

    from vgg_tf.runtime.pipelines import disable_autotuner

    columns = _read_columns(paths)
    parts = [[] for _ in paths]
    with tqdm(
        unit=" records",
        desc=os.path.dirname(paths[0]),
        disable=None if progress else True,
        mininterval=0.5,
    ) as bar:
        try:
            for shard, part in disable_autotuner(columns.prefetch(8)).as_numpy_iterator():
                parts[shard].append([part[0].astype(np.int64), *part[1:]])
                bar.update(len(part[0]))
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            found = [
                f"{path}, record {index}: {what}"
                for path in paths
                for index, what in _find_faults(path)
            ]
            raise _make_damage_error(found or [f"{paths[0]} or one beside it: {error}"]) from None
    for path, of_shard in zip(paths, parts, strict=True):
        framed = framing.BEFORE + framing.AFTER
        read = sum(int(part[0].sum()) + len(part[0]) * framed for part in of_shard)
        if read != files.read_size(
            path
        ):  # TensorFlow takes a shard that ends within a header for whole
            found = framing.find_damage(path)
            raise _make_damage_error([f"{path}, record {index}: {what}" for index, what in found])
    return Scan(paths, parts)


def _make_damage_error(found):
    what = "\n  ".join(found)
    return ValueError(f"these shards cannot be read; fetch or write them anew:\n  {what}")


def _read_columns(paths):
    """Return a dataset of `(shard, columns)`, a batch of records each, as `Scan` takes them."""
    import tensorflow as tf

    form = find_form(paths)
    words = [form.filename, schema.SYNSET, schema.TEXT]
    features = {key: tf.io.FixedLenFeature([], tf.string, "") for key in words}
    features[form.label] = tf.io.FixedLenFeature([], tf.int64, -1)

    def parse(shard, batch):
        example = tf.io.parse_example(batch, features)
        return shard, (
            tf.strings.length(batch),
            example[form.label],
            *(example[key] for key in words),
        )

    def read_shard(shard, path):
        return (
            tf.data.TFRecordDataset(path, buffer_size=2**23)
            .batch(BATCH)
            .map(lambda batch: parse(shard, batch))
        )

    return (
        tf.data.Dataset.from_tensor_slices(paths)
        .enumerate()
        .interleave(
            read_shard, cycle_length=4, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
    )


def _find_faults(path):
    """Yield `(record number, what is wrong)` of the records of a shard that cannot be scanned."""
    for record, what in framing.walk_records(path):
        try:
            if not what:
                record.read()
        except ValueError as error:
            what = str(error).removeprefix(f"{record}: ")
        if what:
            yield record.index, what


def find_form(paths):
    """Return the `schema.Form` of the keys in the first record of some shards."""
    from google.protobuf.message import DecodeError

    tf = quiet.quiet_tensorflow()

    for path in paths:
        with contextlib.suppress(tf.errors.OpError, DecodeError):  # the scan will name it
            for serialized in tf.data.TFRecordDataset(path, buffer_size=2**16).take(1):
                feature = tf.train.Example.FromString(serialized.numpy()).features.feature
                return schema.TFDS if schema.TFDS.encoded in feature else schema.SLIM
    return schema.SLIM
