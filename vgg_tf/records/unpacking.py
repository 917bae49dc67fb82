"""Shards in gzip or zlib files: found by their first bytes, unpacked once for each process.

Such files have no random access. So each of them is unpacked into a temporary folder, which is
removed at the end of the process, or by the next process if this one is killed.
"""

import atexit
import contextlib
import errno
import functools
import os
import tempfile
import threading
import zlib

from vgg_tf.records.checksums import BEFORE, is_framed
from vgg_tf.runtime import files, programs, remote, temporary

CHUNK = 2**22  # bytes read at a time
STEP = 2**16  # bytes unpacked at a time: they may become a thousand times as many
LIMIT = 100  # times its size that a file may have unpacked; images hardly shrink
FREE = 2**26  # bytes that any file may have unpacked
_EITHER = zlib.MAX_WBITS | 32  # zlib finds out which of both formats it is
_LOCK = threading.RLock()
_COPIES = {}  # {(path, size, time): path of the unpacked copy}


def is_packed(head):
    r"""Return whether a file may be a gzip or zlib file.

    Args:
        head: the first bytes of the file, `checksums.BEFORE` of them or more.

    Returns:
        bool. Other files may begin like zlib files, so only what is inside makes sure.

    Example:
        >>> [is_packed(head) for head in (b"\x1f\x8b\x08", b"\x78\x9c", b"x,y")]
        [True, True, False]
    """
    zlib_header = head[:1] == b"\x78" and len(head) > 1 and int.from_bytes(head[:2]) % 31 == 0
    # The length of a first record may look like either.
    return (head[:2] == b"\x1f\x8b" or zlib_header) and not is_framed(head)


def unpack_head(head, n):
    """Return up to `n` unpacked bytes of the beginning of a gzip or zlib file.

    Args:
        head: the first bytes of the file.
        n: number of unpacked bytes.

    Returns:
        bytes; empty if the file is damaged, too. None if it has no unpacked bytes at all.
    """
    unpacker = zlib.decompressobj(_EITHER)
    try:
        data = unpacker.decompress(head, n)
    except zlib.error:
        return b""
    return None if unpacker.eof and not data else data


def get_plain(path):
    """Return the path of the unpacked copy of a file, or of the file itself if it is not packed.

    Args:
        path: path of the file, local or remote.

    Returns:
        str. The copy is made at the first call, and again after the file was changed.

    Raises:
        OSError: the file cannot be read, or the copy cannot be written; the message names it.
        ValueError: the file is damaged or cut off, or too large when unpacked; the message names
            it.
    """
    if not is_packed(files.read(path, 0, BEFORE)):
        return path
    time = None if remote.is_remote(path) else os.stat(path).st_mtime_ns
    key = path, files.read_size(path), time
    with _LOCK:
        if key not in _COPIES:
            _COPIES[key] = _unpack(path, os.path.join(_make_folder(), f"{len(_COPIES)}"))
        return _COPIES[key]


@functools.cache
def _make_folder():
    """Return the temporary folder of this process."""
    stack = contextlib.ExitStack()
    place = os.path.join(tempfile.gettempdir(), "vgg_tf-shards")
    folder = stack.enter_context(temporary.temporary_folder(place))
    atexit.register(stack.close)
    return folder


def _unpack(path, copy):
    """Write the unpacked contents of a file to the path `copy`, and return it."""
    limit = max(FREE, LIMIT * files.read_size(path))
    try:
        with open(copy, "wb") as file:
            for data in _read_unpacked(path):
                file.write(data)
                if file.tell() > limit:
                    raise ValueError(
                        f"the compressed file has more than {LIMIT} times its size when it is "
                        f"unpacked: over {limit:,} bytes. Check where it comes from"
                    )
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            error.errno,
            f"{tempfile.gettempdir()} must have space for {path}, unpacked. Received: "
            f"{error.strerror}. Set TMPDIR to a folder on a larger disk",
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return copy


def _read_unpacked(path):
    """Yield the unpacked bytes of a file in parts. It may have several members, as of pigz."""
    unpacker, at, begun = zlib.decompressobj(_EITHER), 0, False
    while chunk := files.read(path, at, CHUNK):
        for start in range(0, len(chunk), STEP):
            data = chunk[start : start + STEP]
            while data and (begun or data.strip(b"\0")):  # zeros may follow the last member
                begun = True
                try:
                    yield unpacker.decompress(data)
                except zlib.error as error:
                    raise ValueError(
                        f"the compressed file is damaged at byte {at + start} or up to {STEP:,} "
                        f"bytes later ({error})"
                    ) from None
                data = unpacker.unused_data
                if unpacker.eof:
                    begun, unpacker = False, zlib.decompressobj(_EITHER)
        at += len(chunk)
    if begun:
        raise ValueError(f"the compressed file is cut off: it ends at byte {at}, before its end")


def describe(copies):
    """Return a note about unpacked copies.

    Args:
        copies: paths of the copies.

    Returns:
        A list of up to one str.
    """
    size = sum(map(os.path.getsize, copies)) / 1e6
    size = f"{size:,.0f}" if size >= 10 else f"{size:.2g}"
    what = programs.count(len(copies), "compressed shard")
    return [f"{what}: unpacked into a temporary folder, {size} MB"] if copies else []
