"""Shards of a source. An interrupted run continues.

Each image is decoded once, to find damaged images and to measure colors and sizes. A shard gets its
final name when it is complete.
"""

import os
import sys
from dataclasses import replace

import numpy as np

from vgg_tf.records.collection import COLLECTION_FILE
from vgg_tf.records.contents import CONTENTS_FILE
from vgg_tf.records.copies import find_hashed_copies
from vgg_tf.runtime import files, locks, programs, quiet
from vgg_tf.writing import shard_plan
from vgg_tf.writing.jobs import read_result
from vgg_tf.writing.shard_plan import ShardPlan

WORK_FOLDER = ".writing"  # plan and results of finished shards; removed at the end
BAD_FILE = "bad.txt"  # all unreadable images, in the work folder, if they are many
LOCK = "lock"


def write(source, out, shards=0, seed=0, check=True, skip_bad=False, run=None, progress=True):
    """Write the shards of a source and its `dataset.json`.

    In a finished folder, only missing shards are written. contents.npz notes sizes and digests of
    the images, so that a later command finds images that were changed in place.

    RGB and gray JPEG files and 8-bit PNG files are stored byte for byte. CMYK JPEG files become
    JPEG files of quality 95. Other files become PNG files. The notes of `dataset.json` list the
    images that are encoded again or left out.

    Args:
        source: a `splits.Source`.
        out: path of the folder, also remote (`gs://`). A remote folder has no lock against a second
            writer.
        shards: number of shards of train; 0 chooses it by size.
        seed: seed of the order of the images.
        check: whether to decode each image. Otherwise truncated images are not found, and the
            statistics of colors come from a sample.
        skip_bad: whether to skip unreadable images, with a note, instead of raising an error.
        run: function with the signature of `shard_writing.write_shards`, the default. It writes
            shards and yields their results in any order.
        progress: whether to show a bar with throughput and ETA. Without a terminal it is updated
            every 30 s.

    Returns:
        The written `collection.Collection`.

    Raises:
        FileExistsError: `out` has other files, or images have changed since. They stay unchanged.
        BlockingIOError: another process writes to `out`.
        ValueError: images cannot be read; the message names them.
        OSError: the disk is full; the message names the shard.
    """
    if seed < 0 or shards < 0:
        raise ValueError(
            f"--seed and --shards must be 0 or more. Received: --seed {seed} --shards {shards}. "
            "Try --seed 0 --shards 0."
        )
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
        # Another process may have written the shards before the lock was free.
        finished = shard_plan.find_finished(out, source, seed, shards, check)
        if finished and shard_plan.is_whole(out, finished):
            return finished
        shard_plan.check_plan(out, work, plan, source.name)
        contents = shard_plan.note_contents(out, work, plan, source)
        options = skip_bad, run, progress
        results = _write_missing(source, out, plan, contents, finished, *options)
        collection = _finish(source, out, plan, contents, finished, skip_bad, results)
        files.remove(work)
        return collection


def keep_hold_out_rule(out, selection):
    """Return the selection of a source, with the rule of held-out images of the shards in a folder.

    Shards of earlier versions, which have no notes of contents, were written by rule 1.

    Args:
        out: folder of finished or interrupted shards, or a new one.
        selection: the `selection.Selection` of new shards.

    Returns:
        A `selection.Selection`.
    """
    out = str(out)
    names = files.list_names(out) if files.is_folder(out) else ()
    if not any("-of-" in name for name in names):
        return selection
    place = out if COLLECTION_FILE in names else os.path.join(out, WORK_FOLDER)
    noted = files.exists(os.path.join(place, CONTENTS_FILE))
    return selection if noted else replace(selection, hold_out_rule=1)


