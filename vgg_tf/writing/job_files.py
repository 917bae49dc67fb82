"""Jobs in files, from which workers on other machines read them: JSON, which runs no code."""

import base64
import os

import numpy as np

from vgg_tf.records.framing import Record
from vgg_tf.records.schema import Form
from vgg_tf.records.splits import Split
from vgg_tf.runtime import files, schemas
from vgg_tf.runtime.schemas import Fields, Flag, Many, Maybe, Number, Text
from vgg_tf.writing.jobs import Job

_MOST = 10**7  # images of a shard
_MOST_BYTES = 2**34  # of a file: images in memory are in it
_TEXTS = Many(Text(), _MOST)
_RECORD = Fields(
    {
        "path": Text(),
        "index": Number(),
        **dict.fromkeys(("offset", "length"), Number(0, 2**62)),
        "form": Maybe(Many(Text(), len(Form._fields), len(Form._fields))),
        "packed": Flag(),
    }
)
_BOX = Fields({"name": Text(), "corners": Many(Number(-1e9, 1e9, whole=False), 4, 4)})
_BOXES = Fields({}, {"file": Text(), "list": Many(_BOX)})
_SCHEMA = Fields(
    {
        "name": Text(),
        "every": Number(1),
        "names": _TEXTS,
        "labels": Many(Number(0, schemas.MOST_CLASSES), _MOST),
        "contents": Many(Fields({}, {"file": Text(), "bytes": Text(2**31), "record": _RECORD})),
        "boxes": Maybe(Many(Maybe(_BOXES), _MOST)),
        "classes": schemas.CLASSES,
        "texts": _TEXTS,
        "skip_bad": Flag(),
    }
)


def write_job(work, job, classes, texts, skip_bad):
    """Store a `jobs.Job` in the folder `work`, with arguments of `shard_writing.write_shards`."""
    images = job.images
    values = {
        "name": job.name,
        "every": job.every,
        "names": images.names,
        "labels": images.labels.tolist(),
        "contents": list(map(_encode_content, images.contents)),
        "boxes": images.boxes and list(map(_encode_boxes, images.boxes)),
        "classes": list(classes),
        "texts": list(texts),
        "skip_bad": skip_bad,
    }
    files.write_json(_make_path(work, job.name), values)


def read_job(work, name):
    """Return what `write_job` stored of the shard `name`.

    Returns:
        job: The `jobs.Job`.
        classes: Class names.
        texts: Descriptions of the classes, or empty.
        skip_bad: Whether to write shards without their unreadable images.

    Raises:
        schemas.DamagedFileError: The file is damaged, or that of another shard.
    """
    path, called = _make_path(work, name), f"the job of the shard {name}"
    remedy = "Delete it and run the same command again."
    values = schemas.read(path, _SCHEMA, called, remedy, _MOST_BYTES)
    with schemas.naming(path, called, remedy):
        Text(choices=(name,)).check(values["name"], "name")
        job = Job(name, _make_images(values), values["every"])
    return job, tuple(values["classes"]), tuple(values["texts"]), values["skip_bad"]


def _make_images(values):
    """Return the `Split` of a job; a ValueError says what is wrong with it."""
    columns = [values[key] for key in ("names", "labels", "contents")]
    if len(set(map(len, [*columns, values["boxes"] or columns[0]]))) > 1:
        raise ValueError("columns of different lengths")
    contents = list(map(_decode_content, values["contents"]))
    boxes = values["boxes"] and list(map(_decode_boxes, values["boxes"]))
    return Split(values["names"], np.array(values["labels"], np.int64), contents, boxes)


def _make_path(work, name):
    return os.path.join(work, f"{name}.job")


def _encode_content(content):
    if isinstance(content, Record):
        return {"record": content._asdict()}  # JSON has a list for its form
    if isinstance(content, bytes):
        return {"bytes": base64.b64encode(content).decode()}
    return {"file": content}


def _decode_content(values):
    if "record" in values:
        record = _RECORD.select(values["record"])
        return Record(**record | {"form": record["form"] and Form(*record["form"])})
    if "bytes" in values:
        return base64.b64decode(values["bytes"], validate=True)
    if "file" not in values:
        raise ValueError("an image without contents")
    return values["file"]


def _encode_boxes(boxes):
    if boxes is None or isinstance(boxes, str):
        return boxes and {"file": boxes}
    return {"list": [{"name": name, "corners": list(map(float, box))} for name, *box in boxes]}


def _decode_boxes(values):
    if values is None or "file" in values:
        return values and values["file"]
    return [(box["name"], *box["corners"]) for box in values.get("list", ())]
