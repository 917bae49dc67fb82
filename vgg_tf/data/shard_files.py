"""Which files of a folder are third-party shards, and of which split: by content, of any name."""

import contextlib
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from vgg_tf.images import formats
from vgg_tf.layouts.split_words import UNLABELED, find_split
from vgg_tf.records.shard_kinds import (
    has_shard_name,
    is_shard,
    remove_packing,
    remove_suffix,
)
from vgg_tf.runtime import files, programs, remote

DEPTH = 3  # folders around the shards
THREADS = 16
FIRST = 20  # files of each suffix that are looked at, unless one of them is a shard
# train-00000-of-01024, flowers_train_00000-of-00005.tfrecord, mnist-train.tfrecord-00000-of-00001.
_NUMBER = re.compile(r"(?P<start>.*?)[-_.]?(?P<index>\d+)-of-(?P<count>\d+)(?P<end>.*)")
# What editors, copies and broken downloads leave next to shards. A number in parentheses stands
# for a copy only if there is a file without it.
_LEFT_OVER = re.compile(
    r".*(\.(bak|backup|old|orig|te?mp|swp|part|partial|filepart|crdownload|download|aria2)|~)",
    re.IGNORECASE,
)
_COPY = re.compile(r"( \(\d+\)| - copy| copy)(?=(\.[^ ]*)?$)", re.IGNORECASE)
_COMPANIONS = re.compile(r"dataset_info\.json|features\.json|.*\.labels\.txt|_SUCCESS|\..*")


class Found(NamedTuple):
    """Third-party shards in a folder.

    Attributes:
        splits: `{split: [path of each shard, in order]}`; empty without shards.
        notes: list of notes about files that are not read.
    """

    splits: dict
    notes: list


class _Shard(NamedTuple):
    """A file of records: its folder and name, and the split that both stand for, or None."""

    folder: str
    name: str
    split: str | None

    @property
    def path(self):
        return f"{self.folder}/{self.name}"


class _Place:
    """The files of one folder: names of `shards`, `folders`, and a `Counter` of other kinds.

    Shards that are `left_over`, such as a.tfrecord.bak, are not among its `shards`.
    """

    def __init__(self, path):
        self.path, self.shards, self.folders, self.others = path, [], [], Counter()
        there = [name for name in files.list_names(path) if not _COMPANIONS.fullmatch(name)]
        self.pictures = sum(map(formats.has_image_suffix, there))
        there = [name for name in there if not formats.has_image_suffix(name)]
        far = remote.is_remote(path)  # where each look at a file takes 0.1 s
        maybe = [name for name in there if find_split(name)] if far else there
        self.folders = [name for name in maybe if files.is_folder(f"{path}/{name}")]
        rest = sorted(set(there) - set(self.folders))
        likely = {name for name in rest if has_shard_name(name)}
        self.shards = self._sort_out(sorted(likely))
        kinds = {}
        for name in [] if far else sorted(set(rest) - likely):
            kinds.setdefault(formats.get_suffix(name), []).append(name)
        for names in kinds.values():  # of thousands of texts next to pictures, the first ones do
            if found := self._sort_out(names[:FIRST]):
                self.shards += found + self._sort_out(names[FIRST:])
        self.others.update(map(formats.get_suffix, set(rest) - set(self.shards)))
        self.left_over = [name for name in self.shards if _is_left_over(name, there)]
        self.shards = [name for name in self.shards if name not in self.left_over]

    def _sort_out(self, names):
        """Return those of some names of files that are shards."""
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(is_shard, [f"{self.path}/{name}" for name in names])
            return [name for name, is_one in zip(names, found, strict=True) if is_one]

    def enter(self):
        """Return the place of the only folder in this one, as often as there is nothing else."""
        place, depth = self, 0
        while depth < DEPTH and len(place.folders) == 1 and not place.files:
            if place.pictures or find_split(place.folders[0]) not in (None, find_split(place.name)):
                break
            place, depth = _Place(f"{place.path}/{place.folders[0]}"), depth + 1
        return place

    @property
    def files(self):
        """Names of its shards, and other kinds of files."""
        return [*self.shards, *self.left_over, *self.others]

    @property
    def name(self):
        """Name of the folder."""
        return os.path.basename(self.path)


def find_shards(folder):
    """Find third-party shards in a folder, or in its folders of splits such as `train/`.

    Args:
        folder: path of the folder.

    Returns:
        `Found`. Its splits may be empty.

    Raises:
        FileNotFoundError: shards of a split are missing; the message names them.
        ValueError: a split has two sets of shards, files have names of shards but are of another
            kind, or there are shards and pictures.
    """
    if not files.is_folder(folder):
        return Found({}, [])
    root = _Place(folder).enter()
    shards = [_Shard(root.path, name, _find_split(name)) for name in root.shards]
    notes, others, pictures, left_over = [], Counter(root.others), [], [*root.left_over]
    others["picture"] = root.pictures
    unread = [name for name in root.folders if not find_split(name)]
    for name in set(root.folders) - set(unread):
        place = _Place(f"{root.path}/{name}").enter()
        left_over += [f"{name}/{own}" for own in place.left_over]
        if not place.shards:
            unread.append(name)
            continue
        shards += [_Shard(place.path, own, _join_splits(name, place, own)) for own in place.shards]
        others += place.others
        unread += [f"{name}/{below}" for below in place.folders]
        pictures += [name] * bool(place.pictures)
    if not shards:
        return Found({}, [])
    if pictures := pictures + [name for name in unread if _has_pictures(f"{root.path}/{name}")]:
        places = programs.format_list(sorted(pictures)).replace("\n  ", ", ")
        raise ValueError(
            f"{root.path} must have shards or pictures. Received: both, shards such as "
            f"{shards[0].path} and pictures in {places}. Give a folder with only one of them"
            + (f", such as {shards[0].folder}." if shards[0].folder != root.path else ".")
        )
    splits = _group(root.path, shards, notes)
    if left_over:
        names = programs.format_list(sorted(left_over)).replace("\n  ", ", ")
        notes.append(f"copies and left-over parts of shards: left out ({names})")
    if others := {kind: n for kind, n in others.items() if n}:
        n = others.pop("picture", 0)
        kinds = [programs.count(n, "picture")] * bool(n)
        kinds += [formats.describe_kinds(others)] * bool(others)
        notes.append(f"files that are not shards: left out ({', '.join(kinds)})")
    if unread:
        names = programs.format_list(sorted(unread)).replace("\n  ", ", ")
        notes.append(f"folders without shards of a split: left out ({names})")
    return Found(splits, notes)


