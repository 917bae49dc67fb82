"""Plan of the shards of a source, and checks of the output folder.

The plan is stored while shards are written. The same command then continues an interrupted run, and
a different command is an error.
"""

import os
from dataclasses import asdict, dataclass

import numpy as np

from vgg_tf.records.collection import COLLECTION_FILE, RECIPE_FILE, Collection, make_shard_name
from vgg_tf.records.contents import CONTENTS_FILE, Contents, format_changes
from vgg_tf.records.framing import Record
from vgg_tf.records.splits import SPLITS
from vgg_tf.runtime import files, schemas
from vgg_tf.runtime.schemas import Fields, Flag, Maybe, Named, Number, Text
from vgg_tf.writing.jobs import Job, remove_result

SHARD_BYTES = 150e6  # shards of 100 to 200 MB read fast over a network
# Smaller datasets get up to 8 shards of at least 10 MB, to be read in parallel and mixed.
SMALL_SHARD_BYTES, FEW_SHARDS = 10e6, 8
SAMPLE = 128  # images decoded for the color statistics with --no-check
PLAN_FILE = "plan.json"
# The names of splits are parts of the names of files that are removed.
_SCHEMA = Fields(
    {
        "fingerprint": Text(),
        "seed": Number(0, 2**63),
        "shards": Named(Number(0, schemas.MOST_SHARDS), Text(choices=SPLITS)),
        "check": Flag(),
    },
    {"bad_of": Maybe(Text())},
)


