"""Writes a source as shards. An interrupted run continues.

Each image is decoded once, to find damaged ones and to measure colors and sizes. A shard gets its
name when it is complete.
"""

import os
import sys

import numpy as np

from vgg_tf.records import shard_plan
from vgg_tf.records.jobs import read_result
from vgg_tf.records.shard_plan import ShardPlan
from vgg_tf.runtime import files, locks, quiet

WORK_FOLDER = ".writing"  # the plan, and the results of the shards that are done; gone when all are
LOCK = "lock"


def write(source, out, shards=0, seed=0, check=True, skip_bad=False, run=None, progress=True):
    """Write the shards of a source and its `dataset.json`.

    In a finished folder, only shards that have been lost are written.

    RGB and gray JPEG and 8-bit PNG files are stored byte for byte, CMYK JPEGs as JPEGs of quality
    95, all else as PNG. What was encoded again or left out is listed in the notes of
    `dataset.json`.

    Args:
        source: a `splits.Source`.
        out: folder, also remote (`gs://`); no lock keeps a second writer away there.
        shards: shards of the training split; 0 by size.
        seed: of the order, which is the same for the same seed.
        check: decode each image; without it a truncated one is not found, and colors come from a
            sample.
        skip_bad: leave unreadable images out, and note it.
        run: called as `shard_writing.write_shards`, which it is by default, to write the shards and
            give their results in any order.
        progress: a bar with rate and ETA; a line every 30 s where there is no terminal.

    Returns:
        The `collection.Collection` written.

    Raises:
        FileExistsError: `out` holds something else, which is not changed.
        BlockingIOError: another process is writing there.
        ValueError: some images cannot be read; the message names them.
        OSError: the disk is full; the message names the shard.
    """
    if seed < 0 or shards < 0:
        raise ValueError(f"seed and shards are 0 or more. Received: {seed}, {shards}.")
    out = str(out)
    finished = shard_plan.find_finished(out, source, seed, shards, check)
    if finished and shard_plan.is_whole(out, finished):
        return finished
    counts = (
        shard_plan.list_counts(finished) if finished else shard_plan.count_shards(source, shards)
    )
    plan = ShardPlan(source.fingerprint(), seed, counts, check)
    work = os.path.join(out, WORK_FOLDER)
    shard_plan.make_work_folder(out, work, finished)
    busy = f"{out} is being written by another process. Wait for it, or choose another folder."
    with locks.hold_lock(os.path.join(work, LOCK), busy):
        # Another process may have written them since.
        finished = shard_plan.find_finished(out, source, seed, shards, check)
        if finished and shard_plan.is_whole(out, finished):
            return finished
        shard_plan.check_plan(out, work, plan, source.name)
        results = _write_missing(source, out, plan, finished, skip_bad, run, progress)
        collection = _finish(source, out, plan, finished, skip_bad, results)
        files.remove(work)
        return collection


def _write_missing(source, out, plan, finished, skip_bad, run, progress):
    """Write the shards that are not there.

    Args:
        source, out, skip_bad, run, progress: as for `write`.
        plan: the `ShardPlan`.
        finished: collection of a finished folder, or None.

    Returns:
        list of `(split, jobs.Result)` of all shards. Of shards of a finished folder that were
        there, the result is None.
    """
    from tqdm import tqdm

    quiet.quiet_tensorflow()  # takes seconds: after what is refused without it

    from vgg_tf.records.shard_writing import write_shards

    jobs, work = plan.make_jobs(source), os.path.join(out, WORK_FOLDER)
    results = _read_results(out, work, jobs, finished, skip_bad)
    pace = 0.1 if sys.stderr.isatty() else 30  # seconds between updates of the bar
    with tqdm(
        total=sum(len(job.images) for _, job in jobs),
        unit=" images",
        mininterval=pace,
        disable=not progress,
    ) as bar:
        bar.update(sum(len(job.images) for _, job in jobs if job.name in results))
        missing = [job for _, job in jobs if job.name not in results]
        for result in (run or write_shards)(
            out, work, missing, source.classes, source.texts, skip_bad, bar.update
        ):
            results[result.name] = result
    return [(split, results[job.name]) for split, job in jobs]


def _read_results(out, work, jobs, finished, skip_bad):
    """Return the results of the shards that need not be written, by name."""
    there = set(files.list_names(out))
    results = {job.name: read_result(work, job.name) for _, job in jobs if job.name in there}
    if finished:
        return results
    return {
        name: result
        for name, result in results.items()
        if result and (not result.bad or result.left_out) and (skip_bad or not result.left_out)
    }


def _finish(source, out, plan, finished, skip_bad, results):
    """Write `dataset.json`, or check restored shards; return the collection.

    Raises:
        ValueError: some images cannot be read, or restored shards are not what they were.
    """
    bad = sorted(line for _, result in results if result for line in result.bad)
    if bad and not skip_bad:
        plan.write(os.path.join(out, WORK_FOLDER), bad_of=source.name)
        raise ValueError(
            f"{len(bad)} of {sum(map(len, source.splits.values()))} images cannot be read; mend "
            "or remove them, or leave them out with --skip-bad, then run the same command "
            "again:\n  " + "\n  ".join(bad)
        )
    if finished:
        _check_restored(out, finished, results)
        return finished
    collection = _describe(source, results, plan)
    collection.write(out)
    return collection


def _check_restored(out, finished, results):
    """Remove a restored shard that has not as many images as before.

    Args:
        out: folder of the shards.
        finished: its collection.
        results: `(split, jobs.Result)` of each shard; None of those that were there.
    """
    for split, values in finished.splits.items():
        of_split = [result for name, result in results if name == split]
        for result, n in zip(of_split, values.get("per_shard", ()), strict=False):
            if result and len(result.labels) != n:
                files.remove(path := os.path.join(out, result.name))
                raise ValueError(
                    f"{path} would hold {len(result.labels)} images, {n} by dataset.json: some "
                    "were damaged or mended since. Put back those that were there, or write to "
                    "another folder."
                )


def _describe(source, results, plan):
    """Return the `collection.Collection` of what was written."""
    from vgg_tf.records.statistics import Measures, describe_split

    splits = {}
    for split in plan.shards:
        of_split = [result for name, result in results if name == split]
        labels = np.array([label for result in of_split for label in result.labels], np.int64)
        if not len(labels):
            raise ValueError(
                f"no {split} image of {source.name} can be read. Mend them, or remove the split."
            )
        splits[split] = describe_split(
            labels,
            len(source.classes),
            [len(result.labels) for result in of_split],
            sum(result.boxes for result in of_split),
        )
    total = sum(
        (Measures.from_json(result.measures) for split, result in results if split == "train"),
        Measures(),
    )
    notes = sorted(
        line
        for _, result in results
        for line in (*result.changed, *(f"left out: {bad}" for bad in result.bad))
    )
    return total.make_collection(source, splits, notes, plan.seed)
