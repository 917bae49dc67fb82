"""Writing of shards; a file has its final name only when it is complete."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import tensorflow as tf

from vgg_tf.records import schema, stated_sizes, statistics
from vgg_tf.records.annotations import Boxes
from vgg_tf.runtime import files, remote
from vgg_tf.writing.encoding import CHANGES, prepare_images
from vgg_tf.writing.jobs import Result, write_result

BATCH = 16  # records written at a time


@dataclass(frozen=True)
class _Options:
    """Arguments of `write_shards` that are the same for all shards, and labels by class name."""

    out: str
    work: str
    classes: tuple[str, ...]
    texts: tuple[str, ...]
    skip_bad: bool
    label_of: dict[str, int]


def write_shards(out, work, jobs, classes, texts=(), skip_bad=False, tick=lambda n=1: None):
    """Write shards one after another, and read and decode their images in parallel.

    A shard gets its final name when it is complete. Its `jobs.Result` is stored in `work` before.
    Without `skip_bad`, a shard with unreadable images is not written, but read to its end to find
    all of them.

    Args:
        out: folder for the shards.
        work: folder for temporary files.
        jobs: sequence of `jobs.Job`.
        classes: class names.
        texts: descriptions of the classes, or empty.
        skip_bad: write shards without their unreadable images.
        tick: called after each image.

    Yields:
        The `jobs.Result` of each job, in order.

    Raises:
        OSError: a shard cannot be written; the message names the shard and the remedy.
    """
    label_of = {name: label for label, name in enumerate(classes)}
    options = _Options(out, work, classes, texts, skip_bad, label_of)
    with ThreadPoolExecutor(1) as thread, contextlib.closing(prepare_images(jobs)) as prepared:
        settling = None
        for job in jobs:
            result, settled = _write_shard(job, prepared, options, tick, thread)
            if settling:
                yield _await(*settling)
            settling = result, settled
        if settling:
            yield _await(*settling)


def _await(result, settled):
    settled.result()
    return result


def _write_shard(job, prepared, options, tick, thread):
    """Write the records of a shard.

    Args:
        job: the `jobs.Job`.
        prepared: iterator from `encoding.prepare_images`.
        options: `_Options`.
        tick: called after each image.
        thread: executor that writes while the next images are read.

    Returns:
        `(result, future)`: the `jobs.Result`, and a future that ends when the shard has its final
        name.
    """
    writer = _ShardWriter(options, job.name, thread)
    result = Result(job.name, [], 0, {}, [], [])
    total, remarks = statistics.Measures(), {}
    for i in range(len(job.images)):
        image = next(prepared)
        tick()
        try:
            if isinstance(image, Exception):
                raise image
            boxes = job.images.read_boxes(i, int(image.width), int(image.height), remarks)
        except (ValueError, OSError) as error:
            result.bad.append(str(error))
            continue
        if result.bad and not options.skip_bad:
            continue
        fields, box_labels, changes = _make_fields(job.images, i, image, boxes, options)
        if image.measured:
            smaller_side = min(fields.height, fields.width)
            total.add(image.mean, image.covariance, smaller_side, len(image.encoded))
        result.changed += changes
        result.boxes += len(box_labels)
        result.labels.append(fields.label)
        writer.add(schema.serialize(fields, box_labels))
    result.changed += stated_sizes.count_remarks(remarks)
    result.measures = total.to_json()
    result.left_out = bool(result.bad and options.skip_bad)
    return result, writer.finish(result)


class _ShardWriter:
    """Writer of the records of a shard, in a thread, one batch at a time."""

    def __init__(self, options, name, thread):
        self.path = os.path.join(options.out, name)
        self.temporary = os.path.join(options.work, f"{name}.tmp")
        self.work, self.thread, self.ready, self.under_way = options.work, thread, [], None
        with remote.naming(self.path):
            self.writer = tf.io.TFRecordWriter(self.temporary)

    def add(self, serialized):
        """Add a record, and write a full batch."""
        self.ready.append(serialized)
        if len(self.ready) == BATCH:
            self._wait()
            ready, self.ready = self.ready, []
            self.under_way = self.thread.submit(self._write, ready)

    def finish(self, result):
        """Write the last records and the result; return the future of the final name."""
        self._wait()
        self._write(self.ready)
        return self.thread.submit(self._settle, result)

    def _wait(self):
        if self.under_way:
            self.under_way.result()

    def _write(self, examples):
        with remote.naming(self.path):
            for serialized in examples:
                self.writer.write(serialized)

    def _settle(self, result):
        with remote.naming(self.path):
            self.writer.close()
            write_result(self.work, result)
            if result.bad and not result.left_out:
                files.remove(self.temporary)
                files.remove(self.path)  # written by an earlier command with skip_bad
            else:
                files.settle(self.temporary, self.path)


def _make_fields(images, i, image, boxes, options):
    """Return the fields of the record of an image.

    Args:
        images: the `splits.Split`.
        i: position of the image in the split.
        image: the `encoding.Prepared` of the image.
        boxes: the `annotations.Boxes` of the image.
        options: `_Options`.

    Returns:
        `(fields, box_labels, changes)`: the `schema.Fields`, the label of each box, and a
        description of each change from the source.
    """
    filename, label = images.names[i], int(images.labels[i])
    boxes, others, empty = _choose_boxes(boxes, options.label_of, options.classes[label])
    changes = []
    if others:
        changes.append(f"{filename}: {others} boxes of other classes left out")
    if empty:
        changes.append(f"{filename}: {empty} boxes outside the image, or empty, left out")
    if image.change:
        changes.append(f"{filename}: {CHANGES[image.change]}")
    fields = schema.Fields(
        encoded=image.encoded,
        label=label,
        filename=filename,
        class_name=options.classes[label],
        text=options.texts[label] if options.texts else "",
        image_format=image.format.decode(),
        height=int(image.height),
        width=int(image.width),
        boxes=boxes,
    )
    return fields, [options.label_of[name] for name in boxes.names], changes


def _choose_boxes(boxes, label_of, own):
    """Select the boxes that have an area and a class of the source.

    Args:
        boxes: `annotations.Boxes`. A box without a name has the class of the image.
        label_of: labels by class name.
        own: class name of the image.

    Returns:
        `(boxes, others, empty)`: the selected `annotations.Boxes`, the number of boxes of other
        classes, and the number of boxes without an area.
    """
    names = [name or own for name in boxes.names]
    known = [i for i, name in enumerate(names) if name in label_of]
    kept = [i for i in known if (boxes.corners[i, 2:] > boxes.corners[i, :2]).all()]
    chosen = Boxes(boxes.corners[kept], [names[i] for i in kept])
    return chosen, len(names) - len(known), len(known) - len(kept)
