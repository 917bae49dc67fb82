"""Images into shards: read, checked, brought into the form of our records, measured, written
whole or not at all.
"""

import collections
import contextlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vgg_tf.images import colors, decoding
from vgg_tf.images.decoding import decode_named
from vgg_tf.records import schema, statistics
from vgg_tf.records.splits import Split
from vgg_tf.runtime import files
from vgg_tf.runtime.pipelines import untuned

JPEG_QUALITY = 95
CALLS = 2 * (os.cpu_count() or 1)
BATCH = 16
# What the pipeline says of an image: kept as it is, or encoded anew as what.
CHANGES = [
    "",
    f"CMYK, as JPEG of quality {JPEG_QUALITY}",
    "PNG of other than 8 bits, as 8-bit PNG",
    "as PNG",
]


@dataclass(frozen=True)
class Job:
    """One shard to be written.

    Attributes:
        name: of the file.
        images: a `splits.Split`, in the order of the records.
        every: each image of so many is decoded, to check and to measure it; 1 for all.
    """

    name: str
    images: Split
    every: int = 1


@dataclass
class Result:
    """What came of a shard.

    Attributes:
        name: of the file.
        labels: of the records.
        boxes: number of boxes written.
        measures: `statistics.Measures` of the images that were decoded, as JSON.
        changed: images that were encoded anew, and how.
        bad: images that cannot be read, and why.
        left_out: whether the shard was written without them.
    """

    name: str
    labels: list[int]
    boxes: int
    measures: dict
    changed: list[str]
    bad: list[str]
    left_out: bool = False


def write_shards(out, work, jobs, classes, texts=(), skip_bad=False, tick=lambda n=1: None):
    """Write shards one after the other, their images read and decoded in parallel.

    A shard gets its name when it is whole; its `Result` is in `work` before. Shards with unreadable
    images are not written, unless `skip_bad`, but searched to their end.

    Args:
        out, work: folders, for the shards and for what is needed until all are done.
        jobs: sequence of `Job`.
        classes, texts: names of the classes, and the same in words (or none).
        skip_bad: leave unreadable images out.
        tick: called after each image.

    Yields:
        a `Result` a job, in order.

    Raises:
        OSError: a shard cannot be written; the message names it and the remedy.
    """
    with ThreadPoolExecutor(1) as writing, contextlib.closing(_checked(jobs)) as found:
        settling = None
        for job in jobs:
            result, settled = _write_shard(
                out, work, job, found, classes, texts, skip_bad, tick, writing
            )
            if settling:
                yield _settled(*settling)
            settling = result, settled
        if settling:
            yield _settled(*settling)


def _settled(result, settled):
    settled.result()
    return result


def read_result(work, name):
    """The `Result` that `write_shards` left of a shard, or None."""
    path = os.path.join(work, f"{name}.json")
    return Result(**json.loads(files.read(path))) if files.exists(path) else None


def _write_shard(out, work, job, found, classes, texts, skip_bad, tick, writing):
    """The `Result` of a shard, and the future of its name: the thread `writing` still writes
    while the next is read.
    """
    temporary = os.path.join(work, f"{job.name}.tmp")
    total, labels, changed, bad, boxes_written = statistics.Measures(), [], [], [], 0
    label_of = {name: label for label, name in enumerate(classes)}
    with files.naming(os.path.join(out, job.name)):
        writer = tf.io.TFRecordWriter(temporary)
    ready, under_way = [], None
    for i, filename in enumerate(job.images.names):
        label = int(job.images.labels[i])
        checked = next(found)
        tick()
        try:
            if isinstance(checked, Exception):
                raise checked
            h, w = int(checked.height), int(checked.width)
            boxes = job.images.boxes_of(i, w, h)
        except (ValueError, OSError) as error:
            bad.append(str(error))
            continue
        if bad and not skip_bad:
            continue
        boxes, others, empty = _kept(boxes, label_of, classes[label])
        if others:
            changed.append(f"{filename}: {others} boxes of other classes left out")
        if empty:
            changed.append(f"{filename}: {empty} boxes outside the image, or empty, left out")
        if checked.change:
            changed.append(f"{filename}: {CHANGES[checked.change]}")
        if checked.measured:
            total.add(checked.mean, checked.covariance, min(h, w), len(checked.encoded))
        box_labels = [label_of[name] for name in boxes.names]
        boxes_written += len(box_labels)
        labels.append(label)
        text = texts[label] if texts else ""
        serialized = schema.serialize(
            checked.encoded,
            checked.format.decode(),
            h,
            w,
            label,
            classes[label],
            filename,
            text,
            boxes,
            box_labels,
        )
        ready.append(serialized)
        if len(ready) == BATCH:
            if under_way:
                under_way.result()
            ready, under_way = [], writing.submit(_write, writer, ready, out, job.name)
    if under_way:
        under_way.result()
    _write(writer, ready, out, job.name)
    result = Result(
        job.name, labels, boxes_written, total.to_json(), changed, bad, bool(bad and skip_bad)
    )
    return result, writing.submit(_finish, writer, out, work, result)


def _write(writer, examples, out, name):
    with files.naming(os.path.join(out, name)):
        for serialized in examples:
            writer.write(serialized)


