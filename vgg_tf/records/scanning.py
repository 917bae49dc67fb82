"""Scan of shards for the positions, labels and names of their records."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vgg_tf.records import framing, schema, unpacking
from vgg_tf.records.splits import Split
from vgg_tf.runtime import files, programs, quiet

BATCH = 64  # records parsed at a time
THREADS = 16  # file systems of other machines answer late


class Scan:
    """Positions, labels and names of the records of shards, in order.

    Attributes:
        paths: paths of the shards.
        counts: number of records of each shard.
        lengths: int64 `[n]`, length of the data of each record, in bytes.
        labels: int64 `[n]`, labels in the records.
        filenames: bytes `[n]`, names of the files.
        synsets: bytes `[n]`, class names.
        texts: bytes `[n]`, descriptions of the classes.
        form: the `schema.Form` of the records.
        packed: set of the paths of gzip and zlib files.
    """

    def __init__(self, paths, parts, form=schema.SLIM, packed=frozenset()):
        """Join the parts of each shard.

        Args:
            paths: paths of the shards.
            parts: for each shard a list of tuples of columns: lengths, labels, file names, class
                names, texts.
            form: the `schema.Form` of the records.
            packed: set of the paths of gzip and zlib files.

        Raises:
            ValueError: the shards have no records.
        """
        columns = list(zip(*(part for of_shard in parts for part in of_shard), strict=True))
        if not columns:
            raise ValueError(
                f"Shards must have records. Received: {len(paths)} shards without records, first "
                f"{paths[0]}. Download or write them again."
            )
        self.paths, self.form, self.packed = paths, form, packed
        self.counts = [sum(len(part[0]) for part in of_shard) for of_shard in parts]
        self.lengths, self.labels, self.filenames, self.synsets, self.texts = map(
            np.concatenate, columns
        )

    def describe_place(self, i):
        """Return the shard and number of record `i`, for error messages."""
        shard = np.searchsorted(np.cumsum(self.counts), i, side="right")
        return f"{self.paths[shard]}, record {i - sum(self.counts[:shard])},"

    def make_split(self, base, classes):
        """Return the records as a `splits.Split`.

        Args:
            base: label of the first class in the records, 0 or 1.
            classes: class names.

        Returns:
            A `splits.Split`, with 0-based labels.
        """
        ends = np.cumsum(self.counts)
        contents = [
            record
            for path, start, end in zip(self.paths, ends - self.counts, ends, strict=True)
            for record in framing.locate_records(
                path, self.lengths[start:end].tolist(), self.form, path in self.packed
            )
        ]
        labels = self.labels - base
        names = [name.decode(errors="replace") for name in self.filenames]
        if len(set(names)) < len(names):  # names are missing, or occur in several classes
            names = [f"{classes[label]}/{name}" for label, name in zip(labels, names, strict=True)]
        if len(set(names)) < len(names):
            names = [f"{os.path.basename(record.path)}/{record.index}" for record in contents]
        return Split(names, labels, contents)


def scan_shards(paths, progress, form=schema.SLIM, plain=None):
    """Read the positions, labels and names of all records of shards.

    Args:
        paths: paths of the shards.
        progress: show a progress bar on the standard error.
        form: the `schema.Form` of the records.
        plain: paths of the shards, unpacked where they are gzip or zlib files; None if none is.

    Returns:
        A `Scan`.

    Raises:
        ValueError: records are damaged, or the shards have no records; the message names them.
    """
    from tqdm import tqdm

    tf = quiet.quiet_tensorflow()

    from vgg_tf.runtime.pipelines import disable_autotuner

    plain = plain or paths
    columns = _read_columns(plain, form)
    parts = [[] for _ in paths]
    with tqdm(
        unit=" records",
        desc=os.path.dirname(paths[0]),
        disable=not progress or programs.hides_bar(),
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
                for index, what in _find_faults(path, form)
            ]
            found = found or [f"{paths[0]} or another shard in its folder: {error}"]
            raise ValueError(_describe_damage(found)) from None
    for path, there, of_shard in zip(paths, plain, parts, strict=True):
        framed = framing.BEFORE + framing.AFTER
        read = sum(int(part[0].sum()) + len(part[0]) * framed for part in of_shard)
        # TensorFlow does not report a shard that ends within a header.
        if read != files.read_size(there):
            found = framing.find_damage(path)
            raise ValueError(
                _describe_damage([f"{path}, record {index}: {what}" for index, what in found])
            )
    packed = {path for path, there in zip(paths, plain, strict=True) if path != there}
    return Scan(paths, parts, form, packed)


def unpack_shards(paths, progress):
    """Return the paths of shards, of an unpacked copy where they are gzip or zlib files.

    Args:
        paths: paths of the shards.
        progress: show a progress bar on the standard error if it takes seconds.

    Returns:
        A list of str.

    Raises:
        ValueError: compressed files are damaged or cut off; the message names them.
    """
    from tqdm import tqdm

    def unpack(path):
        try:
            return unpacking.get_plain(path), None
        except ValueError as error:
            return path, str(error)

    hidden = None if progress else True
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(unpack, paths)
        bar = tqdm(found, "unpacking", len(paths), unit=" shards", delay=1, disable=hidden)
        plain, faults = zip(*bar, strict=True)
    if any(faults):
        raise ValueError(_describe_damage(list(filter(None, faults))))
    return list(plain)


def _describe_damage(found):
    """Return the error message for damaged records."""
    what = programs.format_list(found)
    return f"Records cannot be read. Download or write their shards again. Records:\n  {what}"


def _read_columns(paths, form):
    """Return a dataset of `(shard, columns of a batch of records)` for `Scan`."""
    import tensorflow as tf

    words = [form.filename, form.synset, form.text]
    features = {key: tf.io.FixedLenFeature([], tf.string, "") for key in words if key}
    if form.label:
        features[form.label] = tf.io.FixedLenFeature([], tf.int64, -1)

    def parse(shard, batch):
        lengths = tf.strings.length(batch)
        example = tf.io.parse_example(batch, features) if features else {}
        missing = {"": tf.fill(tf.shape(batch), "")}  # the key of absent names
        labels = example[form.label] if form.label else -tf.ones_like(lengths, tf.int64)
        return shard, (lengths, labels, *((example | missing)[key] for key in words))

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


def _find_faults(path, form):
    """Yield `(record number, error)` for each unreadable record of a shard."""
    for record, what in framing.walk_records(path, form):
        try:
            if not what:
                record.read()
        except ValueError as error:
            what = str(error).removeprefix(f"{record}: ")
        if what:
            yield record.index, what
