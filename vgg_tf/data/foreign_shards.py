"""Third-party shards: TF-Slim, Cloud TPU, TensorFlow Datasets.

Labels of TF-Slim and Cloud TPU start at 1, those of TensorFlow Datasets at 0, and others vary. The
number of the first class follows from the labels, or the user gives it. There is no default.
"""

import re

import numpy as np

from vgg_tf.records import collection, schema
from vgg_tf.records.scanning import scan_shards
from vgg_tf.records.splits import SPLIT_NAMES, Source
from vgg_tf.runtime import files

# train-00000-of-01024, flowers_train_00000-of-00005.tfrecord, mnist-train.tfrecord-00000-of-00001.
SHARD = re.compile(
    r"(?:.+[-_./])?(?P<split>train|validation|valid|val|test)[-_.]"
    r"(?:(?P<suffix>[a-z]\w*)-)?(?P<index>\d{5})-of-(?P<count>\d{5})(?:\.tfrecords?)?"
)


def find_shards(folder):
    """Find third-party shards in a folder, or in its folders of splits such as `train/`.

    Args:
        folder: path of the folder.

    Returns:
        `{split: [path of each shard, in order]}`; may be empty.

    Raises:
        FileNotFoundError: shards of a split are missing; the message names them.
        ValueError: a split has two sets of shards, or shards in another format than TFRecord.
    """
    splits = {}
    for (split, _, count), shards in sorted(_group_shards(folder).items()):
        count = int(count)
        if split in splits:
            raise ValueError(
                f"{folder} must have one set of {split} shards. Received two: {splits[split][0]} "
                f"and {folder}/{next(iter(shards.values()))}. Move one set to another folder."
            )
        if missing := sorted(set(range(count)) - set(shards)):
            raise FileNotFoundError(
                f"{folder} must have all {count} {split} shards. Received "
                f"{next(iter(shards.values()))} without the numbers "
                f"{', '.join(map(str, missing[:5]))} ({len(missing)} missing). Download them."
            )
        splits[split] = [f"{folder}/{shards[i]}" for i in range(count)]
    return splits


def _group_shards(folder):
    """Return `{(split, prefix of the names, count): {index: name}}` of a folder's shards."""
    found, there = {}, files.list_names(folder) if files.is_folder(folder) else []
    for below in [
        name
        for name in there
        if name.lower() in SPLIT_NAMES and files.is_folder(f"{folder}/{name}")
    ]:
        there += [
            f"{below}/{name}" for name in files.list_names(f"{folder}/{below}")
        ]  # the layout of Cloud TPU
    for name in there:
        if match := SHARD.fullmatch(name):
            if match["suffix"] not in (None, "tfrecord", "tfrecords"):
                raise ValueError(
                    f"Shards must be TFRecord files. Received: {folder}/{name}. Prepare the "
                    "dataset again with file_format='tfrecord'."
                )
            of_set = found.setdefault(
                (SPLIT_NAMES[match["split"]], name[: match.start("index")], match["count"]), {}
            )
            of_set[int(match["index"])] = name
    return found


def open_shards(folder, splits, labels_from=None, progress=True, classes=None):
    """Return a source of the records of shards, third-party or our own.

    All shards are read once.

    Args:
        folder: path of the folder.
        splits: `{split: [path of each shard]}`, as `find_shards` returns it.
        labels_from: 0 or 1, the number of the first class; None to find it from the labels.
        progress: whether to show a bar with throughput and ETA on the standard error.
        classes: names of the classes if they are known. Labels then count from 0.

    Returns:
        A `splits.Source` whose contents are `framing.Record`s.

    Raises:
        ValueError: shards are damaged, images have no labels, or the labels do not show the number
            of the first class; the message names the record or the folder.
    """
    ours = collection.Collection.read(folder) if collection.holds_shards(folder) else None
    known = (
        (classes, ()) if classes else (ours.classes, ours.texts) if ours else _read_classes(folder)
    )
    if known and labels_from:
        raise ValueError(
            "--labels-from is only for shards without class names. Received: --labels-from "
            f"{labels_from} for {folder}, which has class names. Remove the flag."
        )
    scans = {split: scan_shards(paths, progress) for split, paths in splits.items()}
    scans, notes = _drop_unlabeled(scans, known, labels_from)
    if "train" not in scans and not ours:
        raise ValueError(
            f"{folder} must have train shards with labels. Received: {', '.join(splits)} shards, "
            f"with labels in {', '.join(scans) or 'no split'}. Add train shards with labels."
        )
    for split, scan in scans.items():
        if (scan.labels < 0).any():
            place = scan.describe_place(np.argmax(scan.labels < 0))
            raise ValueError(
                f"{place} has no label, unlike other {split} records. Remove the record, or add "
                "its label."
            )
    labels = np.unique(np.concatenate([scan.labels for scan in scans.values()]))
    base = 0 if known else _find_base(folder, scans, labels_from)
    _check_range(scans, labels, base, known)
    if not known:
        how = "as given" if labels_from is not None else "found from the labels"
        notes.append(f"labels {labels[0]} to {labels[-1]}: first class is {base}, {how}")
        if base + len(labels) <= labels[-1]:
            notes.append(f"{labels[-1] - base + 1 - len(labels)} of the classes have no images")
    for split, scan in scans.items() if ours else ():
        ours.compare(folder, split, scan.counts)
    names, texts = known or _name_classes(scans, base, labels[-1] + 1 - base)
    found = {split: scan.make_split(base, names) for split, scan in scans.items()}
    return Source(str(folder), tuple(names), found, tuple(notes), tuple(texts))


