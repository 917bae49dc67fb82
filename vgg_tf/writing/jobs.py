"""Shards to write, and their results.

The result of each shard is stored in a file. An interrupted run can then continue, and a run on
several machines can collect the results.
"""

import os
from dataclasses import dataclass

from vgg_tf.records.splits import Split
from vgg_tf.runtime import files, schemas
from vgg_tf.runtime.schemas import Fields, Flag, Many, Named, Number, Text


@dataclass(frozen=True)
class Job:
    """A shard to write.

    Attributes:
        name: name of the file.
        images: a `splits.Split`, in the order of the records.
        every: interval between decoded images, which are checked and measured; 1 decodes all.
    """

    name: str
    images: Split
    every: int = 1


@dataclass
class Result:
    """The outcome of a job.

    Attributes:
        name: name of the file.
        labels: labels of the records.
        boxes: number of boxes written.
        measures: `statistics.Measures` of the decoded images, as JSON.
        changed: a description of each change to an image.
        bad: the error of each unreadable image.
        left_out: whether the shard was written without the unreadable images.
    """

    name: str
    labels: list[int]
    boxes: int
    measures: dict
    changed: list[str]
    bad: list[str]
    left_out: bool = False


_TEXTS = Many(Text(), 10**6)
_SUM = Number(-1e18, 1e18, whole=False)
_MEASURES = Fields(
    {
        "images": Number(),
        "colour": Many(_SUM, 3, 3),
        "square": Many(Many(_SUM, 3, 3), 3, 3),
        "sides": Named(Number(), schemas.Digits(10**6)),
        "bytes": Number(0, 2**62),
    }
)
_NEEDED = {
    "labels": Many(Number(0, schemas.MOST_CLASSES)),
    "boxes": Number(),
    "measures": _MEASURES,
    "changed": _TEXTS,
    "bad": _TEXTS,
}


def write_result(work, result):
    """Store the `Result` of a shard in the folder `work`."""
    files.write_json(_make_result_path(work, result.name), vars(result))


def read_result(work, name):
    """Return the stored `Result` of a shard, or None."""
    path = _make_result_path(work, name)
    remedy = "Delete the file and run the same command again: it writes the shard again."
    if not files.exists(path):
        return None
    schema = Fields({"name": Text(choices=(name,))} | _NEEDED, {"left_out": Flag()})
    called = "the result of a shard"
    return Result(**schema.select(schemas.read(path, schema, called, remedy)))


def remove_result(work, name):
    """Remove the stored `Result` of a shard, if it exists."""
    files.remove(_make_result_path(work, name))


def _make_result_path(work, name):
    return os.path.join(work, f"{name}.json")
