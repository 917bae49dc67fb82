"""Lock files: one process at a time."""

import contextlib
import fcntl

from vgg_tf.runtime.remote import is_remote


@contextlib.contextmanager
def hold_lock(lock, busy):
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
