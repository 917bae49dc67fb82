"""Numbers in a `tf.data` pipeline that change with each pass over the dataset."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf

_lock = threading.Lock()
_generator = None


@tf.autograph.experimental.do_not_convert
def draw_fresh_seed():
    """Return a seed that no other call gets, in this program or another.

    Inside `Dataset.map`, each element of each pass gets its own seed. Neither a program's seed nor
    `tf.config.experimental.enable_op_determinism` fixes it. `tf.random.uniform` would repeat its
    numbers in every pass after a call of `tf.random.set_seed`.

    Returns:
        int64 scalar.
    """
    global _generator
    with _lock:
        if _generator is None:
            _generator = _apart(
                lambda: tf.random.Generator.from_seed(secrets.randbits(63), alg="philox")
            )
    return _generator.uniform_full_int([], tf.int64)


def count_passes(one, count):
    """Return a dataset whose pass number p, from 0, is `one(p)`.

    Args:
        one: Function from an int64 scalar to a `tf.data.Dataset`.
        count: Number of elements in each pass.

    Returns:
        A `tf.data.Dataset` of known length. Each new iterator begins the next pass.
    """
    passes = _apart(lambda: tf.Variable(-1, trainable=False, dtype=tf.int64))

    @tf.autograph.experimental.do_not_convert
    def next_pass(_):
        return one(passes.assign_add(1))

    dataset = tf.data.Dataset.from_tensors(0).flat_map(next_pass)
    return dataset.apply(tf.data.experimental.assert_cardinality(count))


def _apart(make):
    """Return `make()`, called in another thread.

    That thread is outside the graph of a `map` and outside the scope of a strategy or a device. A
    variable made inside the scope of a strategy is copied to its devices, and no pipeline on the
    host can read it.

    Args:
        make: Function without arguments.

    Returns:
        What `make` returns.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()
