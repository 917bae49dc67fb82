"""Files on this machine or in a bucket: what is `gs://`, or anything else with `://`, goes through
TensorFlow's file systems.

Paths are strings. TensorFlow is imported for remote paths only.
"""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from vgg_tf.runtime import quiet
from vgg_tf.runtime.remote import get_gfile, is_remote, naming
from vgg_tf.runtime.temporary import (
    make_name,
    place_file,
    place_folder,
    remove_remote_leftovers,
    temporary_folder,
)


def make_absolute(path):
    """The path as it is known from any working folder."""
    return str(path) if is_remote(path) else str(Path(path).resolve())


def exists(path):
    """Tell whether there is a file or folder."""
    if not is_remote(path):
        return os.path.exists(path)
    with naming(path, "look for"):
        return get_gfile().exists(path)


def is_folder(path):
    """Tell whether there is a folder."""
    return get_gfile().isdir(path) if is_remote(path) else os.path.isdir(path)


def list_names(folder):
    """Names in a folder, sorted."""
    if is_remote(folder):
        with naming(folder, "list"):
            return sorted(name.rstrip("/") for name in get_gfile().listdir(folder))
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
        get_gfile().walk(folder)
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


def read_size(path):
    """Bytes of a file."""
    if not is_remote(path):
        return os.path.getsize(path)
    with naming(path, "read"):
        return get_gfile().stat(path).length


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
            get_gfile().makedirs(path)
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
            (get_gfile().rmtree if is_folder(path) else get_gfile().remove)(path)
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
    """Within, write to the local path that this gives; afterwards `path` is that file, whole.

    An error within leaves what was there before. Concurrent writers do not meet: each has a
    temporary file of its own, and the last one to finish wins. Afterwards the disk has the file and
    its name.

    Args:
        path: of the file, here or remote.

    Yields:
        str, a path where no file is yet. It ends in the name of `path`.
    """
    folder, name = os.path.split(str(path))
    if is_remote(path):
        with naming(path), tempfile.TemporaryDirectory() as place:
            temporary = os.path.join(place, name)
            yield temporary
            _upload(temporary, folder, name)
        return
    with naming(path), temporary_folder(str(path)) as place:
        temporary = os.path.join(place, name)
        yield temporary
        settle(temporary, path)


def _upload(local_path, folder, name):
    """Copy a file into a remote folder, where it appears whole."""
    remove_remote_leftovers(folder, name)
    beside = f"{folder}/{make_name(name)}"
    try:
        get_gfile().copy(local_path, beside)
        settle(beside, f"{folder}/{name}")
    except BaseException:
        remove(beside)
        raise


@contextlib.contextmanager
def writing_folder(path):
    """As `writing`, for a local folder: make and fill the folder that this gives.

    A folder that has been at `path` is moved aside, and removed once the new one is in its place.
    """
    path = str(path).rstrip("/")
    with naming(path), temporary_folder(path) as place:
        temporary = os.path.join(place, os.path.basename(path))
        yield temporary
        place_folder(temporary, path, aside=place)


def rename(old, new):
    """Give a file another name, which one that had it loses."""
    if is_remote(old):
        with naming(new):
            get_gfile().rename(old, new, overwrite=True)
    else:
        os.replace(old, new)


def settle(temporary, path):
    """Give a file that is complete its final name, once the disk has it."""
    if is_remote(path):
        rename(str(temporary), str(path))
        return
    place_file(str(temporary), str(path))
