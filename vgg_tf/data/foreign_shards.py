"""Third-party shards: TF-Slim, Cloud TPU, TensorFlow Datasets.

Labels of slim and Cloud TPU begin at 1, those of tensorflow-datasets at 0, others vary: the base is
read off the labels, or declared, never assumed.
"""

import contextlib
import os
import re

import numpy as np

from vgg_tf.records import collection, integrity, schema
from vgg_tf.records.splits import SPLIT_NAMES, Source, Split
from vgg_tf.runtime import files, quiet

# train-00000-of-01024, flowers_train_00000-of-00005.tfrecord, mnist-train.tfrecord-00000-of-00001.
SHARD = re.compile(
    r"(?:.+[-_./])?(?P<split>train|validation|valid|val|test)[-_.](?:(?P<suffix>[a-z]\w*)-)?(?P<index>\d{5})-of-(?P<count>\d{5})"
    r"(?:\.tfrecords?)?"
)
BATCH = 64  # records parsed at a time


def shards_in(folder):
    """`{split: [path of each shard, in order]}` of a folder of foreign shards, or of its `train/`
    and so on; may be empty.

    Raises:
        FileNotFoundError: some of a split's shards are missing; the message names them.
        ValueError: shards in a format that TensorFlow does not read.
    """
    found, there = {}, files.names(folder) if files.is_folder(folder) else []
    for below in [
        name
        for name in there
        if name.lower() in SPLIT_NAMES and files.is_folder(f"{folder}/{name}")
    ]:
        there += [f"{below}/{name}" for name in files.names(f"{folder}/{below}")]  # as Cloud TPU's
    for name in there:
        if match := SHARD.fullmatch(name):
            if match["suffix"] not in (None, "tfrecord", "tfrecords"):
                raise ValueError(
                    f"{folder}/{name} is no TFRecord file. Prepare the set anew with "
                    "file_format='tfrecord'."
                )
            of_set = found.setdefault(
                (SPLIT_NAMES[match["split"]], name[: match.start("index")], match["count"]), {}
            )
            of_set[int(match["index"])] = name
    splits = {}
    for (split, _, count), shards in sorted(found.items()):
        count = int(count)
        if split in splits:
            raise ValueError(f"{folder} holds {split} shards of two sets. Move one of them away.")
        if missing := sorted(set(range(count)) - set(shards)):
            raise FileNotFoundError(
                f"{len(missing)} of {count} {split} shards in {folder} are missing: "
                f"{', '.join(map(str, missing[:5]))}, beside {next(iter(shards.values()))}. "
                "Fetch them."
            )
        splits[split] = [f"{folder}/{shards[i]}" for i in range(count)]
    return splits


def open_shards(folder, splits, labels_from=None, progress=True, classes=None):
    """List the records of foreign shards, or of our own, by reading them through once.

    Args:
        folder: path.
        splits: what `shards_in` gives, or the same of our own shards.
        labels_from: 0 or 1, the number of the first class; None to read it off the labels.
        progress: a bar with rate and ETA on the standard error.
        classes: names of the classes where they are known, labels then count from 0.

    Returns:
        A `splits.Source` whose contents are `schema.Record`.

    Raises:
        ValueError: damaged shards, unlabelled images, or labels that leave the base open; the
            message names what and where.
    """
    ours = collection.Collection.read(folder) if collection.holds_shards(folder) else None
    known = (
        (classes, ()) if classes else (ours.classes, ours.texts) if ours else _class_names(folder)
    )
    if known and labels_from:
        raise ValueError(
            f"{folder} tells its classes, from 0 on. Leave --labels-from {labels_from} away."
        )
    scanned = {split: _scan(paths, progress) for split, paths in splits.items()}
    notes, train = [], scanned["train"].labels if "train" in scanned else np.zeros(1)
    # Where labels count from 1, 0 is none.
    least = 1 if not known and labels_from != 0 and train.min() > 0 else 0
    for split in [split for split, scan in scanned.items() if (scan.labels < least).all()]:
        notes.append(f"the {split} images have no labels: left out")
        del scanned[split]
    if "train" not in scanned and not ours:
        raise ValueError(f"{folder} has no labelled train shards, only {', '.join(splits)}.")
    for scan in scanned.values():
        if (scan.labels < 0).any():
            raise ValueError(f"{scan.where(np.argmax(scan.labels < 0))} has no label. Remove it.")
    labels = np.unique(np.concatenate([scan.labels for scan in scanned.values()]))
    base = (
        0
        if known
        else _base(
            folder, {split: np.unique(scan.labels) for split, scan in scanned.items()}, labels_from
        )
    )
    if labels[0] < base or (known and labels[-1] >= len(known[0])):
        wrong = labels[0] if labels[0] < base else labels[-1]
        scan = next(scan for scan in scanned.values() if wrong in scan.labels)
        numbers = f"{base} to {len(known[0]) - 1}" if known else f"{base} on"
        raise ValueError(
            f"{scan.where(np.argmax(scan.labels == wrong))} has the label {wrong}, out of the "
            f"range of {numbers}. "
            + ("Mend the class list, or the shards." if known else "Give another --labels-from.")
        )
    if not known:
        how = "as declared" if labels_from is not None else "as they show"
        notes.append(f"labels {labels[0]} to {labels[-1]}: counted from {base}, {how}")
        if base + len(labels) <= labels[-1]:
            notes.append(f"{labels[-1] - base + 1 - len(labels)} classes between have no images")
    for split, scan in scanned.items() if ours else ():
        ours.compare(folder, split, scan.counts)
    names, texts = known or _names_in_records(scanned, base, labels[-1] + 1 - base)
    found = {split: scan.split(base, names) for split, scan in scanned.items()}
    return Source(str(folder), tuple(names), found, tuple(notes), tuple(texts))