def refuse_inside(folder):
    """Refuse a folder whose folders have shards.

    Args:
        folder: path of a folder without shards of its own and without images.

    Raises:
        ValueError: some of its folders have shards; the message names them.
    """
    inside = []
    for name in _Place(folder).folders:
        with contextlib.suppress(OSError, ValueError):
            if find_shards(f"{folder}/{name}").splits:
                inside.append(name)
    if inside:
        raise ValueError(
            f"{folder} must have shards, or folders of splits such as train/. Received: shards in "
            f"{', '.join(inside[:20])}. Give one of them, such as {folder}/{inside[0]}."
        )


def _is_left_over(name, there):
    """Return whether a shard is a copy of another one in its folder, or left over by its name."""
    plain = _COPY.sub("", name)
    return bool(_LEFT_OVER.fullmatch(name)) or (plain != name and plain in there)


def _find_split(name):
    """Return the split in the name of a shard, or None."""
    return find_split(remove_suffix(name))


def _join_splits(folder, place, name):
    """Return the split that a folder and the name of a shard in it stand for."""
    of_folder, of_name = find_split(folder), _find_split(name)
    if of_name in (None, of_folder) or of_folder == UNLABELED:
        return of_folder
    raise ValueError(
        f"The folder and the name of a shard must stand for one split. Received: "
        f"{place.path}/{name}: {of_folder} and {of_name}. Rename or move it."
    )


def _has_pictures(folder):
    """Return whether there are images in a local folder or in one of its first folders."""
    if remote.is_remote(folder):
        return False
    names = files.list_names(folder)
    below = [f"{folder}/{name}" for name in names[:20] if not formats.has_image_suffix(name)]
    return any(map(formats.has_image_suffix, names)) or any(
        any(map(formats.has_image_suffix, files.list_names(path)))
        for path in filter(files.is_folder, below)
    )


def _group(folder, shards, notes):
    """Return `{split: [path of each shard]}`, and add notes about shards that are left out.

    Args:
        folder: path of the folder.
        shards: list of `_Shard`.
        notes: list of str.

    Returns:
        dict. Shards without the word of a split are train, unless others are.

    Raises:
        FileNotFoundError: shards of a set are missing.
        ValueError: a split has two sets of shards, or one shard twice.
    """
    has_train = any(shard.split == "train" for shard in shards)
    # {split: {(folder, beginning, count) of a set: {number or name: path}}}
    sets, left, unlabeled = {}, [], []
    for shard in shards:
        if shard.split == UNLABELED or (shard.split is None and has_train):
            (left if shard.split is None else unlabeled).append(shard.name)
            continue
        match = _NUMBER.fullmatch(shard.name)
        of_set = shard.folder, *((match["start"], int(match["count"])) if match else ())
        group = sets.setdefault(shard.split or "train", {}).setdefault(of_set, {})
        key = int(match["index"]) if match else remove_packing(shard.name)
        if key in group:
            raise ValueError(
                f"{folder} must have each shard once. Received: {group[key]} and {shard.path}. "
                "Move one of them to another folder."
            )
        group[key] = shard.path
    for names, what in ((left, "do not name a split"), (unlabeled, "stand for no labels")):
        if names:
            listed = programs.format_list(sorted(names)).replace("\n  ", ", ")
            notes.append(f"shards whose names {what}: left out ({listed})")
    splits = {}
    for split, groups in sorted(sets.items()):
        if len(groups) > 1:
            one, other = [next(iter(group.values())) for group in groups.values()][:2]
            raise ValueError(
                f"{folder} must have one set of {split} shards. Received two: {one} and {other}. "
                "Move one set to another folder."
            )
        ((of_set, group),) = groups.items()
        if len(of_set) > 1:
            _check_numbers(folder, split, group, of_set[-1])
        splits[split] = [group[key] for key in sorted(group)]
    return splits


def _check_numbers(folder, split, group, count):
    """Check that a set has all of its numbers, counted from 0, or from 1 if it begins there."""
    there = set(group)
    numbers = range(1, count + 1) if count in there and 0 not in there else range(count)
    if missing := sorted(set(numbers) - there):
        raise FileNotFoundError(
            f"{folder} must have all {count} {split} shards. Received "
            f"{next(iter(group.values()))} without the numbers "
            f"{', '.join(map(str, missing[:5]))} ({len(missing)} missing). Download them."
        )
