"""tf.data without its autotuner, on all cores of the machine."""

import os

import tensorflow as tf

# Batches assembled at the same time; 224 of 1,024 images, one for each core of a TPU v5e-8 host,
# take 34 GB.
BATCHES = 4


def disable_autotuner(dataset, threads=None):
    """Return the same dataset without tf.data's autotuner.

    The autotuner looks at the pipeline after 10 ms, then after twice that each time, up to a
    minute. Where it misses the end of a pass (in TensorFlow 2.21 at every third pass on a busy
    machine of two cores), the reader waits for its next look. It makes no pipeline of this project
    faster.

    Without it, `num_parallel_calls=tf.data.AUTOTUNE` means at most 16 calls, however many cores
    there are. Hosts with more cores get one call for each (`benchmarks/passes.py`).

    Args:
        dataset: a `tf.data.Dataset`. Steps on whole batches take `num_parallel_calls=BATCHES`, not
            `AUTOTUNE`.
        threads: calls at the same time, where more than 16; None: one for each core that this
            process may use.

    Returns:
        A `tf.data.Dataset`.
    """
    threads = threads or (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    if threads > 16:
        options.autotune.initial_parallelism = threads
    return dataset.with_options(options)
