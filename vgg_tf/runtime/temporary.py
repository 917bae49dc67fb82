"""Temporary folders next to files and folders that are being written, and how what was written
in them gets its final name.

Each writer has a folder `.tmp.RANDOM.NAME` and holds a lock on it, which the system releases when
the process ends, however it ends. So a folder without a lock is a leftover: the next writer of the
same name removes it, and `remove_unfinished` removes all of them. On remote file systems, which
have no such locks, leftovers are removed when they are a day old.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import re
import secrets
import shutil
import time

from vgg_tf.runtime.remote import get_gfile, is_remote, naming

PREFIX = ".tmp."
_OCCUPIED = {errno.ENOTEMPTY, errno.EEXIST}  # renaming to the name of a folder that holds files
# Of file systems that cannot sync a folder, and of folders that may not be listed.
_UNSYNCED = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}
OLD = 24 * 3600  # seconds after which a remote file belongs to nobody


@contextlib.contextmanager
def temporary_folder(path):
    """Within, a new and empty folder next to a local path, which no other writer gets.

    Args:
        path: of the file or folder that is to be written.

    Raises:
        OSError: no folder can be made there; the message names `path`.
    """
    folder, name = os.path.split(path)
    _remove_leftovers(folder, name)
    place, held = _make_folder(folder, name)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(held)


def make_name(name):
    """Return a hidden name for an unfinished file, with a random part."""
    # 60 letters have at most 240 bytes, and the names of a file system 255.
    return f"{PREFIX}{secrets.token_hex(4)}.{name[-60:]}"


def is_name(temporary, name):
    """Return whether `make_name` may have made this name for a file."""
    return bool(
        re.fullmatch(rf"{re.escape(PREFIX)}[0-9a-f]{{8}}\.{re.escape(name[-60:])}", temporary)
    )


def remove_unfinished(folder):
    """Remove what killed processes left in a folder of which this process is the one writer."""
    if not is_remote(folder):
        for entry in list(os.scandir(folder)):
            if not entry.name.startswith(PREFIX):
                continue
            if entry.is_dir(follow_symlinks=False):
                _remove_unlocked(entry.path)
            else:  # of earlier versions, which made no folders
                os.unlink(entry.path)


def remove_remote_leftovers(folder, name):
    """Remove unfinished files of this name from a remote folder, where they are a day old."""
    with contextlib.suppress(FileNotFoundError), naming(folder, "list"):
        for temporary in get_gfile().listdir(folder):
            path = f"{folder}/{temporary}"
            if not is_name(temporary, name):
                continue
            seconds = get_gfile().stat(path).mtime_nsec / 1e9  # 0: the file system does not know
            if 0 < seconds < time.time() - OLD:
                get_gfile().remove(path)


def _remove_leftovers(folder, name):
    with contextlib.suppress(OSError):  # a folder that cannot be listed has none to remove
        for entry in list(os.scandir(folder or ".")):
            if is_name(entry.name, name):
                _remove_unlocked(entry.path)


def _remove_unlocked(place):
    """Remove a temporary folder, unless a process is at work in it."""
    with contextlib.suppress(OSError):
        held = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
        finally:
            os.close(held)


def _make_folder(folder, name):
    """Return a new folder and the descriptor that holds its lock."""
    while True:
        place = os.path.join(folder, make_name(name))
        try:
            os.mkdir(place)
        except FileExistsError:
            continue
        except OSError as error:
            raise type(error)(error.errno, error.strerror, os.path.join(folder, name)) from None
        try:
            held = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # another writer took it for a leftover before it was locked
            continue
        if _lock(held) and os.path.exists(place):
            return place, held
        os.close(held)


def _lock(held):
    """Return whether no other process has the lock on this folder."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: then nobody can take the folder for a leftover
        pass
    return True


def place_file(temporary, path):
    """Give a complete file its final name, once the disk has it."""
    _sync_file(temporary)
    os.replace(temporary, path)
    _sync_folder(os.path.dirname(path))


def place_folder(temporary, path, aside):
    """Give a complete folder its final name, once the disk has all of it.

    Args:
        temporary: path of the folder.
        path: its final path. What is there is moved aside, and moved back after an error.
        aside: path of a folder on the same disk, for what has been at `path`.
    """
    for root, _, names in os.walk(temporary, topdown=False):
        for name in names:
            _sync_file(os.path.join(root, name))
        _sync_folder(root)
    before = None
    try:
        for number in itertools.count():
            try:
                os.rename(temporary, path)
                break
            except OSError as error:
                if error.errno not in _OCCUPIED:
                    raise
            with contextlib.suppress(FileNotFoundError):  # another writer has moved it
                os.rename(path, os.path.join(aside, f"{number}.before"))
                before = os.path.join(aside, f"{number}.before")
    except BaseException:
        if before and not os.path.exists(path):
            os.rename(before, path)
        raise
    _sync_folder(os.path.dirname(path))


def _sync_file(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path):
    try:
        held = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(held)
        finally:
            os.close(held)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise
