"""Files on this machine or in a bucket: what is `gs://`, or anything else with `://`, goes through
TensorFlow's file systems.

Paths are strings. TensorFlow is imported for remote paths only.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from vgg_tf.runtime import quiet


def is_remote(path):
    """Tell whether `path` lies on a file system of TensorFlow's, such as `gs://bucket/folder`."""
    return "://" in str(path)


def _gfile():
    return quiet.quiet_tensorflow().io.gfile


def absolute(path):
    """The path as it is known from any working folder."""
    return str(path) if is_remote(path) else str(Path(path).resolve())


def exists(path):
    """Tell whether there is a file or folder."""
    if not is_remote(path):
        return os.path.exists(path)
    with naming(path, "look for"):
        return _gfile().exists(path)


def is_folder(path):
    """Tell whether there is a folder."""
    return _gfile().isdir(path) if is_remote(path) else os.path.isdir(path)


def names(folder):
    """Names in a folder, sorted."""
    if is_remote(folder):
        with naming(folder, "list"):
            return sorted(name.rstrip("/") for name in _gfile().listdir(folder))
    return sorted(os.listdir(folder))


def walk(folder):
    """Names of all files below a folder, relative to it with `/` between, sorted; what is hidden,
    or in hidden folders, not.

    Links to folders are followed, but none to where we have been or to what the folder itself lies
    in.
    """
    found, remote = [], is_remote(folder)
    seen = set() if remote else set(map(str, Path(folder).resolve().parents))
    for root, folders, here in (
        _gfile().walk(folder)
        if remote
        else os.walk(folder, onerror=_unless_missing, followlinks=True)
    ):
        if (place := root if remote else os.path.realpath(root)) in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = root[len(str(folder)) :].replace(os.sep, "/").strip("/")
        found += [f"{below}/{name}" if below else name for name in here if not name.startswith(".")]
    return sorted(found)


def _unless_missing(error):
    """What os.walk would pass over in silence, such as a folder that may not be read."""
    if not isinstance(error, FileNotFoundError):
        raise error


def size(path):
    """Bytes of a file."""
    if not is_remote(path):
        return os.path.getsize(path)
    with naming(path, "read"):
        return _gfile().stat(path).length


def read(path, offset=0, length=-1):
    """Bytes of a file: `length` of them from `offset`, or all that follow.

    Raises:
        OSError: it cannot be read; the message names it.
    """
    if not is_remote(path):
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:  # of a disk that fails, which names no file
            raise type(error)(error.errno, error.strerror, str(path)) from None
    tf = quiet.quiet_tensorflow()
    with naming(path, "read"), tf.io.gfile.GFile(path, "rb") as file:
        try:
            file.seek(offset)
            return file.read(length)
        except tf.errors.OutOfRangeError:  # offset lies beyond the end
            return b""


def read_text(path):
    """A file of UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it is none; the message names it.
    """
    try:
        return read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no text in UTF-8 ({error}). Fetch it anew, or mend it."
        ) from None


def read_json(path, remedy="Fetch it again, or delete it."):
    """Return the object in a JSON file that vgg_tf wrote.

    Args:
        path: of the file.
        remedy: what to do about a file that is damaged, a sentence for the message.

    Returns:
        dict.

    Raises:
        ValueError: the file is not UTF-8, not JSON, or not an object; the message names it.
    """
    return parse_json(read_text(path), path, remedy)


def parse_json(text, name, remedy="Fetch it again, or delete it."):
    """Return the object in a JSON text that vgg_tf wrote, as `read_json` does for a file."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} is not valid JSON ({error}). {remedy}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name} must hold a JSON object. Received: {text[:40]!r}. {remedy}")
    return value


def make_folder(path):
    """Make a folder, and those above it, where there is none."""
    if is_remote(path):
        with naming(path, "make"):
            _gfile().makedirs(path)
    else:
        os.makedirs(path, exist_ok=True)


def make_folder_of(path):
    """Make the folder that a file is to lie in."""
    if folder := os.path.dirname(path):
        make_folder(folder)


def remove(path):
    """Remove a file, or a folder with all it holds; nothing where there is none."""
    if is_remote(path):
        if exists(path):
            (_gfile().rmtree if is_folder(path) else _gfile().remove)(path)
    elif os.path.isdir(path):
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def write_whole(path, data):
    """Write bytes so that whoever reads `path` finds all of them, or what was there before."""
    with writing(path) as temporary:
        Path(temporary).write_bytes(data)


def write_json(path, value):
    """Write a value as JSON, whole or not at all, as `write_whole` does."""
    write_whole(path, json.dumps(value, indent=1).encode())


@contextlib.contextmanager
def writing(path):
    """Within, write to the path on this machine that this gives; then `path` becomes that,
    whole, or stays as it was.
    """
    folder, name = os.path.split(str(path))
    room = tempfile.mkdtemp() if is_remote(path) else folder
    temporary = os.path.join(room, f".tmp.{name}")  # Keras and matplotlib go by the end of the name
    try:
        with naming(path):
            yield temporary
            if is_remote(path):
                beside = os.path.join(folder, f".tmp.{name}")
                _gfile().copy(temporary, beside, overwrite=True)
                settle(beside, path)
            else:
                settle(temporary, path)
    finally:
        remove(room if is_remote(path) else temporary)


@contextlib.contextmanager
def writing_folder(path):
    """As `writing`, for a folder on this machine: what was in its place is removed once the new
    one is whole.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".tmp.{name}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    try:
        with naming(path):
            yield temporary
            shutil.rmtree(path, ignore_errors=True)
            os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_unfinished(folder):
    """Remove what killed processes left of files they were `writing`; only for who is the folder's
    one writer.

    On remote file systems, where nobody is known to be that, they stay until the same file is
    written again.
    """
    if not is_remote(folder):
        for name in names(folder):
            if name.startswith(".tmp."):
                remove(os.path.join(folder, name))


@contextlib.contextmanager
def local(path, leave_out=()):
    """Within, a path on this machine with what `path` holds: itself, or a copy for what reads no
    remote files.

    Args:
        path: of a file, or of a folder, of which the files are copied that lie in it directly.
        leave_out: names of files that need not be copied.
    """
    if not is_remote(path):
        yield str(path)
        return
    path = str(path).rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(path))
        with naming(path, "read"):
            if not is_folder(path):
                _gfile().copy(path, copy)
            else:
                os.mkdir(copy)
                for name in names(path):
                    if name not in leave_out and not is_folder(f"{path}/{name}"):
                        _gfile().copy(f"{path}/{name}", os.path.join(copy, name))
        try:
            yield copy
        except ValueError as error:
            if copy not in str(error):
                raise
            # What the user gave, not the copy.
            raise ValueError(str(error).replace(copy, path)) from error


def rename(old, new):
    """Give a file another name, which one that had it loses."""
    if is_remote(old):
        with naming(new):
            _gfile().rename(old, new, overwrite=True)
    else:
        os.replace(old, new)


def settle(temporary, path):
    """Give a file that is written to its end its final name, once the disk has it."""
    if not is_remote(path):
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
    rename(str(temporary), str(path))


@contextlib.contextmanager
def naming(path, verb="write"):
    """Turn errors of the disk and TensorFlow's errors of files, which name no file, into an
    OSError that does.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(path, verb) from error
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(f"cannot {verb} {path}: {error.strerror}") from error
    except Exception as error:
        errors = getattr(sys.modules.get("tensorflow"), "errors", None)
        if errors is None or not isinstance(error, errors.OpError):
            raise
        if isinstance(error, errors.ResourceExhaustedError):
            raise _full(path, verb) from error
        kind = FileNotFoundError if isinstance(error, errors.NotFoundError) else OSError
        raise kind(f"cannot {verb} {path}: {error.message or 'there is none'}") from error


def _full(path, verb):
    return OSError(
        f"cannot {verb} {path}: no space is left. Free some, then give the same command again."
    )


@contextlib.contextmanager
def one_writer(lock, busy):
    """Within, this process alone holds the lock file `lock`, made where there is none; a killed
    process holds none.

    There are no such locks on remote file systems: nothing is held there.

    Raises:
        BlockingIOError: another process holds it; with the message `busy`.
    """
    if is_remote(lock):
        yield
        return
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(busy) from None
        yield
