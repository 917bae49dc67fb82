"""Sizes, times and digests of the files of a source, to find what was changed in place.

They are stored in contents.npz, next to the `dataset.json` of shards and in run folders. For each
split it has a table of the pictures and, if there are boxes, one of their annotations: int64
`[n, 3]`, in the order of the source.
"""

import contextlib
import hashlib
import io
import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from vgg_tf.records.framing import Record
from vgg_tf.runtime import array_files, files, programs, remote, schemas

CONTENTS_FILE = "contents.npz"
SIZE, TIME, DIGEST = 0, 1, 2  # columns of a table
UNKNOWN = -1  # a size or a time that is not compared
MISSING = -2  # the size of a file that does not exist
NOTHING = (0, UNKNOWN, 0)  # row of an image without boxes
THREADS, CHUNK, SLOW = 8, 256, 1e-4  # SLOW in seconds per value
PICTURES, BOXES = "pictures", "boxes"


class Change(NamedTuple):
    """A picture or an annotation that has changed.

    Attributes:
        split: name of the split.
        row: position of the image in the split.
        name: file name of the picture, or path of the annotation.
    """

    split: str
    row: int
    name: str


def is_local_file(content):
    """Return whether a content is the path of a file on this machine."""
    return isinstance(content, str) and not remote.is_remote(content)


def measure(content):
    """Return the size and the time of the last change of a content, without reading it.

    Args:
        content: path, encoded bytes, `framing.Record`, list of boxes, or None.

    Returns:
        `(size in bytes, time in ns)`. The size of files on other machines is `UNKNOWN`, that of
        files that do not exist is `MISSING`. Only files on this machine have a time, others have
        `UNKNOWN`.
    """
    if is_local_file(content):
        try:
            state = os.stat(content)
        except OSError:  # the code that reads the file reports the error
            return MISSING, UNKNOWN
        return state.st_size, _read_time(state)
    if isinstance(content, Record):
        return content.length, UNKNOWN
    return (UNKNOWN if isinstance(content, str) else len(_pack(content))), UNKNOWN


def _read_time(state):
    """Return the time of an `os.stat_result` that shows whether a file may have changed, in ns.

    Programs can set the time of the last modification to an earlier one, but not that of the last
    change. Notes of earlier versions have the former. The two are equal in files that were only
    written, so most of those are not read again.
    """
    modified, changed = state.st_mtime_ns, state.st_ctime_ns
    return changed if changed >= modified else changed + modified


def hash_content(content):
    """Return a digest of the bytes of a content.

    Args:
        content: as for `measure`.

    Returns:
        int of 63 bits, 1 or more; 0 for records, files on other machines and unreadable files.
    """
    if isinstance(content, Record) or (isinstance(content, str) and not is_local_file(content)):
        return 0
    if not isinstance(content, str):
        return hash_bytes(_pack(content))
    with contextlib.suppress(OSError):
        return hash_bytes(files.read(content))
    return 0


def hash_bytes(data):
    """Return a digest of bytes: an int of 63 bits, 1 or more."""
    digest = hashlib.blake2b(data, digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 1) or 1


def map_fast(function, values):
    """Return `function` of each value, in threads if the files do not come at once.

    Files in the system's memory come faster without threads. Those of disks and of other machines
    come in threads several at a time.

    Args:
        function: takes a value, and returns an int or a tuple of ints.
        values: sequence.

    Returns:
        int64 array, in order.
    """
    found = []
    for i in range(0, len(values), CHUNK):
        start = time.perf_counter()
        found += map(function, values[i : i + CHUNK])
        if time.perf_counter() - start > SLOW * CHUNK:
            break
    rest = range(len(found), len(values), CHUNK)
    if rest:
        with ThreadPoolExecutor(THREADS) as pool:
            chunks = pool.map(lambda i: [*map(function, values[i : i + CHUNK])], rest)
            found += itertools.chain.from_iterable(chunks)
    return np.array(found, np.int64)


def _measure_all(contents):
    """Return `measure` of each content, int64 `[n, 2]`."""
    return map_fast(measure, contents).reshape(-1, 2)


def _pack(content):
    """Return a content in memory as bytes: those of an image, or boxes as text."""
    if isinstance(content, bytes):
        return content
    return repr(content).encode() if content else b""


def _list_contents(source, known=()):
    """Yield `(key of the table, split, contents)` of the pictures and boxes of a source.

    Args:
        source: a `splits.Source`.
        known: keys of tables that are yielded even if the split has no boxes.

    Yields:
        `(str, str, list)`.
    """
    for split, images in source.splits.items():
        yield f"{split} {PICTURES}", split, images.contents
        if images.boxes or f"{split} {BOXES}" in known:
            yield f"{split} {BOXES}", split, images.boxes or [None] * len(images)


class Contents:
    """Tables of the pictures and annotations of a source.

    Attributes:
        tables: `{"<split> pictures" or "<split> boxes": int64 [n, 3]}`: size in bytes, time of the
            last change in ns, digest. Digests that were not computed are 0.
    """

    def __init__(self, tables):
        self.tables = tables

    @classmethod
    def look_at(cls, source):
        """Return the sizes and times of the files of a source. Nothing is read.

        Args:
            source: a `splits.Source`.

        Returns:
            `Contents`, without digests.
        """
        tables = {}
        for key, _, contents in _list_contents(source):
            seen = _measure_all(contents)
            tables[key] = np.concatenate([seen, np.zeros((len(seen), 1), np.int64)], 1)
        return cls(tables)

    def hash_rows(self, source, split, rows):
        """Compute the missing digests of some images, and of their boxes.

        What has changed since its size and time were noted gets no digest.

        Args:
            source: the `splits.Source`.
            split: name of the split.
            rows: positions in the split.
        """
        for key, of_split, contents in _list_contents(source):
            if of_split == split:
                map_fast(partial(self._hash, key, contents), list(map(int, rows)))

    def hash_all(self, source):
        """Compute all missing digests; arguments as for `hash_rows`."""
        for split, images in source.splits.items():
            self.hash_rows(source, split, range(len(images)))

    def _hash(self, key, contents, i):
        row = self.tables[key][i]
        if not row[DIGEST] and row[SIZE] >= 0:
            digest = hash_content(contents[i])
            if measure(contents[i]) == (row[SIZE], row[TIME]):
                row[DIGEST] = digest
        return 0

    def drop_times(self):
        """Return a copy without times and digests, of which only the sizes are compared."""
        return Contents(
            {key: table * [1, 0, 0] + [0, UNKNOWN, 0] for key, table in self.tables.items()}
        )

    def list_changes(self, source):
        """Compare a source with these contents.

        A file whose size and time are as noted is not read. If only its time differs, its digest is
        compared.

        Args:
            source: a `splits.Source` with the same images.

        Returns:
            A list of `Change`.
        """
        found = []
        for key, split, contents in _list_contents(source, self.tables):
            old = self.tables.get(key, np.tile(NOTHING, (len(contents), 1)))
            if len(old) != len(contents):  # of another source: all have changed
                old = np.tile((MISSING, UNKNOWN, 0), (len(contents), 1))
            new = _measure_all(contents)
            known = (old[:, SIZE] != UNKNOWN) & (new[:, SIZE] != UNKNOWN)
            changed = known & (old[:, SIZE] != new[:, SIZE])
            later = (old[:, TIME] != UNKNOWN) & (old[:, TIME] != new[:, TIME])
            in_memory = (new[:, TIME] == UNKNOWN) & (old[:, DIGEST] != 0)
            rows = np.flatnonzero(known & ~changed & (later | in_memory))
            digests = map_fast(hash_content, [contents[i] for i in rows])
            changed[rows] = digests != old[rows, DIGEST]
            names = source.splits[split].names
            for i in np.flatnonzero(changed).tolist():
                is_annotation = key.endswith(BOXES) and isinstance(contents[i], str)
                found.append(Change(split, i, contents[i] if is_annotation else names[i]))
        return found

    def write(self, folder):
        """Write contents.npz into a folder, local or remote."""
        data = io.BytesIO()
        np.savez(data, **self.tables)
        files.write_whole(os.path.join(folder, CONTENTS_FILE), data.getvalue())

    @classmethod
    def read(cls, folder):
        """Read the contents.npz of a folder.

        Args:
            folder: path of the folder, local or remote.

        Returns:
            `Contents`, or None if the folder has no such file, as those of earlier versions.

        Raises:
            ValueError: the file is damaged; the message names it.
        """
        path = os.path.join(folder, CONTENTS_FILE)
        if not files.exists(path):
            return None
        called = "a contents.npz of vgg_tf, with sizes and digests of images"
        remedy = "Delete it: pictures that were changed in place are then not found."
        tables = array_files.read_arrays(path, {None: ("i", 2)}, called, remedy)
        with schemas.naming(path, called, remedy):
            for key, table in tables.items():
                if table.dtype != np.int64 or table.shape[1] != len(NOTHING):
                    raise ValueError(f"{key!r} is not an int64 table of 3 columns")
        return cls(tables)


def format_changes(changes, name):
    """Return the number of changed files of a source of this name, and the first 20."""
    changed = programs.count(len(changes), "file")
    return f"{changed} of {name} changed since:\n  " + programs.format_list(
        [change.name for change in changes]
    )
