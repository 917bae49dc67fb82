"""File systems of TensorFlow, such as gs://: whether a path is on one, local copies, and errors
that name the file.
"""

import contextlib
import errno
import os
import sys
import tempfile

from vgg_tf.runtime import quiet


def is_remote(path):
    """Tell whether `path` lies on a file system of TensorFlow's, such as `gs://bucket/folder`."""
    return "://" in str(path)


def get_gfile():
    """Return TensorFlow's module of file systems."""
    return quiet.quiet_tensorflow().io.gfile


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
def fetch(path, leave_out=()):
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
            # What the user gave, not the copy.
            raise ValueError(str(error).replace(copy, path)) from error
