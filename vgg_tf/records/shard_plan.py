"""Which shards are made of a source, and whether a folder may take them.

The plan is stored while shards are written, so that the same command continues an interrupted run
and another command is refused.
"""

import os
from dataclasses import asdict, dataclass

import numpy as np

from vgg_tf.records.collection import COLLECTION_FILE, RECIPE_FILE, Collection, make_shard_name
from vgg_tf.records.framing import Record
from vgg_tf.records.jobs import Job, remove_result
from vgg_tf.records.splits import SPLITS
from vgg_tf.runtime import files

SHARD_BYTES = 150e6  # about 100 to 200 MB read well over a network
# Smaller sets are still read in parallel and mixed: 8 shards, of 10 MB at least.
SMALL_SHARD_BYTES, FEW_SHARDS = 10e6, 8
SAMPLE = 128  # images decoded to measure the colors where not all are
PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class ShardPlan:
    """The shards to be written of a source.

    Attributes:
        fingerprint: of the source.
        seed: of the order of the images.
        shards: number of shards by split.
        check: whether each image is decoded.
    """

    fingerprint: str
    seed: int
    shards: dict[str, int]
    check: bool

    def make_jobs(self, source):
        """Return `(split, jobs.Job)` of each shard, in an order of images drawn from the seed."""
        jobs = []
        every = 1 if self.check else max(1, len(source.splits["train"]) // SAMPLE)
        for split, images in source.splits.items():
            random = np.random.default_rng([self.seed, SPLITS.index(split)])
            order, count = random.permutation(len(images)), self.shards[split]
            jobs += [
                (split, Job(make_shard_name(split, i, count), images.take(order[i::count]), every))
                for i in range(count)
            ]
        return jobs

    def write(self, work, **more):
        """Store the plan in the folder `work`, with more values for `check_plan`."""
        files.write_json(os.path.join(work, PLAN_FILE), asdict(self) | more)


def count_shards(source, shards):
    """Return the number of shards of each split.

    Args:
        source: a `splits.Source`.
        shards: number of shards of train; 0 chooses it by the size of the images.
    """
    train = source.splits["train"]
    if not shards:
        sample = train.contents[:: max(1, len(train) // 100)]
        total = sum(map(_measure_size, sample)) / len(sample) * len(train)
        shards = max(round(total / SHARD_BYTES), min(FEW_SHARDS, int(total / SMALL_SHARD_BYTES)), 1)
    return {
        split: min(len(images), max(1, round(shards * len(images) / len(train))))
        for split, images in source.splits.items()
    }


def _measure_size(content):
    """Return the bytes of an encoded image, of its file or of its record."""
    if isinstance(content, Record):
        return content.length
    try:
        return len(content) if isinstance(content, bytes) else files.read_size(content)
    except OSError:  # such as a link to nothing: who reads it will name it
        return 0


def list_counts(collection):
    """Return the number of shards of each split of a `collection.Collection`."""
    return {split: values["shards"] for split, values in collection.splits.items()}


def find_finished(out, source, seed, shards, check):
    """Return the collection of a finished folder, or None.

    Args:
        out: the folder.
        source: `splits.Source` of the images to be written.
        seed: of their order.
        shards: number of shards of train, or 0.
        check: whether each image is to be decoded.

    Raises:
        FileExistsError: the folder holds other shards, unchecked ones, or a run.
    """
    if not files.exists(os.path.join(out, COLLECTION_FILE)):
        return None
    there = Collection.read(out)
    if files.exists(os.path.join(out, RECIPE_FILE)):
        raise FileExistsError(f"{out} holds a run of vgg_tf. Choose another folder.")
    same = there.fingerprint == source.fingerprint() and there.seed == seed
    if not same or (shards and count_shards(source, shards) != list_counts(there)):
        raise FileExistsError(
            f"{out} holds other shards, of {there.name}. Choose another folder, or delete it first."
        )
    n = there.count_images("train")
    if check and there.statistics_images < n:
        raise FileExistsError(
            f"{out} was written with --no-check: {there.statistics_images} of {n} training images "
            "were looked at. Check them with python -m "
            f"tfrecords_tools.verify {out}, or leave it at that with --no-check."
        )
    return there


def is_whole(out, collection):
    """Return whether all shards of a finished folder are there."""
    counts = list_counts(collection)
    names = {
        make_shard_name(split, i, count) for split, count in counts.items() for i in range(count)
    }
    return names <= set(files.list_names(out))


def make_work_folder(out, work, finished):
    """Make the folder `work`, if `out` is empty, begun or finished.

    Raises:
        FileExistsError: `out` holds something else.
    """
    if (
        not finished
        and files.exists(out)
        and not files.exists(work)
        and (names := files.list_names(out))
    ):
        if any("-of-" in name for name in names):
            raise FileExistsError(
                f"{out} holds shards but no dataset.json. Choose a new folder. These can be "
                f"read without, and python -m tfrecords_tools.write {out} NEW writes them anew "
                "with one."
            )
        raise FileExistsError(f"{out} is not empty and holds no shards. Choose a new folder.")
    files.make_folder(work)


def check_plan(out, work, plan, name):
    """Store the plan, if the shards that are there were begun by it.

    They are removed where another plan of the same source failed at damaged images, which have
    since been removed.

    Args:
        out: folder of the shards.
        work: folder of the stored plan.
        plan: the `ShardPlan`.
        name: of the source.

    Raises:
        FileExistsError: the shards were begun by another plan.
    """
    path = os.path.join(work, PLAN_FILE)
    remedy = f"Delete {work} and the shards in {out}, then give the same command again."
    wanted = asdict(plan)
    there = files.read_json(path, remedy) if files.exists(path) else wanted
    failed_source = there.pop("bad_of", None)
    if there != wanted:
        if failed_source != name or there["fingerprint"] == plan.fingerprint:
            raise FileExistsError(
                f"{out} holds the beginning of other shards. Give the command that began them, "
                "choose another folder, or delete it first."
            )
        for split, count in there["shards"].items():
            for i in range(count):
                files.remove(os.path.join(out, make_shard_name(split, i, count)))
                remove_result(work, make_shard_name(split, i, count))
    plan.write(work)
