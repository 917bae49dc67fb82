"""The shards to be written, and what became of them.

The result of each shard is stored in a file, so that an interrupted run continues and a run on
several machines can collect the results.
"""

import os
from dataclasses import dataclass

from vgg_tf.records.splits import Split
from vgg_tf.runtime import files


@dataclass(frozen=True)
class Job:
    """One shard to be written.

    Attributes:
        name: of the file.
        images: a `splits.Split`, in the order of the records.
        every: one image in this many is decoded, to check and to measure it; 1 for all.
    """

    name: str
    images: Split
    every: int = 1


@dataclass
class Result:
    """The outcome of a job.

    Attributes:
        name: of the file.
        labels: of the records.
        boxes: number of boxes written.
        measures: `statistics.Measures` of the images that were decoded, as JSON.
        changed: images that were encoded again, and how.
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


def write_result(work, result):
    """Store the `Result` of a shard in the folder `work`."""
    files.write_json(_make_result_path(work, result.name), vars(result))


def read_result(work, name):
    """Return the `Result` that `write_result` stored of a shard, or None."""
    path = _make_result_path(work, name)
    remedy = "Delete it and give the same command again: its shard is written again."
    return Result(**files.read_json(path, remedy)) if files.exists(path) else None


def remove_result(work, name):
    """Remove the `Result` of a shard, if there is one."""
    files.remove(_make_result_path(work, name))


def _make_result_path(work, name):
    return os.path.join(work, f"{name}.json")
