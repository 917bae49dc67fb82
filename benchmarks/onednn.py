"""Measure the throughput of training on the CPU, with and without oneDNN.

    python benchmarks/onednn.py [BATCH] [--rounds 3] [--steps 5]

The network is a VGG-16 at 32 pixels. The two settings alternate in separate processes. TensorFlow
turns oneDNN on only if the CPU has AVX512-VNNI or AMX. `quiet.quiet_tensorflow` always turns it on,
and the ratio shows the gain.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time


def main(arguments=None):
    """Measure both settings in turn, and print their medians and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("batch", nargs="?", type=int, default=64, help="images per step")
    parser.add_argument(
        "work", nargs="?", choices=["measure"], help="measure in this process with its settings"
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds")
    parser.add_argument("--steps", type=int, default=5, help="steps of each process")
    flags = parser.parse_args(arguments)
    if flags.work:
        print(_measure(flags.batch, flags.steps))
        return
    rates = {"0": [], "1": []}
    for _ in range(flags.rounds):
        for setting, values in rates.items():
            values.append(_measure_alone(setting, flags.batch, flags.steps))
    off, on = (statistics.median(rates[setting]) for setting in "01")
    what = f"VGG-16, 32 px, batch {flags.batch}, medians of {flags.rounds}"
    print(f"{what}: off {off:.1f}, on {on:.1f} images/s, ratio {on / off:.2f}")
    off, on = ([round(rate, 1) for rate in rates[setting]] for setting in "01")
    print("all:", {"off": off, "on": on})


def _measure_alone(setting, batch, steps):
    """Return the images/s in a separate process, with oneDNN off (0) or on (1)."""
    settings = {"TF_ENABLE_ONEDNN_OPTS": setting, "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [sys.executable, __file__, str(batch), "measure", "--steps", str(steps)]
    result = subprocess.run(
        words, env=os.environ | settings, capture_output=True, text=True, check=True
    )
    return float(result.stdout.split()[-1])


def _measure(batch, steps):
    """Return the images/s of training steps, after a warm-up step."""
    import numpy as np

    from vgg_tf.models.vgg import build_vgg
    from vgg_tf.paper.presets import RECIPES
    from vgg_tf.training.model import compile_scores, drop_softmax, make_optimizer

    model = build_vgg("vgg16", input_shape=(32, 32, 3), classes=10, std=(60.0, 60.0, 60.0), seed=0)
    scores = drop_softmax(model)
    compile_scores(scores, make_optimizer(RECIPES["cifar"], steps))
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, 32, 32, 3), np.uint8)
    labels = random.integers(0, 10, batch)
    scores.train_on_batch(images, labels)
    start = time.perf_counter()
    for _ in range(steps):
        scores.train_on_batch(images, labels)
    return steps * batch / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
