"""Verify shards: `python -m tfrecords_tools.verify SHARDS` reads every record, decodes every image, and lists what is wrong."""

import os
import sys
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import tyro

from vgg_tf import files, programs, records


@dataclass(frozen=True)
class Flags:
    """Read shards through: checksums, counts, labels, images, boxes, names. Exit code 1, and a list, if anything is wrong."""

    shards: Annotated[str, tyro.conf.Positional]
    """Folder that tfrecords_tools.write has written, here or gs://."""


class Finding(NamedTuple):
    """Something that is wrong.

    Attributes:
        file: path.
        record: number in the file, from 0; -1 for the file as a whole.
        what: in words.
    """

    file: str
    record: int
    what: str

    def __str__(self):
        where = f"{self.file}, record {self.record}" if self.record >= 0 else self.file
        return f"{where}: {self.what}"


def verify(folder, progress=True):
    """Compare shards with their checksums, with `dataset.json`, and with what an image is.

    Args:
        folder: of the shards.
        progress: a bar with rate and ETA; a line every 30 s where there is no terminal.

    Returns:
        list of `Finding`, by split, file and record; empty if all is well.

    Raises:
        FileNotFoundError, ValueError: there is no dataset.json, or it cannot be read.
    """
    folder = str(folder)
    if not records.holds_shards(folder):
        raise FileNotFoundError(
            f"{folder} holds no dataset.json. Shards of other writers are checked while they are copied: "
            f"python -m tfrecords_tools.write {folder} OUT"
        )
    collection = records.Collection.read(folder)
    there = set(files.names(folder))
    findings, expected, first = [], {records.COLLECTION_FILE}, {}
    for split, described in collection.splits.items():
        count = described["shards"]
        names = [records.shard_name(split, i, count) for i in range(count)]
        expected |= set(names)
        findings += [Finding(os.path.join(folder, name), -1, "the shard is missing") for name in names if name not in there]
        paths = [os.path.join(folder, name) for name in names if name in there]
        for path in list(paths):
            try:
                files.read(path, 0, 1)
            except OSError as error:  # tf.data would try for ever
                findings.append(Finding(path, -1, f"cannot be read: {error}"))
                paths.remove(path)
        findings += _of_split(folder, collection, split, paths, first, progress)
    strangers = sorted(name for name in there - expected if "-of-" in name)
    return findings + [Finding(os.path.join(folder, name), -1, "dataset.json knows no such shard") for name in strangers]


def _of_split(folder, collection, split, paths, first, progress):
    """Findings of the shards of a split; `first` remembers where each file name was seen."""
    described = collection.splits[split]
    findings, good, per_class, boxes = [], 0, [0] * len(collection.classes), 0
    for path, index, fields in _read_through(paths, described["images"], split, progress):
        if isinstance(fields, str):  # what is wrong with a record that cannot be read
            findings.append(Finding(path, index, fields))
            continue
        wrong = list(_faults(fields, collection.classes))
        before = first.setdefault(fields["filename"], (path, index))
        if before != (path, index):
            wrong.append(f"{fields['filename'].decode(errors='replace')} is already in {before[0]}, record {before[1]}")
        findings += [Finding(path, index, what) for what in wrong]
        good += 1
        if 0 <= fields["label"] < len(per_class):
            per_class[fields["label"]] += 1
        boxes += len(fields["box_labels"])
    findings.sort(key=lambda finding: (finding.file, finding.record))
    counts = [("images", good, described["images"]), ("boxes", boxes, described["boxes"])]
    if good == described["images"]:
        of_class = zip(collection.classes, per_class, described["per_class"], strict=True)
        counts += [(f"images of class {name}", here, there) for name, here, there in of_class]
    json = os.path.join(folder, records.COLLECTION_FILE)
    wrong = [f"it tells of {there:,} {split} {what}, {here:,} can be read" for what, here, there in counts if here != there]
    return findings + [Finding(json, -1, what) for what in wrong]


