"""Remote paths (gs://), local copies of them, and errors that name the file."""

import contextlib
import errno
import os
import sys
import tempfile

from vgg_tf.runtime import quiet


def is_remote(path):
    """Return whether a path is on a file system of TensorFlow, such as `gs://bucket/folder`."""
    return "://" in str(path)


def get_gfile():
    """Return TensorFlow's module of file systems."""
    return quiet.quiet_tensorflow().io.gfile


@contextlib.contextmanager
def naming(path, verb="write"):
    """Turn errors of files that do not name the file into an OSError that does.

    Args:
        path: The file.
        verb: What was done with it, for the message.

    Raises:
        OSError: The disk or TensorFlow had an error with the file. FileNotFoundError if it does not
            exist.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(_full(path, verb)) from error
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(f"cannot {verb} {path}: {error.strerror}") from error
    except Exception as error:
        errors = getattr(sys.modules.get("tensorflow"), "errors", None)
        if errors is None or not isinstance(error, errors.OpError):
            raise
        if isinstance(error, errors.ResourceExhaustedError):
            raise OSError(_full(path, verb)) from error
        kind = FileNotFoundError if isinstance(error, errors.NotFoundError) else OSError
        raise kind(f"cannot {verb} {path}: {error.message or 'it does not exist'}") from error


def _full(path, verb):
    return (
        f"cannot {verb} {path}: no space is left. Free some space, then run the same command again."
    )


@contextlib.contextmanager
def fetch(path, leave_out=()):
    """Give a local path with the contents of a local or remote path.

    Some libraries cannot read remote files. They get a temporary copy.

    Args:
        path: Path of a file or a folder. Of a folder, only the files directly in it are copied.
        leave_out: Names of files that are not copied.

    Yields:
        str, the path itself if it is local, else the path of the copy.

    Raises:
        ValueError: The code inside raised it. The message names `path` instead of the copy.
    """
    if not is_remote(path):
        yield str(path)
        return
    path = str(path).rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(path))
        with naming(path, "read"):
            if not get_gfile().isdir(path):
                get_gfile().copy(path, copy)
            else:
                os.mkdir(copy)
                for name in sorted(name.rstrip("/") for name in get_gfile().listdir(path)):
                    if name not in leave_out and not get_gfile().isdir(f"{path}/{name}"):
                        get_gfile().copy(f"{path}/{name}", os.path.join(copy, name))
        try:
            yield copy
        except ValueError as error:
            if copy not in str(error):
                raise
            # The user knows the original path, not the copy.
            raise ValueError(str(error).replace(copy, path)) from error
