"""tf.data without its autotuner, whose thread may outlive a pass by as long as the pass took."""

import tensorflow as tf


def untuned(dataset):
    """The same data set with one thread a core, which ends as soon as its last element is there.

    The autotuner looks at the pipeline after 10 ms, then after twice as long each time, up to a minute. Where it misses the end
    of a pass (in TensorFlow 2.21 at every third on a busy machine of two cores), who reads waits for its next look. It makes
    no pipeline of this project faster.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
