"""Local and remote files: reading, listing, JSON, and writing whole files.

A path with `://`, such as `gs://bucket/file`, goes through TensorFlow's file systems. Paths are
strings. TensorFlow is imported for remote paths only.
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
    """Return a path that does not depend on the working folder."""
    return str(path) if is_remote(path) else str(Path(path).resolve())


def exists(path):
    """Return whether a file or folder exists."""
    if not is_remote(path):
        return os.path.exists(path)
    with naming(path, "look for"):
        return get_gfile().exists(path)


def is_folder(path):
    """Return whether a folder exists."""
    return get_gfile().isdir(path) if is_remote(path) else os.path.isdir(path)


def list_names(folder):
    """Return the names in a folder, sorted."""
    if is_remote(folder):
        with naming(folder, "list"):
            return sorted(name.rstrip("/") for name in get_gfile().listdir(folder))
    return sorted(os.listdir(folder))


def walk(folder):
    """Return the names of all files below a folder, without hidden ones.

    Links to folders are followed, but not to folders that were visited or that contain `folder`.

    Args:
        folder: Path, local or remote.

    Returns:
        Sorted list of str: paths relative to `folder`, with `/` as the separator. Files in hidden
            folders are not among them.
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
    """Raise errors that `os.walk` would ignore, such as a folder without read permission."""
    if not isinstance(error, FileNotFoundError):
        raise error


def read_size(path):
    """Return the size of a file in bytes."""
    if not is_remote(path):
        return os.path.getsize(path)
    with naming(path, "read"):
        return get_gfile().stat(path).length


def read(path, offset=0, length=-1):
    """Return bytes of a file.

    Args:
        path: Path, local or remote.
        offset: Position of the first byte.
        length: Number of bytes; -1 reads to the end.

    Returns:
        bytes. They are fewer than `length` if the file ends before.

    Raises:
        OSError: The file cannot be read. The message names it.
    """
    if not is_remote(path):
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:  # the error of a failing disk does not name the file
            raise type(error)(error.errno, error.strerror, str(path)) from None
    tf = quiet.quiet_tensorflow()
    with naming(path, "read"), tf.io.gfile.GFile(path, "rb") as file:
        try:
            file.seek(offset)
            return file.read(length)
        except tf.errors.OutOfRangeError:  # the offset is beyond the end
            return b""


def read_text(path):
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Args:
        path: Path, local or remote.

    Returns:
        str, without the byte order mark.

    Raises:
        ValueError: The file is not UTF-8. The message names it.
    """
    try:
        return read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be UTF-8 text. Received: {error}. Download it again, or fix it."
        ) from None


def read_json(path, remedy="Download it again, or delete it."):
    """Return the object in a JSON file that vgg_tf wrote.

    Args:
        path: Path, local or remote.
        remedy: A sentence for the error message: what to do about a damaged file.

    Returns:
        dict.

    Raises:
        ValueError: The file is not UTF-8, not JSON, or not an object. The message names it.
    """
    return parse_json(read_text(path), path, remedy)


def parse_json(text, name, remedy="Download it again, or delete it."):
    """Return the object in a JSON text that vgg_tf wrote.

    Args:
        text: str.
        name: The file's name, for error messages.
        remedy: As for `read_json`.

    Returns:
        dict.

    Raises:
        ValueError: The text is not JSON, or not an object. The message names the file.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not valid JSON ({error}). {remedy}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name} must hold a JSON object. Received: {text[:40]!r}. {remedy}")
    return value


def make_folder(path):
    """Make a folder and its parents, unless they exist."""
    if is_remote(path):
        with naming(path, "make"):
            get_gfile().makedirs(path)
    else:
        os.makedirs(path, exist_ok=True)


def make_folder_of(path):
    """Make the folder that contains a file, unless it exists."""
    if folder := os.path.dirname(path):
        make_folder(folder)


def remove(path):
    """Remove a file, or a folder with all its contents, if it exists."""
    if is_remote(path):
        if exists(path):
            (get_gfile().rmtree if is_folder(path) else get_gfile().remove)(path)
    elif os.path.isdir(path):
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def write_whole(path, data):
    """Write bytes to a file, whole or not at all.

    A reader finds all new bytes, or the old ones.

    Args:
        path: Path, local or remote.
        data: bytes.
    """
    with writing(path) as temporary:
        Path(temporary).write_bytes(data)


def write_json(path, value):
    """Write a value as JSON, whole or not at all, as `write_whole` does."""
    write_whole(path, json.dumps(value, indent=1).encode())


@contextlib.contextmanager
def writing(path):
    """Give a local path to write to, and afterwards move that file to `path`, whole.

    After an error, `path` is unchanged. Concurrent writers each have their own temporary file, and
    the last one to finish wins. At the end the disk has the file and its name.

    Args:
        path: Path of the file, local or remote.

    Yields:
        str, a path where no file exists yet. It ends in the name of `path`.
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
    """Copy a file into a remote folder, whole or not at all."""
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
    """Give a local path of a folder to make and fill, and afterwards move it to `path`.

    A folder that exists at `path` is removed once the new one has replaced it.

    Args:
        path: Path of the folder, local only.

    Yields:
        str, a path where no folder exists yet. It ends in the name of `path`.
    """
    path = str(path).rstrip("/")
    with naming(path), temporary_folder(path) as place:
        temporary = os.path.join(place, os.path.basename(path))
        yield temporary
        place_folder(temporary, path, aside=place)


def rename(old, new):
    """Rename a file, and replace a file with the new name."""
    if is_remote(old):
        with naming(new):
            get_gfile().rename(old, new, overwrite=True)
    else:
        os.replace(old, new)


def settle(temporary, path):
    """Give a complete file its final name, after the disk has its contents."""
    if is_remote(path):
        rename(str(temporary), str(path))
        return
    place_file(str(temporary), str(path))
