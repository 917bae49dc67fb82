"""Images/s of a VGG-16 training step at 32 pixels on the CPU, with TensorFlow's oneDNN and without,
alternating.

    python benchmarks/onednn.py [BATCH] [--rounds 3] [--steps 5]

TensorFlow turns oneDNN on by itself only where it finds AVX512-VNNI or AMX;
`quiet.quiet_tensorflow` turns it on everywhere, and this says what that is worth.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time


def measure(batch, steps):
    """Print images/s of some steps of the real network, optimizer and loss, after a first one."""
    import numpy as np

    from vgg_tf.models.vgg import build_vgg
    from vgg_tf.paper.presets import RECIPES
    from vgg_tf.training.model import compile_scores, make_optimizer, scores_of

    model = build_vgg("vgg16", input_shape=(32, 32, 3), classes=10, std=(60.0, 60.0, 60.0), seed=0)
    scores = scores_of(model)
    compile_scores(scores, make_optimizer(RECIPES["cifar"], steps))
    random = np.random.default_rng(0)
    images, labels = (
        random.integers(0, 256, (batch, 32, 32, 3), np.uint8),
        random.integers(0, 10, batch),
    )
    scores.train_on_batch(images, labels)
    start = time.perf_counter()
    for _ in range(steps):
        scores.train_on_batch(images, labels)
    print(steps * batch / (time.perf_counter() - start))


def main(arguments=None):
    """Alternate the two settings in processes of their own and print medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("batch", nargs="?", type=int, default=64, help="images a step")
    parser.add_argument(
        "work", nargs="?", choices=["measure"], help="measure here, in the setting of this process"
    )
    parser.add_argument("--rounds", type=int, default=3, help="alternations")
    parser.add_argument("--steps", type=int, default=5, help="of each process")
    flags = parser.parse_args(arguments)
    if flags.work:
        measure(flags.batch, flags.steps)
        return
    rates = {"0": [], "1": []}
    for _ in range(flags.rounds):
        for setting, values in rates.items():
            environment = {
                **os.environ,
                "TF_ENABLE_ONEDNN_OPTS": setting,
                "TF_CPP_MIN_LOG_LEVEL": "3",
            }
            words = [
                sys.executable,
                __file__,
                str(flags.batch),
                "measure",
                "--steps",
                str(flags.steps),
            ]
            result = subprocess.run(
                words, env=environment, capture_output=True, text=True, check=True
            )
            values.append(float(result.stdout.split()[-1]))
    off, on = (statistics.median(rates[setting]) for setting in "01")
    what = f"VGG-16, 32 px, batch {flags.batch}, medians of {flags.rounds}"
    print(f"{what}: off {off:.1f}, on {on:.1f} images/s, ratio {on / off:.2f}")
    print(
        "all:", {"off": [round(r, 1) for r in rates["0"]], "on": [round(r, 1) for r in rates["1"]]}
    )


if __name__ == "__main__":
    main()
