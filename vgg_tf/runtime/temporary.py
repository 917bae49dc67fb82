"""Temporary folders for files that are being written, and how these get their final names.

Each writer has a folder `.tmp.RANDOM.NAME` and holds a lock on it. The system releases the lock
when the process ends, even if it is killed. So a folder without a lock is a leftover. The next
writer of the same name removes it, and `remove_unfinished` removes all of them. Remote file systems
have no such locks. There, leftovers are removed when they are a day old.
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
# From file systems that cannot sync a folder, and from folders without read permission.
_UNSYNCED = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}
OLD = 24 * 3600  # seconds after which an unfinished remote file is a leftover


@contextlib.contextmanager
def temporary_folder(path):
    """Make a new, empty folder next to a local path, and remove it at the end.

    No other writer gets the same folder.

    Args:
        path: Path of the file or folder that will be written.

    Yields:
        str, the path of the temporary folder.

    Raises:
        OSError: The folder cannot be made. The message names `path`.
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
    """Return a hidden name with a random part, for an unfinished file."""
    # 60 characters have at most 240 bytes, and file systems allow names of 255 bytes.
    return f"{PREFIX}{secrets.token_hex(4)}.{name[-60:]}"


def is_name(temporary, name):
    """Return whether `make_name` may have made this name for a file."""
    return bool(
        re.fullmatch(rf"{re.escape(PREFIX)}[0-9a-f]{{8}}\.{re.escape(name[-60:])}", temporary)
    )


def remove_unfinished(folder):
    """Remove what killed processes left in a folder with a single writer, this process."""
    if not is_remote(folder):
        for entry in list(os.scandir(folder)):
            if not entry.name.startswith(PREFIX):
                continue
            if entry.is_dir(follow_symlinks=False):
                _remove_unlocked(entry.path)
            else:  # earlier versions made files instead of folders
                os.unlink(entry.path)


def remove_remote_leftovers(folder, name):
    """Remove unfinished files of this name from a remote folder if they are a day old."""
    with contextlib.suppress(FileNotFoundError), naming(folder, "list"):
        for temporary in get_gfile().listdir(folder):
            path = f"{folder}/{temporary}"
            if not is_name(temporary, name):
                continue
            seconds = get_gfile().stat(path).mtime_nsec / 1e9  # 0: unknown to the file system
            if 0 < seconds < time.time() - OLD:
                get_gfile().remove(path)


def _remove_leftovers(folder, name):
    with contextlib.suppress(OSError):  # without permission to list the folder, remove nothing
        for entry in list(os.scandir(folder or ".")):
            if is_name(entry.name, name):
                _remove_unlocked(entry.path)


def _remove_unlocked(place):
    """Remove a temporary folder, unless a process is using it."""
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
        except FileNotFoundError:  # another writer removed it as a leftover before it was locked
            continue
        if _lock(held) and os.path.exists(place):
            return place, held
        os.close(held)


def _lock(held):
    """Lock a folder, and return whether no other process has locked it."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # without locks, no process can mistake the folder for a leftover
        pass
    return True


def place_file(temporary, path):
    """Give a complete file its final name, after the disk has its contents."""
    _sync_file(temporary)
    os.replace(temporary, path)
    _sync_folder(os.path.dirname(path))


def place_folder(temporary, path, aside):
    """Give a complete folder its final name, after the disk has its contents.

    Args:
        temporary: Path of the folder.
        path: Its final path. What exists there is moved to `aside`, and moved back after an error.
        aside: Path of a folder on the same disk.

    Raises:
        OSError: The folder cannot be renamed.
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
