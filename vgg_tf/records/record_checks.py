"""Reads records of ours, damaged ones too, and finds what is wrong with each."""

import functools
import sys

from vgg_tf.records import schema
from vgg_tf.records.framing import AFTER, BEFORE, walk_records
from vgg_tf.runtime import files


def read_records(paths, total, split, progress):
    """Yield `(path, index, fields)` of each record of some shards.

    In place of the fields of a damaged record: what is wrong with it, in words.
    """
    import tensorflow as tf
    from tqdm import tqdm

    from vgg_tf.runtime.pipelines import disable_autotuner

    if not paths:
        return
    pace = 0.1 if sys.stderr.isatty() else 30

    def read_shard(shard, path):
        return (
            tf.data.TFRecordDataset(path, buffer_size=2**23)
            .enumerate()
            .map(lambda i, serialized: (shard, i, serialized))
        )

    graph = _make_graph()

    def look(shard, i, serialized):
        return shard, i, graph(serialized)

    shards = tf.data.Dataset.from_tensor_slices(paths).enumerate().flat_map(read_shard)
    looks = shards.map(look, num_parallel_calls=tf.data.AUTOTUNE)
    # A damaged record ends its shard, an undecodable image is left out: what is missing is read
    # separately.
    found = disable_autotuner(
        looks.ignore_errors(log_warning=False).prefetch(16)
    ).as_numpy_iterator()
    seen, read = [set() for _ in paths], [0] * len(paths)
    for shard, index, fields in tqdm(
        found, desc=split, total=total, unit=" records", mininterval=pace, disable=not progress
    ):
        seen[shard].add(index)
        read[shard] += BEFORE + int(fields["bytes"]) + AFTER
        yield paths[shard], int(index), fields
    for path, indices, n in zip(paths, seen, read, strict=True):
        if n != files.read_size(path):
            yield from ((path, index, fields) for index, fields in _read_missing(path, indices))


def _read_missing(path, seen):
    """Yield `(index, fields)` of the records of a shard that are not among the `seen` ones.

    In place of the fields of a damaged record: what is wrong with it, in words.
    """
    import tensorflow as tf

    from vgg_tf.images.decoding import decode_named

    for record, what in walk_records(path):
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
                yield record.index, str(error).removeprefix(f"{record}: ")


@functools.cache
def _make_graph():
    """Return `_look` as a graph. The tracing takes 0.3 s, once for all splits."""
    import tensorflow as tf

    return tf.function(_look, autograph=False)


def _look(serialized):
    """Return all that a record says of its image, and what the image is, in a graph."""
    import tensorflow as tf

    from vgg_tf.images import decoding

    encoded, fields = schema.parse_all(serialized)
    image = decoding.decode(encoded)
    seen = {"decoded_shape": tf.shape(image), "begins": tf.strings.substr(encoded, 0, 4)}
    return fields | seen | {"bytes": tf.strings.length(serialized)}


def find_faults(fields, classes):
    """Yield what is wrong with a record whose image can be decoded, in words."""
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
