"""Third-party shards: TF-Slim, Cloud TPU, TensorFlow Datasets.

Labels of slim and Cloud TPU begin at 1, those of tensorflow-datasets at 0, others vary. The number
of the first class is read off the labels, or declared, never assumed.
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
    """Find third-party shards in a folder, or in its `train/` and so on.

    Returns:
        `{split: [path of each shard, in order]}`; may be empty.

    Raises:
        FileNotFoundError: some of a split's shards are missing; the message names them.
        ValueError: shards in a format that TensorFlow does not read.
    """
    splits = {}
    for (split, _, count), shards in sorted(_group_shards(folder).items()):
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


def _group_shards(folder):
    """Return `{(split, beginning of the names, count): {index: name}}` of a folder's shards."""
    found, there = {}, files.list_names(folder) if files.is_folder(folder) else []
    for below in [
        name
        for name in there
        if name.lower() in SPLIT_NAMES and files.is_folder(f"{folder}/{name}")
    ]:
        there += [
            f"{below}/{name}" for name in files.list_names(f"{folder}/{below}")
        ]  # as Cloud TPU's
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
    return found


def open_shards(folder, splits, labels_from=None, progress=True, classes=None):
    """List the records of third-party shards, or of our own, by reading them through once.

    Args:
        folder: path.
        splits: what `find_shards` returns, or the same of our own shards.
        labels_from: 0 or 1, the number of the first class; None to read it off the labels.
        progress: a bar with rate and ETA on the standard error.
        classes: names of the classes where they are known, labels then count from 0.

    Returns:
        A `splits.Source` whose contents are `framing.Record`.

    Raises:
        ValueError: damaged shards, unlabeled images, or labels that leave the base open; the
            message names what and where.
    """
    ours = collection.Collection.read(folder) if collection.holds_shards(folder) else None
    known = (
        (classes, ()) if classes else (ours.classes, ours.texts) if ours else _read_classes(folder)
    )
    if known and labels_from:
        raise ValueError(
            f"{folder} tells its classes, from 0 on. Leave --labels-from {labels_from} away."
        )
    scans = {split: scan_shards(paths, progress) for split, paths in splits.items()}
    scans, notes = _drop_unlabeled(scans, known, labels_from)
    if "train" not in scans and not ours:
        raise ValueError(f"{folder} has no labelled train shards, only {', '.join(splits)}.")
    for scan in scans.values():
        if (scan.labels < 0).any():
            place = scan.describe_place(np.argmax(scan.labels < 0))
            raise ValueError(f"{place} has no label. Remove it.")
    labels = np.unique(np.concatenate([scan.labels for scan in scans.values()]))
    base = 0 if known else _find_base(folder, scans, labels_from)
    _check_range(scans, labels, base, known)
    if not known:
        how = "as declared" if labels_from is not None else "as they show"
        notes.append(f"labels {labels[0]} to {labels[-1]}: counted from {base}, {how}")
        if base + len(labels) <= labels[-1]:
            notes.append(f"{labels[-1] - base + 1 - len(labels)} classes between have no images")
    for split, scan in scans.items() if ours else ():
        ours.compare(folder, split, scan.counts)
    names, texts = known or _name_classes(scans, base, labels[-1] + 1 - base)
    found = {split: scan.make_split(base, names) for split, scan in scans.items()}
    return Source(str(folder), tuple(names), found, tuple(notes), tuple(texts))


def _read_classes(folder):
    """Return class names and texts from the label file of tensorflow-datasets, or None."""
    labels = f"{folder}/{schema.TFDS.label}.labels.txt"
    return (files.read(labels).decode().splitlines(), ()) if files.exists(labels) else None


def _drop_unlabeled(scans, known, labels_from):
    """Drop the splits without any label.

    Args:
        scans: `scanning.Scan` by split.
        known: class names and texts, or None.
        labels_from: as for `open_shards`.

    Returns:
        the other scans by split, and a list with a note about each split dropped.
    """
    train = scans["train"].labels if "train" in scans else np.zeros(1)
    # Where labels count from 1, a 0 is no label.
    least = 1 if not known and labels_from != 0 and train.min() > 0 else 0
    unlabeled = [split for split, scan in scans.items() if (scan.labels < least).all()]
    notes = [f"the {split} images have no labels: left out" for split in unlabeled]
    return {split: scan for split, scan in scans.items() if split not in unlabeled}, notes


def _find_base(folder, scans, declared):
    """Return the number of the first class, as declared or from the labels of each split."""
    if declared is not None:
        return declared
    labels_of = {split: np.unique(scan.labels) for split, scan in scans.items()}
    labels = np.unique(np.concatenate(list(labels_of.values())))
    from_0 = {split: found[-1] for split, found in labels_of.items() if found[0] == 0}
    # A class may be missing in any split but train, and no split may have a number beyond those of
    # the splits that count from 0.
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


def _check_range(scans, labels, base, known):
    """Raise a ValueError that names a record whose label is not of a class.

    Args:
        scans: `scanning.Scan` by split.
        labels: all labels that occur, ascending.
        base: number of the first class.
        known: class names and texts, or None.
    """
    if labels[0] >= base and not (known and labels[-1] >= len(known[0])):
        return
    wrong = labels[0] if labels[0] < base else labels[-1]
    scan = next(scan for scan in scans.values() if wrong in scan.labels)
    numbers = f"{base} to {len(known[0]) - 1}" if known else f"{base} on"
    raise ValueError(
        f"{scan.describe_place(np.argmax(scan.labels == wrong))} has the label {wrong}, out of the "
        f"range of {numbers}. "
        + ("Mend the class list, or the shards." if known else "Give another --labels-from.")
    )


def _name_classes(scans, base, n):
    """Return names and texts of `n` classes from the records; numbers where they have no names.

    Raises:
        ValueError: one label has two names; the message names a record.
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
                    f"{scan.describe_place(i)} calls label {label + base} {name!r}, others call it "
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