@dataclass(frozen=True)
class ShardPlan:
    """Plan of the shards of a source.

    Attributes:
        fingerprint: fingerprint of the source.
        seed: seed of the order of the images.
        shards: number of shards by split.
        check: whether to decode each image.
    """

    fingerprint: str
    seed: int
    shards: dict[str, int]
    check: bool

    def list_rows(self, source):
        """Return the images of each shard, in a seeded random order.

        Args:
            source: a `splits.Source`.

        Returns:
            `{name of the shard: (split, int array of positions in the split)}`.
        """
        rows = {}
        for split, images in source.splits.items():
            random = np.random.default_rng([self.seed, SPLITS.index(split)])
            order, count = random.permutation(len(images)), self.shards[split]
            for i in range(count):
                rows[make_shard_name(split, i, count)] = split, order[i::count]
        return rows

    def make_jobs(self, source):
        """Return `(split, jobs.Job)` for each shard."""
        every = 1 if self.check else max(1, len(source.splits["train"]) // SAMPLE)
        return [
            (split, Job(name, source.splits[split].take(rows), every))
            for name, (split, rows) in self.list_rows(source).items()
        ]

    def write(self, work, **more):
        """Store the plan in the folder `work`, with additional values for `check_plan`."""
        files.write_json(os.path.join(work, PLAN_FILE), asdict(self) | more)


def count_shards(source, shards):
    """Return the number of shards of each split.

    Args:
        source: a `splits.Source`.
        shards: number of shards of train; 0 chooses it by the size of the images.

    Returns:
        dict from names of splits to numbers of shards.
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
    """Return the size of an encoded image, of its file or of its record, in bytes."""
    if isinstance(content, Record):
        return content.length
    try:
        return len(content) if isinstance(content, bytes) else files.read_size(content)
    except OSError:  # such as a broken link; reading it later reports the error
        return 0


def list_counts(collection):
    """Return the number of shards of each split of a `collection.Collection`."""
    return {split: values["shards"] for split, values in collection.splits.items()}


def find_finished(out, source, seed, shards, check):
    """Return the collection of a folder whose shards are complete.

    Args:
        out: the folder.
        source: `splits.Source` of the images to write.
        seed: seed of the order of the images.
        shards: number of shards of train; 0 accepts any number.
        check: whether each image must have been decoded.

    Returns:
        A `collection.Collection`, or None if the folder has no `dataset.json`.

    Raises:
        FileExistsError: the folder has other shards, unchecked shards, or a run; or the images have
            changed since, which the message names.
    """
    if not files.exists(os.path.join(out, COLLECTION_FILE)):
        return None
    there = Collection.read(out)
    if files.exists(os.path.join(out, RECIPE_FILE)):
        raise FileExistsError(
            f"{out} must be a folder for shards. Received: a run folder. Choose another folder."
        )
    same = there.fingerprint == source.fingerprint() and there.seed == seed
    if not same or (shards and count_shards(source, shards) != list_counts(there)):
        raise FileExistsError(
            f"{out} must be empty or have the same shards. Received: other shards, of "
            f"{there.name}. Choose another folder, or delete this one."
        )
    n = there.count_images("train")
    if check and there.statistics_images < n:
        raise FileExistsError(
            f"{out} was written with --no-check: {there.statistics_images} of {n} training images "
            f"were decoded. Check it with python -m tfrecords_tools.verify {out}, or add "
            "--no-check."
        )
    contents = Contents.read(out)  # None for shards of earlier versions
    if contents and (changes := contents.list_changes(source)):
        raise FileExistsError(
            f"{out} must have the shards of the same pictures and boxes. Received: "
            f"{format_changes(changes, source.name)}\nDelete {out} to write all shards again, or "
            "choose another folder."
        )
    return there


def is_whole(out, collection):
    """Return whether a folder has all shards of its collection."""
    counts = list_counts(collection)
    names = {
        make_shard_name(split, i, count) for split, count in counts.items() for i in range(count)
    }
    return names <= set(files.list_names(out))


def make_work_folder(out, work, finished):
    """Create the folder `work` if `out` is empty, incomplete or complete.

    Args:
        out: folder of the shards.
        work: folder to create.
        finished: whether `out` is complete.

    Raises:
        FileExistsError: `out` has other files.
    """
    if (
        not finished
        and files.exists(out)
        and not files.exists(work)
        and (names := files.list_names(out))
    ):
        if any("-of-" in name for name in names):
            raise FileExistsError(
                f"{out} must be empty. Received: shards without dataset.json. Choose a new folder. "
                "To write these shards again with a dataset.json, run python -m "
                f"tfrecords_tools.write {out} NEW."
            )
        raise FileExistsError(
            f"{out} must be empty or have shards. Received: {', '.join(sorted(names)[:3])}. "
            "Choose a new folder."
        )
    files.make_folder(work)


def check_plan(out, work, plan, name):
    """Store the plan if existing shards come from the same plan.

    If an earlier plan of the source failed because of damaged images, and the images have changed
    since, its shards are removed.

    Args:
        out: folder of the shards.
        work: folder of the stored plan.
        plan: the `ShardPlan`.
        name: name of the source.

    Raises:
        FileExistsError: the shards come from another plan.
    """
    path = os.path.join(work, PLAN_FILE)
    remedy = f"Delete {work} and the shards in {out}, then run the same command again."
    wanted = asdict(plan)
    there, failed_source = wanted, None
    if files.exists(path):
        values = schemas.read(path, _SCHEMA, "a plan of shards", remedy)
        there, failed_source = {key: values[key] for key in wanted}, values.get("bad_of")
    if there != wanted:
        if failed_source != name or there["fingerprint"] == plan.fingerprint:
            raise FileExistsError(
                f"{out} must be empty or have the same shards. Received: an interrupted write of "
                "other shards. Run the command that began it, choose another folder, or delete "
                "this one."
            )
        for split, count in there["shards"].items():
            for i in range(count):
                _remove_shard(out, work, make_shard_name(split, i, count))
        files.remove(os.path.join(work, CONTENTS_FILE))
    plan.write(work)


def note_contents(out, work, plan, source):
    """Note the sizes and times of all images before they are read.

    Shards of an interrupted write whose images have changed since are removed.

    Args:
        out: folder of the shards.
        work: folder of the notes.
        plan: the `ShardPlan` of all shards in `out`.
        source: a `splits.Source`.

    Returns:
        `contents.Contents`, without digests.
    """
    now, there = Contents.look_at(source), Contents.read(work)
    if there:
        changed = {(change.split, change.row) for change in there.list_changes(source)}
        for name, (split, rows) in plan.list_rows(source).items():
            if any((split, row) in changed for row in rows.tolist()):
                _remove_shard(out, work, name)
    now.write(work)
    return now


def _remove_shard(out, work, name):
    """Remove a shard and its stored result, if they exist."""
    files.remove(os.path.join(out, name))
    remove_result(work, name)
