"""Reading of records of our shards, damaged ones too, and checks of each record."""

import functools
import sys

from vgg_tf.records import schema
from vgg_tf.records.framing import AFTER, BEFORE, walk_records
from vgg_tf.runtime import files


def read_records(paths, total, split, progress):
    """Read all records of shards.

    Args:
        paths: paths of the shards.
        total: expected number of records, for the progress bar.
        split: name of the split, for the progress bar.
        progress: show a progress bar.

    Yields:
        `(path, index, fields)`. For a damaged record, `fields` is the error as a str.
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
    # tf.data stops a shard at a damaged record and skips images that it cannot decode.
    # `_read_missing` reads the rest.
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
    """Read the records of a shard that are not among the `seen` ones.

    Args:
        path: path of the shard.
        seen: numbers of the records that are already read.

    Yields:
        `(index, fields)`. For a damaged record, `fields` is the error as a str.
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
            except tf.errors.OpError as error:  # a feature of the wrong kind
                yield record.index, error.message.splitlines()[0]
            except ValueError as error:
                yield record.index, str(error).removeprefix(f"{record}: ")


@functools.cache
def _make_graph():
    """Return `_look` as a graph, traced once for all splits (0.3 s)."""
    import tensorflow as tf

    return tf.function(_look, autograph=False)


def _look(serialized):
    """Return the fields of a record, and shape, first bytes and digest of its image, in a graph."""
    import tensorflow as tf

    from vgg_tf.images import decoding

    encoded, fields = schema.parse_all(serialized)
    image = decoding.decode(encoded)
    seen = {
        "decoded_shape": tf.shape(image),
        "begins": tf.strings.substr(encoded, 0, 4),
        "digest": tf.strings.to_hash_bucket_fast(encoded, 2**63 - 1),  # equal for copies
    }
    return fields | seen | {"bytes": tf.strings.length(serialized)}


def find_faults(fields, classes):
    """Yield a description of each error in a record whose image can be decoded."""
    from vgg_tf.images.decoding import JPEG, PNG

    label, (h, w, _) = int(fields["label"]), fields["decoded_shape"]
    if not 0 <= label < len(classes):
        yield f"label {label} must be between 0 and {len(classes) - 1}"
    elif (name := fields["class_name"].decode(errors="replace")) != classes[label]:
        yield f"label {label} is {classes[label]} in dataset.json, but {name} in the record"
    if (fields["height"], fields["width"]) != (h, w):
        yield (
            f"the image has {h} by {w} pixels, but the record lists {fields['height']} by "
            f"{fields['width']}"
        )
    magic = {b"JPEG": JPEG, b"PNG": PNG}.get(fields["format"])
    if magic is None or not fields["begins"].startswith(magic):
        yield (
            "the format of the image must be "
            f"{fields['format'].decode(errors='replace') or 'JPEG or PNG'}, as in the record"
        )
    xmin, ymin, xmax, ymax = corners = fields["corners"]
    if len({len(values) for values in (*corners, fields["box_labels"])}) > 1:
        yield "a box has a missing corner or label"
    elif not all(
        ((low >= 0) & (low <= high) & (high <= 1)).all()
        for low, high in ((xmin, xmax), (ymin, ymax))
    ):
        yield "the corners of a box must be between 0 and 1, minimum before maximum"
    elif not all(0 <= label < len(classes) for label in fields["box_labels"]):
        yield f"labels of boxes must be between 0 and {len(classes) - 1}"
