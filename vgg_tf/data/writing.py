"""Writing any source as shards. An interrupted run continues.

Each image is decoded once, to find damaged ones and to measure colors and sizes. A shard gets its
name when it is complete.
"""

import json
import os
import sys

from vgg_tf.records import schema
from vgg_tf.records.collection import COLLECTION_FILE, RECIPE_FILE, Collection, shard_name
from vgg_tf.runtime import files, quiet

SHARD_BYTES = 150e6  # about 100 to 200 MB read well over a network
# Smaller sets are still read in parallel and mixed: 8 shards, of 10 MB at least.
SMALL_SHARD_BYTES, FEW_SHARDS = 10e6, 8
SAMPLE = 128  # images decoded to measure the colours where not all are
WORK_FOLDER = ".writing"  # the plan, and the results of the shards that are done; gone when all are
PLAN, LOCK = "plan.json", "lock"


def write(source, out, shards=0, seed=0, check=True, skip_bad=False, run=None, progress=True):
    """Write the shards of a source and its `dataset.json`; in a finished folder, those shards that
    have been lost.

    RGB and grey JPEG and 8-bit PNG files are stored byte for byte, CMYK JPEGs as JPEGs of quality
    95, all else as PNG; what was encoded anew or left out is listed in the notes of `dataset.json`.

    Args:
        source: a `splits.Source`.
        out: folder, also remote (`gs://`); no lock keeps a second writer away there.
        shards: shards of the training split; 0 by size.
        seed: of the order, which is the same for the same seed.
        check: decode each image; without it a truncated one is not found, and colours come from a
            sample.
        skip_bad: leave unreadable images out, and note it.
        run: called as `encoding.write_shards`, which it is by default, to write the shards and give
            their results in any order.
        progress: a bar with rate and ETA; a line every 30 s where there is no terminal.

    Returns:
        The `collection.Collection` written.

    Raises:
        FileExistsError: `out` holds something else; nothing of it is touched.
        BlockingIOError: another process is writing there.
        ValueError: some images cannot be read; the message names them.
        OSError: the disk is full; the message names the shard.
    """
    if seed < 0 or shards < 0:
        raise ValueError(f"seed and shards are 0 or more. Received: {seed}, {shards}.")
    out = str(out)
    if (there := _finished(out, source, seed, shards, check)) and _whole(out, there):
        return there
    counts = _counts(there) if there else _shard_counts(source, shards)
    plan = {"fingerprint": source.fingerprint(), "seed": seed, "shards": counts, "check": check}
    work = os.path.join(out, WORK_FOLDER)
    _begin(out, work, there)
    busy = f"{out} is being written by another process. Wait for it, or choose another folder."
    with files.one_writer(os.path.join(work, LOCK), busy):
        # Since we looked.
        if (there := _finished(out, source, seed, shards, check)) and _whole(out, there):
            return there
        _check_plan(out, work, plan, source.name)
        collection = _write(source, out, work, plan, there, skip_bad, run, progress)
        files.remove(work)
        return collection


def _write(source, out, work, plan, finished, skip_bad, run, progress):
    from tqdm import tqdm

    quiet.quiet_tensorflow()  # takes seconds: after what is refused without it

    from vgg_tf.records.encoding import read_result, write_shards

    jobs = _jobs(source, plan)
    there = set(files.names(out))
    results = {job.name: read_result(work, job.name) for _, job in jobs if job.name in there}
    if not finished:
        whole = {
            name: result
            for name, result in results.items()
            if result and (not result.bad or result.left_out)
        }
        results = {
            name: result for name, result in whole.items() if skip_bad or not result.left_out
        }
    pace = 0.1 if sys.stderr.isatty() else 30  # seconds between two looks of the bar
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
    bad = sorted(line for result in filter(None, results.values()) for line in result.bad)
    if bad and not skip_bad:
        files.write_whole(
            os.path.join(work, PLAN), json.dumps(plan | {"bad_of": source.name}).encode()
        )
        raise ValueError(
            f"{len(bad)} of {sum(map(len, source.splits.values()))} images cannot be read; mend "
            "or remove them, or leave them out with --skip-bad, then run the same command "
            "again:\n  " + "\n  ".join(bad)
        )
    if finished:
        _compare(out, finished, [(split, results[job.name]) for split, job in jobs])
        return finished
    collection = _describe(source, [(split, results[job.name]) for split, job in jobs], plan)
    collection.write(out)
    return collection


