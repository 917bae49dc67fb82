"""Copies the next batch to the devices while a step runs, for Keras on JAX with a distribution.

Keras 3.15 copies a batch ahead on a single device only; 3.16 does it with a distribution, too
(keras#23416). Keras 3.15 also lets the host run ahead of the devices, each step with its batch.
Here the batch after the next one waits, so that the devices hold two batches at most.
"""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import keras

LONGEST = 60  # seconds for a step; a step that failed never says that it is done
_END = object()


def lacks_copy_ahead(version=keras.__version__):
    """Return whether Keras on JAX with a distribution copies no batch ahead.

    Args:
        version: Version of Keras.

    Returns:
        bool.
    """
    return version.startswith("3.15.")


class CopyAhead(keras.callbacks.Callback):
    """Callback of one call of `fit` that copies ahead, within its context.

    Keras calls `on_train_batch_end` in its own threads, once a step is done (`async_safe`).
    """

    async_safe = True

    def __init__(self):
        super().__init__()
        self.done, self.closed = 0, False  # finished steps
        self._changed = threading.Condition()

    def on_train_batch_end(self, batch, logs=None):
        """Note a finished step. Threads may call this out of order."""
        with self._changed:
            self.done = max(self.done, batch + 1)
            self._changed.notify_all()

    @contextlib.contextmanager
    def active(self):
        """Let Keras' iterator copy ahead while the context is open.

        Nothing changes on TensorFlow, without a distribution, and in versions of Keras that copy
        ahead themselves.

        Yields:
            None.
        """
        distribution = keras.distribution.distribution()
        if keras.config.backend() != "jax" or distribution is None:
            yield
            return
        from keras.src.backend.jax.trainer import JAXEpochIterator

        method = "_get_distributed_iterator"
        original = getattr(JAXEpochIterator, method, None)
        if original is None or not lacks_copy_ahead():
            yield
            return
        # Keras keeps the distribution for each thread. Without it every device gets whole batches.
        share = keras.distribution.set_distribution, (distribution,)
        with ThreadPoolExecutor(1, "copy", *share) as worker:

            def iterate(batches, layout):
                return self._iterate(worker, original(batches, layout))

            setattr(JAXEpochIterator, method, iterate)
            try:
                yield
            finally:
                setattr(JAXEpochIterator, method, original)
                with self._changed:
                    self.closed = True
                    self._changed.notify_all()

    def _iterate(self, worker, batches):
        """Yield batches, the next of which is copied meanwhile.

        Args:
            worker: Executor of one thread.
            batches: Iterator that reads a batch and copies it to the devices.

        Yields:
            The batches.
        """
        n = 0
        following = worker.submit(next, batches, _END)
        while True:
            ready, n = following, n + 1
            following = worker.submit(self._copy, batches, n)
            # A list, so that no name of this suspended function holds the batch.
            batch = [ready.result()]
            del ready
            if batch[0] is _END:
                return
            yield batch.pop()

    def _copy(self, batches, n):
        """Return batch `n`, which is copied once step `n - 2` is done: step `n - 1` runs."""
        with self._changed:
            self._changed.wait_for(lambda: self.done >= n - 1 or self.closed, LONGEST)
            if self.closed:
                return _END
        return next(batches, _END)