def _write_missing(source, out, plan, contents, finished, skip_bad, run, progress):
    """Write the missing shards.

    Args:
        source: as for `write`.
        out: as for `write`.
        plan: the `ShardPlan`.
        contents: the `contents.Contents`, to which digests are added.
        finished: the `collection.Collection` of a finished folder, or None.
        skip_bad: as for `write`.
        run: as for `write`.
        progress: as for `write`.

    Returns:
        A list of `(split, jobs.Result)` of all shards. The result of a shard that a finished folder
        already has is None.
    """
    from tqdm import tqdm

    quiet.quiet_tensorflow()  # takes seconds, so errors that do not need it come first

    from vgg_tf.writing.shard_writing import write_shards

    jobs, work = plan.make_jobs(source), os.path.join(out, WORK_FOLDER)
    results = _read_results(out, work, jobs, finished, skip_bad)
    pace = 0.1 if sys.stderr.isatty() else 30  # seconds between updates of the bar
    rows = plan.list_rows(source)
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
            # Now, because the system has just read these files and still has their bytes.
            contents.hash_rows(source, *rows[result.name])
    return [(split, results[job.name]) for split, job in jobs]


def _read_results(out, work, jobs, finished, skip_bad):
    """Return `{name: result}` of the shards that exist and stay."""
    there = set(files.list_names(out))
    results = {job.name: read_result(work, job.name) for _, job in jobs if job.name in there}
    if finished:
        return results
    return {
        name: result
        for name, result in results.items()
        if result and (not result.bad or result.left_out) and (skip_bad or not result.left_out)
    }


def _finish(source, out, plan, contents, finished, skip_bad, results):
    """Write `dataset.json`, or check restored shards, and return the collection.

    Args:
        source: as for `write`.
        out: as for `write`.
        plan: as for `_write_missing`.
        contents: as for `_write_missing`.
        finished: as for `_write_missing`.
        skip_bad: as for `write`.
        results: list of `(split, jobs.Result)` of all shards.

    Returns:
        A `collection.Collection`.

    Raises:
        ValueError: images cannot be read, or restored shards have other numbers of images.
    """
    bad = sorted(line for _, result in results if result for line in result.bad)
    if bad and not skip_bad:
        work = os.path.join(out, WORK_FOLDER)
        plan.write(work, bad_of=source.name)
        raise ValueError(
            f"{len(bad)} of {sum(map(len, source.splits.values()))} images cannot be read. Fix or "
            "remove them, or skip them with --skip-bad. Then run the same command again:\n  "
            + programs.format_list(bad, os.path.join(work, BAD_FILE))
        )
    if finished:
        _check_restored(out, finished, results)
        return finished
    contents.hash_all(source)
    contents.write(out)
    collection = _describe(source, results, plan, find_hashed_copies(source, contents))
    collection.write(out)
    return collection


def _check_restored(out, finished, results):
    """Check the number of images of restored shards.

    Args:
        out: folder of the shards.
        finished: its `collection.Collection`.
        results: list of `(split, jobs.Result)` of all shards; None for shards that existed.

    Raises:
        ValueError: a restored shard has another number of images; the shard is removed.
    """
    for split, values in finished.splits.items():
        of_split = [result for name, result in results if name == split]
        for result, n in zip(of_split, values.get("per_shard", ()), strict=False):
            if result and len(result.labels) != n:
                files.remove(path := os.path.join(out, result.name))
                raise ValueError(
                    f"{path} must have {n} images, as in dataset.json. Received: "
                    f"{len(result.labels)} readable images. Restore the earlier images, or "
                    "write to another folder."
                )


def _describe(source, results, plan, copies):
    """Return the collection of the written shards.

    Args:
        source: a `splits.Source`.
        results: list of `(split, jobs.Result)` of all shards.
        plan: the `ShardPlan`.
        copies: the `copies.Copies` of the images.

    Returns:
        A `collection.Collection`.

    Raises:
        ValueError: a split has no readable image.
    """
    from vgg_tf.records.statistics import Measures, describe_split

    splits, emptied = {}, []
    for split in plan.shards:
        of_split = [result for name, result in results if name == split]
        labels = np.array([label for result in of_split for label in result.labels], np.int64)
        if not len(labels):
            raise ValueError(
                f"{source.name} must have a readable {split} image. Received: none. Fix the "
                "images, or remove the split."
            )
        if split == "train":
            emptied = [
                f"{source.classes[i]} has no readable training image"
                for i in np.setdiff1d(source.splits[split].labels, labels)
            ]
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
    found = copies.describe()
    return total.make_collection(source, splits, [*emptied, *found, *notes], plan.seed)