class _Scan:
    """Positions, labels and names of the records of some shards, in order."""

    def __init__(self, paths):
        self.paths, self.shards = paths, [[] for _ in paths]

    def close(self):
        self.counts = [sum(len(part[0]) for part in parts) for parts in self.shards]
        columns = list(zip(*(part for parts in self.shards for part in parts), strict=True))
        if not columns:
            raise ValueError(
                f"{self.paths[0]} and the {len(self.paths) - 1} beside it hold no records."
            )
        self.lengths, self.labels, self.filenames, self.synsets, self.texts = map(
            np.concatenate, columns
        )

    def where(self, i):
        shard = np.searchsorted(np.cumsum(self.counts), i, side="right")
        return f"{self.paths[shard]}, record {i - sum(self.counts[:shard])},"

    def split(self, base, classes):
        contents, at = [], 0
        for path, count in zip(self.paths, self.counts, strict=True):
            lengths = self.lengths[at : at + count].tolist()
            offset = 0
            for index, length in enumerate(lengths):
                contents.append(schema.Record(path, index, offset + schema.BEFORE, length))
                offset += schema.BEFORE + length + schema.AFTER
            at += count
        labels = self.labels - base
        names = [name.decode(errors="replace") for name in self.filenames]
        if len(set(names)) < len(names):  # none, or base names that occur in several classes
            names = [f"{classes[label]}/{name}" for label, name in zip(labels, names, strict=True)]
        if len(set(names)) < len(names):
            names = [f"{os.path.basename(record.path)}/{record.index}" for record in contents]
        return Split(names, labels, contents)