def _finish(writer, out, work, result):
    path, temporary = (
        os.path.join(folder, name)
        for folder, name in ((out, result.name), (work, f"{result.name}.tmp"))
    )
    with files.naming(path):
        writer.close()
        files.write_whole(
            os.path.join(work, f"{result.name}.json"), json.dumps(vars(result)).encode()
        )
        if result.bad and not result.left_out:
            files.remove(temporary)
            files.remove(path)  # of an earlier command that left them out
        else:
            files.settle(temporary, path)


def _kept(boxes, label_of, own):
    """The boxes of the classes there are that have an area, and how many were left out of other
    classes, and without.

    A box without a name is of the image's class.
    """
    names = [name or own for name in boxes.names]
    known = [i for i, name in enumerate(names) if name in label_of]
    kept = [i for i in known if (boxes.corners[i, 2:] > boxes.corners[i, :2]).all()]
    left_out = len(names) - len(known), len(known) - len(kept)
    return type(boxes)(boxes.corners[kept], [names[i] for i in kept]), *left_out


_Checked = collections.namedtuple(
    "_Checked", "encoded format change height width measured mean covariance"
)


def _checked(jobs):
    """A `_Checked` for each image of the jobs, in order, or the error that says why it cannot be
    read.
    """
    at = [(job.images, i) for job in jobs for i in range(len(job.images))]
    look = [i % job.every == 0 for job in jobs for i in range(len(job.images))]
    contents = [split.contents[i] for split, i in at]
    in_files = all(isinstance(content, str) for content in contents)

    def read(i):
        split, k = at[i]
        return split.read(k)

    # Nothing in them to convert, which would take longer than to trace them.
    @tf.autograph.experimental.do_not_convert
    def of_file(i, look, path):
        return i, _check(tf.io.read_file(path), look)

    @tf.autograph.experimental.do_not_convert
    def of_memory(i, look):
        return i, _check(
            tf.ensure_shape(tf.numpy_function(read, [i], tf.string, stateful=False), []), look
        )

    columns = (np.arange(len(at)), look, contents) if in_files else (np.arange(len(at)), look)
    examples = tf.data.Dataset.from_tensor_slices(columns).map(
        of_file if in_files else of_memory, num_parallel_calls=CALLS
    )
    # An image that cannot be read or decoded is missing in what follows, and explained by itself.
    # In batches, because to take an element out of tf.data costs 0.2 ms, more than to copy its
    # bytes.
    batches = untuned(
        examples.ignore_errors(log_warning=False).batch(BATCH).prefetch(4)
    ).as_numpy_iterator()
    found = (
        (i, checked) for batch in batches for i, *checked in zip(batch[0], *batch[1], strict=True)
    )
    coming, checked = next(found, (-1, None))
    for i, (split, k) in enumerate(at):
        if i != coming:
            yield _explain(split, k)
            continue
        yield _Checked(*checked)
        coming, checked = next(found, (-1, None))


def _explain(split, k):
    """Why image `k` could not be read; what it holds, where it can be read now."""
    try:
        contents = split.read(k)
        decode_named(contents, split.names[k])
    except (ValueError, OSError) as error:
        return error
    return _Checked(*(value.numpy() for value in _check(contents, tf.constant(True))))


def _check(contents, look):
    """What to store of an encoded image; where `look`, it is decoded whole and measured. In a
    graph.

    Args:
        contents: scalar string.
        look: scalar bool.

    Returns:
        the fields of a `_Checked`: scalar strings, int32 and bool, float32 `[3]` and `[3, 3]`.
    """

    is_jpeg, is_png = decoding.is_jpeg(contents), tf.strings.substr(contents, 0, 4) == decoding.PNG

    def header():  # height, width, then the components of a JPEG or the bits of a PNG
        return tf.cond(
            is_jpeg, lambda: tf.io.extract_jpeg_shape(contents), lambda: _png_header(contents)
        )

    h, w, kind = tf.unstack(tf.cond(is_jpeg | is_png, header, lambda: tf.zeros([3], tf.int32)))
    change = tf.where(
        is_jpeg, tf.where(kind == 4, 1, 0), tf.where(is_png, tf.where(kind == 8, 0, 2), 3)
    )

    def decoded():
        image = decoding.decode(contents)
        encode = [
            lambda: contents,
            lambda: tf.io.encode_jpeg(image, quality=JPEG_QUALITY),
            lambda: tf.io.encode_png(image),
        ]
        stored = tf.switch_case(tf.minimum(change, 2), encode)
        return stored, tf.shape(image)[0], tf.shape(image)[1], True, *colors.colours(image)

    def unseen():
        return contents, h, w, False, tf.zeros([3]), tf.zeros([3, 3])

    stored, *rest = tf.cond(look | (change > 0), decoded, unseen)
    return stored, tf.where(is_jpeg, "JPEG", "PNG"), change, *rest


def _png_header(contents):
    """Height, width and bit depth, int32 `[3]`."""
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(contents, 16, 9), tf.uint8), tf.int32)
    width, height = (tf.tensordot(header[at : at + 4], [2**24, 2**16, 2**8, 1], 1) for at in (0, 4))
    return tf.stack([height, width, header[8]])
