"""Measure the delay of `fit` after its last step, with and without tf.data's autotuner.

    python benchmarks/passes.py [PASSES] [--steps 20]

A pass trains a small network for some steps. Passes with and without the autotuner alternate.
"""

import argparse
import statistics
import time


def main(arguments=None):
    """Print a line for each setting."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("passes", nargs="?", type=int, default=30, help="number of passes")
    parser.add_argument("--steps", type=int, default=20, help="steps of each pass")
    parser.add_argument("--batch", type=int, default=64, help="images per step")
    flags = parser.parse_args(arguments)
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    ways = _make_ways(flags.steps, flags.batch)
    late, whole = _measure(_make_network(flags.steps), ways, flags.passes)
    for way in ways:
        behind = sum(seconds > 0.02 for seconds in late[way])
        print(
            f"{way}: {statistics.median(whole[way]):.2f} s per pass (median of {flags.passes}), "
            f"late passes: {behind}, delay up to {max(late[way]):.2f} s"
        )


def _make_network(steps):
    """Return a small network, compiled for a training of this number of steps."""
    from vgg_tf import build_vgg
    from vgg_tf.paper.presets import RECIPES
    from vgg_tf.training import model

    scores = model.drop_softmax(build_vgg("vgg11", input_shape=(32, 32, 3), classes=10, width=0.25))
    model.compile_scores(scores, model.make_optimizer(RECIPES["cifar"], steps))
    return scores


def _make_ways(steps, batch):
    """Return the same batches with and without the autotuner, by name."""
    import numpy as np
    import tensorflow as tf

    from vgg_tf.runtime.pipelines import disable_autotuner

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4 * batch, 32, 32, 3), np.uint8)
    labels = random.integers(0, 10, 4 * batch).astype("int32")
    examples = tf.data.Dataset.from_tensor_slices((images, labels)).repeat()
    batches = examples.batch(batch, drop_remainder=True).take(steps)
    tuned = batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)
    return {"with the autotuner": tuned, "without": disable_autotuner(tuned)}


def _measure(scores, ways, passes):
    """Return the delay and the duration of each pass in seconds, by setting."""
    import keras

    ended = {}

    class End(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            ended["at"] = time.perf_counter()

    late, whole = {way: [] for way in ways}, {way: [] for way in ways}
    for i in range(passes + 1):
        for way, batches in ways.items():
            start = time.perf_counter()
            scores.fit(batches, verbose=0, shuffle=False, callbacks=[End()])
            if i:  # the first pass compiles
                late[way].append(time.perf_counter() - ended["at"])
                whole[way].append(time.perf_counter() - start)
    return late, whole


if __name__ == "__main__":
    main()
