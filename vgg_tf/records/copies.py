"""Copies: images with equal bytes.

Files are compared by size first. Only files of equal size are read.
"""

import contextlib
import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from vgg_tf.records.contents import (
    DIGEST,
    PICTURES,
    SIZE,
    hash_bytes,
    hash_content,
    is_local_file,
    map_fast,
    measure,
)
from vgg_tf.records.splits import SPLITS
from vgg_tf.runtime import files, programs

# A file is read whole only if another one has its size and these bytes in its middle.
MIDDLE = 4096
NAMED = 5  # copies of one image that are named
COPIES = "copies: "  # beginning of the notes about them


class Copies(NamedTuple):
    """The images of a source that have equal bytes.

    Attributes:
        groups: for each image with copies, `(split, name)` of it and of its copies. Images of train
            come first, then those of validation, then those of test, each sorted by name.
        classes: `{(split, name): class name}` of the images in `groups`; empty if unknown.
    """

    groups: list[list[tuple[str, str]]]
    classes: Mapping[tuple[str, str], str] = MappingProxyType({})

    def count(self):
        """Return the number of images that are copies of another one."""
        return sum(len(group) - 1 for group in self.groups)

    def list_across(self):
        """Return `((split, name), (split, name))` of copies and their originals in other splits."""
        return [
            (image, group[0]) for group in self.groups for image in group if image[0] != group[0][0]
        ]

    def list_contradictions(self):
        """Return the groups whose images have different classes, as lists of `(split, name)`."""
        return [
            group for group in self.groups if len({self.classes.get(image) for image in group}) > 1
        ]

    def describe(self):
        """Return notes about the copies, which begin with `COPIES`; none without copies."""
        notes = []
        if n := self.count():
            have = programs.count(n, "image has", "images have")
            notes.append(f"{COPIES}{have} the same bytes as another image")
        if across := self.list_across():
            have = programs.count(len(across), "image has", "images have")
            lines = [
                f"{name} ({split}) as {original} ({of})" for (split, name), (of, original) in across
            ]
            which = programs.format_list(lines).replace("\n  ", ", ")
            notes.append(f"{COPIES}{have} the same bytes as an image of another split: {which}")
        if unlike := self.list_contradictions():
            lines = [
                ", ".join(f"{image[1]} ({self.classes.get(image)})" for image in group[:NAMED])
                + f" and {len(group) - NAMED} more" * (len(group) > NAMED)
                for group in unlike
            ]
            n = sum(map(len, unlike))
            which = programs.format_list(lines).replace("\n  ", "; ")
            notes.append(f"{COPIES}{n:,} images with equal bytes have different labels: {which}")
        return notes


def find_copies(source):
    """Return the `Copies` of a source, within and across its splits.

    Records of shards and files on other machines are not read, and have no copies.

    Args:
        source: a `splits.Source`.

    Returns:
        `Copies`.
    """
    parts = source.splits.items()
    contents = list(itertools.chain.from_iterable(images.contents for _, images in parts))
    labels = [(split, name) for split, images in parts for name in images.names]
    return _add_classes(group_equal(labels, find_originals(contents)), source)


def find_hashed_copies(source, contents):
    """Return the same from digests of all images.

    Args:
        source: a `splits.Source`.
        contents: its `contents.Contents`, with digests.

    Returns:
        `Copies`.
    """
    parts = list(source.splits.items())
    tables = [contents.tables[f"{split} {PICTURES}"] for split, _ in parts]
    table = np.concatenate(tables)
    rows = np.flatnonzero((table[:, DIGEST] != 0) & (table[:, SIZE] > 0))
    shared = set(_list_shared(rows, table[:, DIGEST]).tolist())
    every = ((split, name) for split, images in parts for name in images.names)
    images = [(i, image) for i, image in enumerate(every) if i in shared]
    keys = [table[i, DIGEST] for i, _ in images]
    return _add_classes(group_equal([image for _, image in images], keys), source)


def _add_classes(copies, source):
    """Return `Copies` with the classes of their images in a source."""
    grouped = set(itertools.chain.from_iterable(copies.groups))
    classes = {
        (split, name): source.classes[label]
        for split, images in source.splits.items()
        for name, label in zip(images.names, images.labels.tolist(), strict=True)
        if (split, name) in grouped
    }
    return copies._replace(classes=classes)


def group_equal(images, keys):
    """Return the `Copies` among images whose keys are equal.

    Args:
        images: list of `(split, name)`.
        keys: for each image a value that only its copies have.

    Returns:
        `Copies`.
    """
    groups = {}
    for image, key in zip(images, keys, strict=True):
        groups.setdefault(key, []).append(image)
    order = {split: i for i, split in enumerate(SPLITS)}
    return Copies(
        [
            sorted(group, key=lambda image: (order[image[0]], image[1]))
            for group in groups.values()
            if len(group) > 1
        ]
    )


def find_originals(contents):
    """Return for each image the position of the first one with equal bytes.

    Args:
        contents: for each image its encoded bytes, the path of its file, or its `framing.Record`.

    Returns:
        int64 `[n]`. The position of the image itself if it is no copy. Records, files on other
        machines, empty and unreadable files are no copies.
    """
    readable = [
        i
        for i, content in enumerate(contents)
        if isinstance(content, bytes) or is_local_file(content)
    ]
    sizes, keys = np.zeros((2, len(contents)), np.int64)
    sizes[readable] = map_fast(lambda i: measure(contents[i])[0], readable)
    shared = _list_shared(np.flatnonzero(sizes > 0), sizes)
    keys[shared] = map_fast(lambda i: _hash_middle(contents[i], sizes[i]), shared)
    large = _list_shared(shared[sizes[shared] > MIDDLE], keys)
    keys[large] = map_fast(lambda i: hash_content(contents[i]), large)
    shared = _list_shared(shared[keys[shared] != 0], keys)
    originals = np.arange(len(contents))
    _, first, which = np.unique(keys[shared], return_index=True, return_inverse=True)
    originals[shared] = shared[first[which]]
    return originals


def _list_shared(rows, keys):
    """Return those of some rows whose key another one of them has, too."""
    _, which, counts = np.unique(keys[rows], return_inverse=True, return_counts=True)
    return rows[counts[which] > 1]


def _hash_middle(content, size):
    """Return a digest of the size and the middle bytes of a content; 0 if it is unreadable."""
    if isinstance(content, bytes):
        return hash_content(content)
    with contextlib.suppress(OSError):
        middle = files.read(content, max(0, int(size) - MIDDLE) // 2, MIDDLE)
        return hash_bytes(int(size).to_bytes(8, "little") + middle)
    return 0
