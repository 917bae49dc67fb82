"""Third-party shards: TF-Slim, Cloud TPU, TensorFlow Datasets, Kaggle and others.

Labels of TF-Slim and Cloud TPU start at 1, those of TensorFlow Datasets at 0, and others vary. The
number of the first class follows from the labels, or the user gives it. There is no default.
"""

import os

import numpy as np

from vgg_tf.records import keys, schema, unpacking
from vgg_tf.records.scanning import scan_shards, unpack_shards
from vgg_tf.records.splits import Source
from vgg_tf.runtime import files

NAMED = 20  # shards without records that are named


def open_shards(
    folder, splits, labels_from=None, progress=True, classes=None, ours=None, given_keys=""
):
    """Return a source of the records of shards, third-party or our own.

    All shards are read once.

    Args:
        folder: path of the folder.
        splits: `{split: [path of each shard]}`, as in `shard_files.Found`.
        labels_from: 0 or 1, the number of the first class; None to find it from the labels.
        progress: whether to show a bar with throughput and ETA on the standard error.
        classes: names of the classes if they are known. Labels then count from 0.
        ours: the `collection.Collection` of shards of vgg_tf; None for third-party shards.
        given_keys: keys of the features, as for `keys.parse_keys`; empty to find them.

    Returns:
        A `splits.Source` whose contents are `framing.Record`s.

    Raises:
        ValueError: shards are damaged, images have no labels, or the labels do not show the number
            of the first class; the message names the record or the folder.
    """
    if classes or ours:
        known = (classes, ()) if classes else (ours.classes, ours.texts)
    else:
        known = _read_classes(os.path.dirname(next(iter(splits.values()))[0]))
    if known and labels_from:
        raise ValueError(
            "--labels-from is only for shards without class names. Received: --labels-from "
            f"{labels_from} for {folder}, which has class names. Remove the flag."
        )
    if ours:
        scans, notes = {split: scan_shards(splits[split], progress) for split in splits}, []
    else:
        scans, notes = _scan(splits, progress, given_keys)
        known = _number_names(scans, known)
    scans, unlabeled = _drop_unlabeled(scans, known, labels_from)
    notes += unlabeled
    if "train" not in scans and not ours:
        raise ValueError(
            f"{folder} must have train shards with labels. Received: {', '.join(splits)} shards, "
            f"with labels in {', '.join(scans) or 'no split'}: "
            f"{keys.look_at(splits.get('train') or next(iter(splits.values())))}. Add train shards "
            "with labels, or name the keys, such as --keys image=KEY,label=KEY."
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


def _scan(splits, progress, given_keys):
    """Scan third-party shards.

    Args:
        splits: as for `open_shards`.
        progress: as for `open_shards`.
        given_keys: as for `open_shards`.

    Returns:
        scans: `{split: scanning.Scan}` of the splits with records.
        notes: a list of notes about compressed shards and shards without records.

    Raises:
        ValueError: as for `open_shards`.
    """
    scans, notes, copies, form = {}, [], [], None
    for split in sorted(splits, key=lambda split: split != "train"):
        paths = splits[split]
        plain = unpack_shards(paths, progress)
        form = keys.find_form(keys.look_at(plain), given_keys, form)
        copies += [copy for copy, path in zip(plain, paths, strict=True) if copy != path]
        counts = [0] * len(paths)
        if split == "train" or any(map(files.read_size, plain)):
            scans[split] = scan_shards(paths, progress, form, plain)
            counts = scans[split].counts
        names = [os.path.basename(path) for path, n in zip(paths, counts, strict=True) if not n]
        notes += [f"{name} has no records" for name in names[:NAMED]]
        notes += [f"and {len(names) - NAMED} more shards without records"] * (len(names) > NAMED)
    # In the order of `splits` again.
    return {split: scans[split] for split in splits if split in scans}, [
        *unpacking.describe(copies),
        *notes,
    ]


def _number_names(scans, known):
    """Number the classes of shards that have names of classes, but no labels.

    Args:
        scans: `{split: scanning.Scan}`, whose labels are replaced.
        known: class names and their descriptions, or None.

    Returns:
        Class names and their descriptions; `known` if the shards have labels.
    """
    nameless = [scan for scan in scans.values() if not scan.form.label]
    if not nameless:
        return known
    there = np.unique(np.concatenate([scan.synsets.astype(bytes) for scan in nameless]))
    there = there[there != b""]
    for scan in nameless:
        at = np.searchsorted(there, scan.synsets.astype(bytes))
        scan.labels = np.where(scan.synsets == b"", -1, at)
    return [name.decode(errors="replace") for name in there.tolist()], ()


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