def _scan(paths, progress):
    from tqdm import tqdm

    tf = quiet.quiet_tensorflow()

    from vgg_tf.runtime.pipelines import untuned

    form = schema.TFDS if is_tfds(paths) else schema.SLIM
    words = [form.filename, schema.SYNSET, schema.TEXT]
    features = {key: tf.io.FixedLenFeature([], tf.string, "") for key in words}
    features[form.label] = tf.io.FixedLenFeature([], tf.int64, -1)

    def columns(shard, batch):
        example = tf.io.parse_example(batch, features)
        return shard, (
            tf.strings.length(batch),
            example[form.label],
            *(example[key] for key in words),
        )

    def of_shard(shard, path):
        return (
            tf.data.TFRecordDataset(path, buffer_size=2**23)
            .batch(BATCH)
            .map(lambda batch: columns(shard, batch))
        )

    shards = tf.data.Dataset.from_tensor_slices(paths).enumerate()
    parts = shards.interleave(
        of_shard, cycle_length=4, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    scan = _Scan(paths)
    with tqdm(
        unit=" records",
        desc=os.path.dirname(paths[0]),
        disable=None if progress else True,
        mininterval=0.5,
    ) as bar:
        try:
            for shard, part in untuned(parts.prefetch(8)).as_numpy_iterator():
                scan.shards[shard].append([part[0].astype(np.int64), *part[1:]])
                bar.update(len(part[0]))
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            found = [
                f"{path}, record {index}: {what}" for path in paths for index, what in _faults(path)
            ]
            what = "\n  ".join(found) or f"{paths[0]} or one beside it: {error}"
            raise ValueError(
                f"these shards cannot be read; fetch or write them anew:\n  {what}"
            ) from None
    for path, parts in zip(paths, scan.shards, strict=True):
        read = sum(
            int(part[0].sum()) + len(part[0]) * (schema.BEFORE + schema.AFTER) for part in parts
        )
        if read != files.size(path):  # TensorFlow takes a shard that ends within a header for whole
            what = "\n  ".join(
                f"{path}, record {index}: {what}" for index, what in integrity.damages(path)
            )
            raise ValueError(f"these shards cannot be read; fetch or write them anew:\n  {what}")
    scan.close()
    return scan


def _faults(path):
    """`(record number, what is wrong)` of the records of a shard that the scan could not take."""
    for record, what in integrity.walk(path):
        try:
            if not what:
                record.read()
        except ValueError as error:
            what = str(error).removeprefix(f"{path}, record {record.index}: ")
        if what:
            yield record.index, what


def is_tfds(paths):
    """Tell by its first record whether a shard has the keys of tensorflow-datasets."""
    from google.protobuf.message import DecodeError

    tf = quiet.quiet_tensorflow()

    for path in paths:
        with contextlib.suppress(tf.errors.OpError, DecodeError):  # the scan will name it
            for serialized in tf.data.TFRecordDataset(path, buffer_size=2**16).take(1):
                return (
                    schema.TFDS.encoded
                    in tf.train.Example.FromString(serialized.numpy()).features.feature
                )
    return False


def _class_names(folder):
    """Class names and texts that lie beside the shards, in the label file of
    tensorflow-datasets.
    """
    labels = f"{folder}/{schema.TFDS.label}.labels.txt"
    return (files.read(labels).decode().splitlines(), ()) if files.exists(labels) else None


def _base(folder, labels_of, declared):
    """The number of the first class, from the ascending labels of each split."""
    if declared is not None:
        return declared
    labels = np.unique(np.concatenate(list(labels_of.values())))
    from_0 = {split: found[-1] for split, found in labels_of.items() if found[0] == 0}
    # Classes that some split lacks are no matter, but one that train lacks, or a number beyond
    # those that count from 0, is.
    if from_0 and ("train" not in from_0 or labels[-1] > max(from_0.values())):
        ranges = ", ".join(
            f"those of {split} {found[0]} to {found[-1]}" for split, found in labels_of.items()
        )
        raise ValueError(
            f"the labels of {folder} count from 0 in some splits and from 1 in others: "
            f"{ranges}. Write them anew, or say what holds for all with --labels-from 0 or "
            "--labels-from 1."
        )
    if from_0:
        return 0
    if labels[0] == 1 and len(labels) == labels[-1]:
        return 1
    raise ValueError(
        f"the labels of {folder} are {len(labels)} numbers from {labels[0]} to {labels[-1]}: "
        "from 0 or from 1 on? Say --labels-from 0 or --labels-from 1 (slim and Cloud TPU count "
        "from 1)."
    )


def _names_in_records(scanned, base, n):
    """Class names and texts as the records give them; numbers where they give none.

    Raises:
        ValueError: one label has two names; the message names a record.
    """
    names, texts = [None] * n, [""] * n
    for scan in scanned.values():
        given = np.where(scan.synsets != b"", scan.synsets, scan.texts)
        for i in np.unique(
            np.char.add(np.char.mod(b"%d ", scan.labels), given.astype(bytes)), return_index=True
        )[1]:
            label, name = scan.labels[i] - base, given[i].decode(errors="replace")
            if name and names[label] not in (None, name):
                raise ValueError(
                    f"{scan.where(i)} calls label {label + base} {name!r}, others call it "
                    f"{names[label]!r}."
                )
            names[label] = name or names[label]
            texts[label] = scan.texts[i].decode(errors="replace") or texts[label]
    names = [name or str(label) for label, name in enumerate(names)]
    if len(set(names)) < n:
        names = [f"{label} {name}" for label, name in enumerate(names)]
    return names, texts if any(
        text not in ("", name) for text, name in zip(texts, names, strict=True)
    ) else []
