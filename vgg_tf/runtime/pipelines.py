"""tf.data options without the autotuner, for all cores of the machine."""

import os

import tensorflow as tf

# Batches assembled at the same time. One for each of the 224 cores of a TPU v5e-8 host would take
# 34 GB with 1,024 images a batch.
BATCHES = 4


def disable_autotuner(dataset, threads=None):
    """Return the same dataset without tf.data's autotuner.

    The autotuner checks the pipeline after 10 ms, then at intervals that double up to a minute. If
    it misses the end of a pass, the reader waits for its next check. With TensorFlow 2.21 this
    happened in every third pass on a busy machine with two cores. The autotuner makes no pipeline
    of this project faster.

    Without it, `num_parallel_calls=tf.data.AUTOTUNE` means at most 16 calls, even with more cores.
    Hosts with more cores get one call for each core (`benchmarks/passes.py`).

    Args:
        dataset: A `tf.data.Dataset`. Steps on whole batches take `num_parallel_calls=BATCHES`,
            not `AUTOTUNE`.
        threads: Calls at the same time, if more than 16. None is one for each core that this
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
