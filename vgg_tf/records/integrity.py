"""Shards read through: whether checksums, images, labels, boxes, names and counts are right;
where not, by file and record.
"""

import functools
import os
import struct
import sys
import tempfile
from typing import NamedTuple

from vgg_tf.records import schema
from vgg_tf.records.collection import COLLECTION_FILE, Collection, holds_shards, shard_name
from vgg_tf.records.schema import Record
from vgg_tf.runtime import files


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
    if not holds_shards(folder):
        raise FileNotFoundError(
            f"{folder} holds no dataset.json. Shards of other writers are checked while they "
            f"are copied: python -m tfrecords_tools.write {folder} OUT"
        )
    collection = Collection.read(folder)
    there = set(files.names(folder))
    findings, expected = [], {COLLECTION_FILE}
    for split, described in collection.splits.items():
        count = described["shards"]
        names = [shard_name(split, i, count) for i in range(count)]
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
            except OSError as error:  # tf.data would try for ever
                findings.append(Finding(path, -1, f"cannot be read: {error}"))
                paths.remove(path)
        findings += _of_split(folder, collection, split, paths, progress)
    strangers = sorted(name for name in there - expected if "-of-" in name)
    return findings + [
        Finding(os.path.join(folder, name), -1, "dataset.json knows no such shard")
        for name in strangers
    ]


def _of_split(folder, collection, split, paths, progress):
    """Findings of the shards of a split."""
    described, first = collection.splits[split], {}  # where each file name was seen
    findings, per_shard, per_class, boxes = (
        [],
        dict.fromkeys(paths, 0),
        [0] * len(collection.classes),
        0,
    )
    for path, index, fields in _read_through(paths, described["images"], split, progress):
        if isinstance(fields, str):  # what is wrong with a record that cannot be read
            findings.append(Finding(path, index, fields))
            continue
        wrong = list(_faults(fields, collection.classes))
        before = first.setdefault(fields["filename"], (path, index))
        if before != (path, index):
            wrong.append(
                f"{fields['filename'].decode(errors='replace')} is already in {before[0]}, "
                f"record {before[1]}"
            )
        findings += [Finding(path, index, what) for what in wrong]
        per_shard[path] += 1
        if 0 <= fields["label"] < len(per_class):
            per_class[fields["label"]] += 1
        boxes += len(fields["box_labels"])
    written = {
        shard_name(split, i, described["shards"]): n
        for i, n in enumerate(described.get("per_shard", ()))
    }
    # Cut between two records, or written anew.
    for path in per_shard.keys() - {finding.file for finding in findings}:
        here, there = per_shard[path], written.get(os.path.basename(path))
        if here != there and (there or not here):  # older files tell no number
            findings.append(
                Finding(
                    path, -1, f"it holds {here} images" + (f" instead of {there}" if there else "")
                )
            )
    findings.sort(key=lambda finding: (finding.file, finding.record))
    good = sum(per_shard.values())
    counts = [("images", good, described["images"]), ("boxes", boxes, described["boxes"])]
    if good == described["images"]:
        of_class = zip(collection.classes, per_class, described["per_class"], strict=True)
        counts += [(f"images of class {name}", here, there) for name, here, there in of_class]
    json = os.path.join(folder, COLLECTION_FILE)
    wrong = [
        f"it tells of {there:,} {split} {what}, {here:,} can be read"
        for what, here, there in counts
        if here != there
    ]
    return findings + [Finding(json, -1, what) for what in wrong]


def _read_through(paths, total, split, progress):
    """`(path, index, fields)` of each record of some shards; in place of its fields, what is
    wrong with a damaged one.
    """
    import tensorflow as tf
    from tqdm import tqdm

    from vgg_tf.runtime.pipelines import untuned

    if not paths:
        return
    pace = 0.1 if sys.stderr.isatty() else 30

    def records_of(shard, path):
        return (
            tf.data.TFRecordDataset(path, buffer_size=2**23)
            .enumerate()
            .map(lambda i, serialized: (shard, i, serialized))
        )

    graph = _graph_of_look()

    def look(shard, i, serialized):
        return shard, i, graph(serialized)

    shards = tf.data.Dataset.from_tensor_slices(paths).enumerate().flat_map(records_of)
    looks = shards.map(look, num_parallel_calls=tf.data.AUTOTUNE)
    # A damaged record ends its shard, an undecodable image is left out: what is missing is looked
    # at by itself.
    found = untuned(looks.ignore_errors(log_warning=False).prefetch(16)).as_numpy_iterator()
    seen, read = [set() for _ in paths], [0] * len(paths)
    for shard, index, fields in tqdm(
        found, desc=split, total=total, unit=" records", mininterval=pace, disable=not progress
    ):
        seen[shard].add(index)
        read[shard] += schema.BEFORE + int(fields["bytes"]) + schema.AFTER
        yield paths[shard], int(index), fields
    for path, indices, n in zip(paths, seen, read, strict=True):
        if n != files.size(path):
            yield from ((path, index, fields) for index, fields in _others(path, indices))