def _read_through(paths, total, split, progress):
    """`(path, index, fields)` of each record of some shards; in place of its fields, what is wrong with a damaged one."""
    import tensorflow as tf
    from tqdm import tqdm

    if not paths:
        return
    pace = 0.1 if sys.stderr.isatty() else 30

    def records_of(shard, path):
        return tf.data.TFRecordDataset(path, buffer_size=2**23).enumerate().map(lambda i, serialized: (shard, i, serialized))

    shards = tf.data.Dataset.from_tensor_slices(paths).enumerate().flat_map(records_of)
    looks = shards.map(lambda shard, i, serialized: (shard, i, _look(serialized)), num_parallel_calls=tf.data.AUTOTUNE)
    # A damaged record ends its shard, an undecodable image is left out: what is missing is looked at by itself.
    found = looks.ignore_errors(log_warning=False).prefetch(tf.data.AUTOTUNE).as_numpy_iterator()
    seen, read = [set() for _ in paths], [0] * len(paths)
    for shard, index, fields in tqdm(found, desc=split, total=total, unit=" records", mininterval=pace, disable=not progress):
        seen[shard].add(index)
        read[shard] += records.BEFORE + int(fields["bytes"]) + records.AFTER
        yield paths[shard], int(index), fields
    for path, indices, n in zip(paths, seen, read, strict=True):
        if n != files.size(path):
            yield from ((path, index, fields) for index, fields in _walk(path, indices))


def _walk(path, seen):
    """`(index, fields)` of the records of a shard that are not among the `seen` ones; or what is wrong with them."""
    import tensorflow as tf

    from vgg_tf.measures import decode_named

    for record, what in records.walk(path):
        if what:
            yield record.index, what
        elif record.index not in seen:
            try:
                fields = record.read()
                decode_named(fields.encoded, fields.filename or "its image")
                looked = _look(files.read(path, record.offset, record.length))
                yield record.index, tf.nest.map_structure(lambda value: value.numpy(), looked)
            except ValueError as error:
                yield record.index, str(error).removeprefix(f"{path}, record {record.index}: ")


def _look(serialized):
    """All that a record says beside its image, and what the image is; in a graph."""
    import tensorflow as tf

    from vgg_tf import images

    encoded, fields = records.parse_all(serialized)
    image = images.decode(encoded)
    seen = {"decoded_shape": tf.shape(image), "begins": tf.strings.substr(encoded, 0, 4)}
    return fields | seen | {"bytes": tf.strings.length(serialized)}


def _faults(fields, classes):
    """What is wrong with a record whose image can be decoded, in words."""
    from vgg_tf.images import JPEG, PNG

    label, (h, w, _) = int(fields["label"]), fields["decoded_shape"]
    if not 0 <= label < len(classes):
        yield f"label {label} is out of the range of 0 to {len(classes) - 1}"
    elif (name := fields["class_name"].decode(errors="replace")) != classes[label]:
        yield f"label {label} is {classes[label]} by dataset.json, {name} by the record"
    if (fields["height"], fields["width"]) != (h, w):
        yield f"the image is {h} by {w} pixels, the record says {fields['height']} by {fields['width']}"
    magic = {b"JPEG": JPEG, b"PNG": PNG}.get(fields["format"])
    if magic is None or not fields["begins"].startswith(magic):
        yield f"the image is not the {fields['format'].decode(errors='replace') or 'JPEG or PNG'} that the record says"
    xmin, ymin, xmax, ymax = corners = fields["corners"]
    if len({len(values) for values in (*corners, fields["box_labels"])}) > 1:
        yield "its boxes have corners or labels missing"
    elif not all(((low >= 0) & (low <= high) & (high <= 1)).all() for low, high in ((xmin, xmax), (ymin, ymax))):
        yield "a box does not lie within 0 and 1"
    elif not all(0 <= label < len(classes) for label in fields["box_labels"]):
        yield "a box has a label out of range"


def main():
    """Parse the flags, verify, print what is wrong."""
    flags = tyro.cli(Flags, prog="python -m tfrecords_tools.verify")
    programs.quiet_tensorflow()
    findings = verify(flags.shards)
    collection = records.Collection.read(flags.shards)
    shards = sum(values["shards"] for values in collection.splits.values())
    n = sum(values["images"] for values in collection.splits.values())
    for finding in findings:
        print(finding)
    if findings:
        print(
            f"{len(findings)} findings in {len({finding.file for finding in findings})} files. Delete the shards named: the "
            "command that wrote them restores them."
        )
        sys.exit(1)
    print(f"{flags.shards}: {shards} shards, {n:,} records, all is well")


if __name__ == "__main__":
    programs.run(main)
