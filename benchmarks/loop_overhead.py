"""Compare the training loop with a jitted loop written by hand, on logical devices of a CPU.

    python benchmarks/loop_overhead.py [--steps 20] [--rounds 9] [--devices 8]

All ways train the same network with the same step on the same batches, by JAX. The times are
medians over the rounds, which alternate between the ways. What a way adds to the one before it is
the cost of what it does more.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

SIDE, CLASSES = 32, 10
HEADER = ["way", "ms per step", "ratio"]


def main(arguments=None):
    """Measure in a process with logical devices, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20, help="steps of a round, at most 20")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each way")
    parser.add_argument("--devices", type=int, default=8, help="logical devices")
    parser.add_argument("--batch-size", type=int, default=16, help="images per step")
    parser.add_argument("--width", type=float, default=0.125, help="width of the network")
    flags = parser.parse_args(arguments)
    wanted = f"--xla_force_host_platform_device_count={flags.devices}"
    if os.environ.get("XLA_FLAGS") != wanted:  # read once, when JAX starts
        own = {"XLA_FLAGS": wanted, "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
        words = [sys.executable, __file__, *(sys.argv[1:] if arguments is None else arguments)]
        raise SystemExit(subprocess.run(words, env=os.environ | own).returncode)
    print_table(measure(flags))


def measure(flags):
    """Return the seconds per step of each way, a list with a number for each round.

    Args:
        flags: the flags.

    Returns:
        dict of names to lists of float.
    """
    from vgg_tf.runtime import quiet
    from vgg_tf.runtime.devices import choose

    quiet.quiet_tensorflow()
    devices = choose("cpu", "float32")
    with tempfile.TemporaryDirectory() as folder, devices.scope():
        subject = Subject(flags, devices, folder)
        ways = {
            "jitted loop, batches on the devices": lambda: subject.loop_by_hand(copied=True),
            "jitted loop": lambda: subject.loop_by_hand(copied=False),
            "fit of Keras without callbacks": subject.fit,
            "training loop of vgg_tf": subject.train,
        }
        for way in ways.values():  # compiles
            way()
        found = {name: [] for name in ways}
        for _ in range(flags.rounds):
            for name, way in ways.items():
                found[name].append(way() / flags.steps)
    return found


class Subject:
    """A network, its batches, and the ways to train it for a round.

    Args:
        flags: the flags.
        devices: the `Devices`.
        folder: path of an empty folder.
    """

    def __init__(self, flags, devices, folder):
        import keras
        import numpy as np
        import tensorflow as tf

        from vgg_tf import Recipe, build_vgg
        from vgg_tf.training.model import compile_scores, drop_softmax, make_optimizer

        self.flags, self.devices, self.folder, self.runs = flags, devices, folder, 0
        self.recipe = Recipe(epochs=2, size=SIDE, scale=(SIDE, SIDE), width=flags.width)
        self.model = build_vgg(
            "vgg11", input_shape=(SIDE, SIDE, 3), classes=CLASSES, width=flags.width, seed=0
        )
        self.scores = drop_softmax(self.model)
        compile_scores(self.scores, make_optimizer(self.recipe, flags.steps))
        self.scores.optimizer.build(self.scores.trainable_variables)
        random, n = np.random.default_rng(0), flags.steps * flags.batch_size
        images = random.integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)
        examples = (images, random.integers(0, CLASSES, n).astype("int32"))
        batches = tf.data.Dataset.from_tensor_slices(examples)
        self.batches = batches.batch(flags.batch_size, drop_remainder=True).prefetch(2)
        self.layout = keras.distribution.distribution().get_data_layout
        self.step, self.copies = None, None

    def loop_by_hand(self, copied):
        """Train by a loop over a jitted step; `copied` takes batches that are on the devices.

        Returns:
            float, seconds.
        """
        import jax

        copy = lambda batch: tuple(  # noqa: E731
            jax.device_put(array, self.layout(array.shape).backend_layout) for array in batch
        )
        if self.step is None:
            self.scores.fit(self.batches.take(1), verbose=0, shuffle=False)  # builds the metrics
            self.step = jax.jit(self.scores.train_step, donate_argnums=0)
            self.copies = [copy(batch) for batch in self.batches.as_numpy_iterator()]
        groups = ("trainable_variables", "non_trainable_variables")
        parts = [getattr(self.scores, name) for name in groups]
        parts += [self.scores.optimizer.variables, self.scores.metrics_variables]
        # Copies, because the step donates its arguments.
        state = tuple([jax.numpy.copy(variable.value) for variable in part] for part in parts)
        start, before = time.perf_counter(), None
        for batch in self.copies if copied else map(copy, self.batches.as_numpy_iterator()):
            logs, state = self.step(state, batch)
            # Two steps are under way. With many, the devices of a CPU wait for each other for ever,
            # and so they do in fit without callbacks after 20 steps or more.
            jax.block_until_ready(before)
            before = logs
        jax.block_until_ready(state)
        return time.perf_counter() - start

    def fit(self):
        """Train by `fit` without callbacks, and return the seconds."""
        start = time.perf_counter()
        self.scores.fit(self.batches, verbose=0, shuffle=False)
        return time.perf_counter() - start

    def train(self):
        """Train by the loop of `python -m vgg_tf.train`, and return the seconds of epoch 2."""
        from vgg_tf.runs import run_folder
        from vgg_tf.runs.settings import Settings
        from vgg_tf.training import loop

        self.runs += 1
        settings = Settings("vgg11", "random", "0" * 16, self.devices.policy, self.recipe)
        folder = os.path.join(self.folder, str(self.runs))
        feed = loop.Feed(self.flags.steps, self.flags.batch_size, lambda epoch: self.batches)
        with run_folder.open_run(folder, settings) as run:
            hooks = loop.Hooks(say=lambda line: None)
            state = loop.train(run, self.model, feed, hooks, check=False)
        return state.rows[-1]["seconds"]


def print_table(found):
    """Print the median of each way, and its ratio to the jitted loop.

    Args:
        found: dict of names to lists of seconds per step.
    """
    from vgg_tf.figures.markdown import make_markdown_table

    medians = {name: 1000 * statistics.median(seconds) for name, seconds in found.items()}
    rows = [
        [name, f"{median:.2f}", f"{median / medians['jitted loop']:.2f}"]
        for name, median in medians.items()
    ]
    print(make_markdown_table(HEADER, rows))


if __name__ == "__main__":
    main()
