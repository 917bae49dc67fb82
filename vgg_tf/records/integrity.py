"""Verification of shards, with errors by file and record.

It compares checksums, images, labels, boxes, names and counts with `dataset.json`.
"""

import os
from typing import NamedTuple

from vgg_tf.records.collection import COLLECTION_FILE, Collection, holds_shards, make_shard_name
from vgg_tf.records.copies import Copies, group_equal
from vgg_tf.records.record_checks import find_faults, read_records
from vgg_tf.runtime import files


class Finding(NamedTuple):
    """An error in a file or record.

    Attributes:
        file: path of the file.
        record: number of the record in the file, from 0; -1 for the whole file.
        what: description of the error.
    """

    file: str
    record: int
    what: str

    def __str__(self):
        where = f"{self.file}, record {self.record}" if self.record >= 0 else self.file
        return f"{where}: {self.what}"


class Report(NamedTuple):
    """The result of reading all shards of a folder.

    Attributes:
        findings: list of `Finding`, sorted by split, file and record; empty if there are no errors.
        copies: the `copies.Copies` among the readable images. They are not errors.
    """

    findings: list[Finding]
    copies: Copies


def verify(folder, progress=True):
    """Return the `findings` of `examine`, whose arguments and errors it has."""
    return examine(folder, progress).findings


def examine(folder, progress=True):
    """Check shards: checksums, images, and agreement with `dataset.json`. Find copies.

    Args:
        folder: folder of the shards.
        progress: show a progress bar; without a terminal, a line every 30 s.

    Returns:
        A `Report`.

    Raises:
        FileNotFoundError: the folder has no dataset.json.
        ValueError: dataset.json cannot be read.
    """
    folder = str(folder)
    if not holds_shards(folder):
        raise FileNotFoundError(
            f"{folder} must have a dataset.json. Received: a folder without one. To check "
            f"third-party shards, copy them: python -m tfrecords_tools.write {folder} OUT"
        )
    collection = Collection.read(folder)
    there = set(files.list_names(folder))
    findings, expected, digests = [], {COLLECTION_FILE}, {}
    for split, described in collection.splits.items():
        count = described["shards"]
        names = [make_shard_name(split, i, count) for i in range(count)]
        expected |= set(names)
        findings += [
            Finding(os.path.join(folder, name), -1, "the shard is missing")
            for name in names
            if name not in there
        ]
        paths = [os.path.join(folder, name) for name in names if name in there]
        for path in list(paths):
            try:
                files.read(path, 0, 1)
            except OSError as error:  # tf.data would retry without end
                findings.append(Finding(path, -1, f"cannot be read: {error}"))
                paths.remove(path)
        findings += _check_split(folder, collection, split, paths, progress, digests)
    strangers = sorted(name for name in there - expected if "-of-" in name)
    findings += [
        Finding(os.path.join(folder, name), -1, "the shard is not in dataset.json")
        for name in strangers
    ]
    return Report(findings, group_equal(list(digests), digests.values()))


def _check_split(folder, collection, split, paths, progress, digests):
    """Return the findings in the shards of a split.

    Args:
        folder: folder of the shards.
        collection: its `collection.Collection`.
        split: name of the split.
        paths: paths of its shards that can be read.
        progress: as for `examine`.
        digests: dict to which the digest of each readable image is added, by split and file name.

    Returns:
        A list of `Finding`.
    """
    described, first = collection.splits[split], {}  # first record of each file name
    findings, counts = [], _Counts(paths, len(collection.classes))
    for path, index, fields in read_records(paths, described["images"], split, progress):
        if isinstance(fields, str):  # the error of an unreadable record
            findings.append(Finding(path, index, fields))
            continue
        wrong = list(find_faults(fields, collection.classes))
        name = fields["filename"].decode(errors="replace")
        before = first.setdefault(fields["filename"], (path, index))
        if before != (path, index):
            wrong.append(f"{name} is already in {before[0]}, record {before[1]}")
        findings += [Finding(path, index, what) for what in wrong]
        counts.add(path, fields)
        digests[split, name] = int(fields["digest"])
    damaged = {finding.file for finding in findings}
    findings += counts.compare_shards(split, described, damaged)
    findings.sort(key=lambda finding: (finding.file, finding.record))
    json = os.path.join(folder, COLLECTION_FILE)
    return findings + [
        Finding(json, -1, f"it lists {there:,} {split} {what}, but {here:,} are readable")
        for what, here, there in counts.compare_totals(described, collection.classes)
    ]


class _Counts:
    """Counts of the readable records of a split, to compare with `dataset.json`."""

    def __init__(self, paths, classes):
        self.per_shard, self.per_class, self.boxes = dict.fromkeys(paths, 0), [0] * classes, 0

    def add(self, path, fields):
        self.per_shard[path] += 1
        if 0 <= fields["label"] < len(self.per_class):
            self.per_class[fields["label"]] += 1
        self.boxes += len(fields["box_labels"])

    def compare_shards(self, split, described, damaged):
        """Yield a finding for each undamaged shard with a wrong number of records.

        Such a shard was truncated between two records, or replaced.

        Args:
            split: name of the split.
            described: entry of the split in `Collection.splits`.
            damaged: paths of shards with other findings.

        Yields:
            `Finding`.
        """
        written = {
            make_shard_name(split, i, described["shards"]): n
            for i, n in enumerate(described.get("per_shard", ()))
        }
        for path in self.per_shard.keys() - damaged:
            here, there = self.per_shard[path], written.get(os.path.basename(path))
            if here != there and (there or not here):  # older files have no per_shard
                instead = f" instead of {there}" if there else ""
                yield Finding(path, -1, f"it has {here} images{instead}")

    def compare_totals(self, described, classes):
        """Return `(name, readable, in dataset.json)` for each count that differs."""
        good = sum(self.per_shard.values())
        counts = [("images", good, described["images"]), ("boxes", self.boxes, described["boxes"])]
        if good == described["images"]:
            of_class = zip(classes, self.per_class, described["per_class"], strict=True)
            counts += [(f"images of class {name}", here, there) for name, here, there in of_class]
        return [count for count in counts if count[1] != count[2]]
