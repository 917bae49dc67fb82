"""Lock files: one process at a time."""

import contextlib
import fcntl

from vgg_tf.runtime.remote import is_remote


@contextlib.contextmanager
def hold_lock(lock, busy):
    """Hold a lock file, so that no other process can hold it.

    The system releases the lock when the process ends, even if it is killed. Remote file systems
    have no such locks: nothing is locked there.

    Args:
        lock: Path of the lock file, which is made if it does not exist.
        busy: Message of the error if another process holds the lock.

    Raises:
        BlockingIOError: Another process holds the lock.
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
