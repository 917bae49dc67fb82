"""Lock files: one process at a time."""

import contextlib
import datetime
import errno
import fcntl
import os
import socket

from vgg_tf.runtime.remote import is_remote

# From file systems without locks, such as some of FUSE and NFS.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextlib.contextmanager
def hold_lock(lock, busy):
    """Hold a lock file, so that no other process can hold it.

    The system releases the lock when the process ends, even if it is killed. On a file system
    without locks, a file `LOCK.holder` with the host, the process and the time stands for it. A
    killed process leaves it: the message of the error says which file to delete. Remote file
    systems have no such locks: nothing is locked there.

    Args:
        lock: Path of the lock file, which is made if it does not exist.
        busy: Message of the error if another process holds the lock.

    Raises:
        BlockingIOError: Another process holds the lock.
        OSError: The lock file cannot be made.
    """
    if is_remote(lock):
        yield
        return
    with open(lock, "a") as file, contextlib.ExitStack() as stack:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(busy) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            stack.enter_context(_hold_file(f"{lock}.holder", busy))
        yield


@contextlib.contextmanager
def _hold_file(path, busy):
    """Hold a file that exists as long as its process needs it."""
    started = datetime.datetime.now().isoformat(" ", "seconds")
    try:
        held = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        with open(path, errors="replace") as file:
            holder = file.read(200).strip()
        raise BlockingIOError(
            f"{busy} This file system has no locks. Received: {path} of {holder}. If that process "
            "has ended, delete this file."
        ) from None
    try:
        os.write(held, f"process {os.getpid()} on {socket.gethostname()}, {started}".encode())
        yield
    finally:
        os.close(held)
        os.unlink(path)