def _read_classes(folder):
    """Return names and descriptions from the label file of TensorFlow Datasets, or None."""
    labels = f"{folder}/{schema.TFDS.label}.labels.txt"
    return (files.read(labels).decode().splitlines(), ()) if files.exists(labels) else None


def _drop_unlabeled(scans, known, labels_from):
    """Drop the splits in which no record has a label.

    Args:
        scans: `{split: scanning.Scan}`.
        known: class names and their descriptions, or None.
        labels_from: as for `open_shards`.

    Returns:
        scans: the remaining ones, `{split: scanning.Scan}`.
        notes: a list with a note about each dropped split.
    """
    train = scans["train"].labels if "train" in scans else np.zeros(1)
    # If labels count from 1, a 0 means that there is no label.
    least = 1 if not known and labels_from != 0 and train.min() > 0 else 0
    unlabeled = [split for split, scan in scans.items() if (scan.labels < least).all()]
    notes = [f"the {split} images have no labels: left out" for split in unlabeled]
    return {split: scan for split, scan in scans.items() if split not in unlabeled}, notes


def _find_base(folder, scans, declared):
    """Return the number of the first class: the given one, or the one the labels show."""
    if declared is not None:
        return declared
    labels_of = {split: np.unique(scan.labels) for split, scan in scans.items()}
    labels = np.unique(np.concatenate(list(labels_of.values())))
    from_0 = {split: found[-1] for split, found in labels_of.items() if found[0] == 0}
    # Splits other than train may lack classes. No label may exceed those of the splits that count
    # from 0.
    if from_0 and ("train" not in from_0 or labels[-1] > max(from_0.values())):
        ranges = ", ".join(
            f"{split} {found[0]} to {found[-1]}" for split, found in labels_of.items()
        )
        raise ValueError(
            f"The labels of all splits of {folder} must count from the same number. Received: "
            f"{ranges}. Write the shards again, or give --labels-from 0 or --labels-from 1 for all "
            "splits."
        )
    if from_0:
        return 0
    if labels[0] == 1 and len(labels) == labels[-1]:
        return 1
    raise ValueError(
        f"The labels of {folder} must show whether they count from 0 or from 1. Received: "
        f"{len(labels)} numbers from {labels[0]} to {labels[-1]}. Give --labels-from 0 or "
        "--labels-from 1 (TF-Slim and Cloud TPU count from 1)."
    )


def _check_range(scans, labels, base, known):
    """Check that each label belongs to a class.

    Args:
        scans: `{split: scanning.Scan}`.
        labels: all different labels, ascending.
        base: number of the first class.
        known: class names and their descriptions, or None.

    Raises:
        ValueError: a label is out of range; the message names the record.
    """
    if labels[0] >= base and not (known and labels[-1] >= len(known[0])):
        return
    wrong = labels[0] if labels[0] < base else labels[-1]
    scan = next(scan for scan in scans.values() if wrong in scan.labels)
    numbers = f"from {base} to {len(known[0]) - 1}" if known else f"of at least {base}"
    raise ValueError(
        f"{scan.describe_place(np.argmax(scan.labels == wrong))} must have a label {numbers}. "
        f"Received: {wrong}. "
        + ("Fix the class list or the shards." if known else "Give another --labels-from.")
    )


def _name_classes(scans, base, n):
    """Return names and descriptions of the classes from the records.

    Args:
        scans: `{split: scanning.Scan}`.
        base: number of the first class.
        n: number of classes.

    Returns:
        names: a list of `n` str; the number of a class stands for a missing name.
        texts: a list of `n` descriptions, or an empty list.

    Raises:
        ValueError: a label has two names; the message names a record.
    """
    names, texts = [None] * n, [""] * n
    for scan in scans.values():
        given = np.where(scan.synsets != b"", scan.synsets, scan.texts)
        for i in np.unique(
            np.char.add(np.char.mod(b"%d ", scan.labels), given.astype(bytes)), return_index=True
        )[1]:
            label, name = scan.labels[i] - base, given[i].decode(errors="replace")
            if name and names[label] not in (None, name):
                raise ValueError(
                    f"Label {label + base} must have one name. Received: {names[label]!r}, and "
                    f"{name!r} in {scan.describe_place(i).rstrip(',')}. Fix the shards."
                )
            names[label] = name or names[label]
            texts[label] = scan.texts[i].decode(errors="replace") or texts[label]
    names = [name or str(label) for label, name in enumerate(names)]
    if len(set(names)) < n:
        names = [f"{label} {name}" for label, name in enumerate(names)]
    return names, texts if any(
        text not in ("", name) for text, name in zip(texts, names, strict=True)
    ) else []
