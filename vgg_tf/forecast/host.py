"""What the host delivers: the throughput of training views, and the cores that chips need."""

import functools
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Host:
    """The throughput of the training input, without a network.

    Attributes:
        speed: images/s on all cores.
        cores: CPU cores that this process may use.
    """

    speed: float
    cores: int

    @property
    def per_core(self):
        """Throughput of a core, images/s."""
        return self.speed / self.cores

    def count_cores(self, speed):
        """Return the number of cores like these that a throughput in images/s needs."""
        return math.ceil(speed / self.per_core)


def make_views(recipe, batch):
    """Return endless batches of the recipe's training views of two photographs of 640 x 427.

    Decoding and cutting are those of a training from shards. Reading and shuffling are left out.

    Args:
        recipe: the `Recipe`.
        batch: images per batch.

    Returns:
        A `tf.data.Dataset` of uint8 `[batch, size, size, 3]` and int32 zeros `[batch]`.
    """
    import sklearn.datasets
    import tensorflow as tf

    from vgg_tf.images.views import make_train_view
    from vgg_tf.runtime.pipelines import BATCHES, disable_autotuner

    folder = Path(sklearn.datasets.__file__).parent / "images"
    photos = [tf.io.read_file(str(path)) for path in sorted(folder.glob("*.jpg"))]

    def view(i):
        contents = tf.stack(photos)[i % len(photos)]
        key = tf.stack([i, tf.constant(0, tf.int64)])
        return make_train_view(contents, key, recipe.view()), tf.constant(0)

    views = tf.data.Dataset.range(10**9).map(view, num_parallel_calls=tf.data.AUTOTUNE)
    batches = views.batch(batch, drop_remainder=True, num_parallel_calls=BATCHES)
    return disable_autotuner(batches.prefetch(2))


@functools.cache
def measure_host(recipe, seconds=5.0):
    """Measure the throughput of the recipe's training views on this machine.

    Args:
        recipe: the `Recipe`.
        seconds: duration of the measurement, after the first batch.

    Returns:
        The `Host`.
    """
    start, n = None, 0
    for _, labels in make_views(recipe, 64):
        if start is None:
            start = time.perf_counter()
            continue
        n += len(labels)
        if time.perf_counter() - start > seconds:
            break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Host(n / (time.perf_counter() - start), cores)