def _jobs(source, plan):
    """`(split, Job)` of each shard: every image at its place in an order drawn from the seed."""
    import numpy as np

    from vgg_tf.records.encoding import Job
    from vgg_tf.records.splits import SPLITS

    jobs = []
    every = 1 if plan["check"] else max(1, len(source.splits["train"]) // SAMPLE)
    for split, images in source.splits.items():
        order = np.random.default_rng([plan["seed"], SPLITS.index(split)]).permutation(len(images))
        count = plan["shards"][split]
        jobs += [
            (split, Job(shard_name(split, i, count), images.take(order[i::count]), every))
            for i in range(count)
        ]
    return jobs


def _compare(out, finished, results):
    """Take back a restored shard that has not the images that it had; `results` of those that
    were there are None.
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
    """The `collection.Collection` of what was written."""
    import numpy as np

    from vgg_tf.records.statistics import Measures, describe

    splits = {}
    for split in plan["shards"]:
        of_split = [result for name, result in results if name == split]
        labels = np.array([label for result in of_split for label in result.labels], np.int64)
        if not len(labels):
            raise ValueError(
                f"no {split} image of {source.name} can be read. Mend them, or remove the split."
            )
        splits[split] = describe(
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
    return total.collection(source, splits, notes, plan["seed"])


def _shard_counts(source, shards):
    train = source.splits["train"]
    if not shards:
        sample = train.contents[:: max(1, len(train) // 100)]
        total = sum(map(_size, sample)) / len(sample) * len(train)
        shards = max(round(total / SHARD_BYTES), min(FEW_SHARDS, int(total / SMALL_SHARD_BYTES)), 1)
    return {
        split: min(len(images), max(1, round(shards * len(images) / len(train))))
        for split, images in source.splits.items()
    }


def _size(content):
    if isinstance(content, schema.Record):
        return content.length
    try:
        return len(content) if isinstance(content, bytes) else files.size(content)
    except OSError:  # such as a link to nothing: who reads it will name it
        return 0


def _finished(out, source, seed, shards, check):
    """The collection of a finished folder, None where there is none yet."""
    if not files.exists(os.path.join(out, COLLECTION_FILE)):
        return None
    there = Collection.read(out)
    if files.exists(os.path.join(out, RECIPE_FILE)):
        raise FileExistsError(f"{out} holds a run of vgg_tf. Choose another folder.")
    same = there.fingerprint == source.fingerprint() and there.seed == seed
    if not same or (shards and _shard_counts(source, shards) != _counts(there)):
        raise FileExistsError(
            f"{out} holds other shards, of {there.name}. Choose another folder, or delete it first."
        )
    if check and there.statistics_images < there.images("train"):
        raise FileExistsError(
            f"{out} was written with --no-check: {there.statistics_images} of "
            f"{there.images('train')} training images were looked at. Check them with python -m "
            f"tfrecords_tools.verify {out}, or leave it at that with --no-check."
        )
    return there


def _counts(collection):
    return {split: values["shards"] for split, values in collection.splits.items()}


def _whole(out, there):
    """Tell whether all shards of a finished folder are there."""
    names = {
        shard_name(split, i, count) for split, count in _counts(there).items() for i in range(count)
    }
    return names <= set(files.names(out))


def _begin(out, work, there):
    if not there and files.exists(out) and not files.exists(work) and (names := files.names(out)):
        if any("-of-" in name for name in names):
            raise FileExistsError(
                f"{out} holds shards but no dataset.json. Choose a new folder. These can be "
                f"read without, and python -m tfrecords_tools.write {out} NEW writes them anew "
                "with one."
            )
        raise FileExistsError(f"{out} is not empty and holds no shards. Choose a new folder.")
    files.make_folder(work)


def _check_plan(out, work, plan, name):
    """Go on with the shards that were begun by this plan; begin anew where damaged images have
    since been removed.
    """
    path = os.path.join(work, PLAN)
    there = json.loads(files.read(path)) if files.exists(path) else plan
    bad_of = there.pop("bad_of", None)
    if there != plan:
        if bad_of != name or there["fingerprint"] == plan["fingerprint"]:
            raise FileExistsError(
                f"{out} holds the beginning of other shards. Give the command that began them, "
                "choose another folder, or delete it first."
            )
        for split, count in there["shards"].items():
            for i in range(count):
                files.remove(os.path.join(out, shard_name(split, i, count)))
                files.remove(os.path.join(work, f"{shard_name(split, i, count)}.json"))
    files.write_whole(path, json.dumps(plan).encode())
