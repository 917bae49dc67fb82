"""Numbers inside a `tf.data` pipeline that change from pass to pass, where everything else in it
is the same each time.
"""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf

_lock = threading.Lock()
_generator = None


@tf.autograph.experimental.do_not_convert
def draw_fresh_seed():
    """Return a seed that no other call has given, of this program or of another.

    Inside `Dataset.map` each element of each pass gets another one. A program's own seed does not
    fix it, nor does `tf.config.experimental.enable_op_determinism`: `tf.random.uniform` in its
    place repeats in every pass once a program has called `tf.random.set_seed`.

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
        one: function of an int64 scalar that gives a `tf.data.Dataset`.
        count: number of elements of each pass.

    Returns:
        A `tf.data.Dataset` of known length. Each iterator that is opened begins the next pass,
        whoever opens it.
    """
    passes = _apart(lambda: tf.Variable(-1, trainable=False, dtype=tf.int64))

    @tf.autograph.experimental.do_not_convert
    def next_pass(_):
        return one(passes.assign_add(1))

    dataset = tf.data.Dataset.from_tensors(0).flat_map(next_pass)
    return dataset.apply(tf.data.experimental.assert_cardinality(count))


def _apart(make):
    """Call `make` where neither the graph of a `map` nor the scope of a strategy or a device
    reaches: in another thread.

    A variable made in the scope of a strategy is copied to its devices, and no pipeline on the host
    can read it.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()