def _others(path, seen):
    """`(index, fields)` of the records of a shard that are not among the `seen` ones; or what is
    wrong with them.
    """
    import tensorflow as tf

    from vgg_tf.images.decoding import decode_named

    for record, what in walk(path):
        if what:
            yield record.index, what
        elif record.index not in seen:
            try:
                fields = record.read()
                decode_named(fields.encoded, fields.filename or "its image")
                looked = _look(files.read(path, record.offset, record.length))
                yield record.index, tf.nest.map_structure(lambda value: value.numpy(), looked)
            except tf.errors.OpError as error:  # a feature of another kind than ours
                yield record.index, error.message.splitlines()[0]
            except ValueError as error:
                yield record.index, str(error).removeprefix(f"{path}, record {record.index}: ")


@functools.cache
def _graph_of_look():
    """`_look` as a graph, which takes 0.3 s to trace, once for all splits."""
    import tensorflow as tf

    return tf.function(_look, autograph=False)


def _look(serialized):
    """All that a record says beside its image, and what the image is; in a graph."""
    import tensorflow as tf

    from vgg_tf.images import decoding

    encoded, fields = schema.parse_all(serialized)
    image = decoding.decode(encoded)
    seen = {"decoded_shape": tf.shape(image), "begins": tf.strings.substr(encoded, 0, 4)}
    return fields | seen | {"bytes": tf.strings.length(serialized)}


def _faults(fields, classes):
    """What is wrong with a record whose image can be decoded, in words."""
    from vgg_tf.images.decoding import JPEG, PNG

    label, (h, w, _) = int(fields["label"]), fields["decoded_shape"]
    if not 0 <= label < len(classes):
        yield f"label {label} is out of the range of 0 to {len(classes) - 1}"
    elif (name := fields["class_name"].decode(errors="replace")) != classes[label]:
        yield f"label {label} is {classes[label]} by dataset.json, {name} by the record"
    if (fields["height"], fields["width"]) != (h, w):
        yield (
            f"the image is {h} by {w} pixels, the record says {fields['height']} by "
            f"{fields['width']}"
        )
    magic = {b"JPEG": JPEG, b"PNG": PNG}.get(fields["format"])
    if magic is None or not fields["begins"].startswith(magic):
        yield (
            "the image is not the "
            f"{fields['format'].decode(errors='replace') or 'JPEG or PNG'} that the record "
            "says"
        )
    xmin, ymin, xmax, ymax = corners = fields["corners"]
    if len({len(values) for values in (*corners, fields["box_labels"])}) > 1:
        yield "its boxes have corners or labels missing"
    elif not all(
        ((low >= 0) & (low <= high) & (high <= 1)).all()
        for low, high in ((xmin, xmax), (ymin, ymax))
    ):
        yield "a box does not lie within 0 and 1"
    elif not all(0 <= label < len(classes) for label in fields["box_labels"]):
        yield "a box has a label out of range"


def walk(path):
    """Go through a shard record by record, also where TensorFlow's reader gives up: slow, for
    shards that are damaged.

    Yields:
        `(Record, what is wrong)`, None for a sound one. Records after a damaged one are found as
        long as its length is whole.
    """
    end, offset, index = files.size(path), 0, 0
    while offset < end:
        header = files.read(path, offset, schema.BEFORE)
        if len(header) < schema.BEFORE or not _whole(header, only_length=True):
            what = (
                f"cut off or overwritten at byte {offset}: {end - offset} bytes from there "
                "on cannot be read"
            )
            yield Record(path, index, offset, end - offset), what
            return
        (length,) = struct.unpack("<Q", header[:8])
        record, after = (
            Record(path, index, offset + schema.BEFORE, length),
            offset + schema.BEFORE + length + schema.AFTER,
        )
        if after > end:
            yield record, f"cut off: the file ends at byte {end}, the record at {after}"
            return
        sound = _whole(files.read(path, offset, schema.BEFORE + length + schema.AFTER))
        yield (
            record,
            None if sound else f"its checksum is wrong: bytes {offset} to {after} have changed",
        )
        offset, index = after, index + 1


def damages(path):
    """`(record number from 0, what is wrong)` of each damaged record of a shard; see `walk`."""
    return [(record.index, what) for record, what in walk(path) if what]


def _whole(frame, only_length=False):
    """Tell whether the checksums of a framed record, or that of its length alone, are right; by
    TensorFlow's own reader.
    """
    import tensorflow as tf

    with tempfile.NamedTemporaryFile() as file:
        file.write(frame)
        file.flush()
        try:
            # A tf.data.TFRecordDataset would trace a function for each record: 25 ms instead of 5.
            reader = tf.raw_ops.TFRecordDataset(
                filenames=file.name, compression_type="", buffer_size=0
            )
            for _ in tf.data.experimental.from_variant(reader, tf.TensorSpec([], tf.string)):
                return True
        except tf.errors.DataLossError as error:
            # The length is checked before the data are looked for: who misses those has believed
            # the length.
            return only_length and "truncated" in error.message
    return False
