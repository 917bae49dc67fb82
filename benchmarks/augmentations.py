"""Compare RandAugment, mixup and cutmix with a training without them, over several seeds.

    python benchmarks/augmentations.py caltech-25

`python -m vgg_tf.train` trains a small network from scratch with each of them, on the same images,
so an interrupted benchmark continues. The table has the error of the last epoch on the held-out
images, which select nothing. It also has the 95 % interval of the mean over the seeds, and that of
the difference from the training without augmentation, paired by seed (Student's t). Other flags go
to `vgg_tf.train`.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
from seeds import add_seeds, check_seeds, format_mean

from vgg_tf.figures.markdown import make_markdown_table

# Common values of the papers. None was tuned on these images.
WAYS = {
    "none": [],
    "rand_augment": ["--rand-augment", "5"],
    "mixup": ["--mixup", "0.2"],
    "cutmix": ["--cutmix", "1"],
}
RECIPE = "--arch vgg11_bn --recipe cifar --size 64 --scale 64,80 --test-scale 72 --padding 0"
RECIPE += " --cutout 0 --width 0.25 --head-width 256 --hold-out 0.3"
HEADER = ["augmentation", "train error, %", "seeds, %", "mean, 95 %", "difference from none, 95 %"]


def main(arguments=None):
    """Train missing networks, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="class folders or shards, for crops of 64 pixels")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/augmentations"), help="folder for the runs"
    )
    parser.add_argument("--epochs", type=int, default=30, help="epochs of each training")
    add_seeds(parser)
    flags, more = parser.parse_known_args(arguments)
    check_seeds(parser, flags)
    for seed in range(flags.seeds):
        for way in WAYS:
            _train(way, seed, flags, more)
    rows = {way: [_read_last(flags.out / f"{way}-{i}") for i in range(flags.seeds)] for way in WAYS}
    print_table(rows)


def _train(way, seed, flags, more):
    """Train a network if it is not trained yet."""
    words = [*RECIPE.split(), "--data", flags.data, "--epochs", flags.epochs, "--seed", seed]
    words += [*WAYS[way], "--out", flags.out / f"{way}-{seed}", *more]
    subprocess.run([sys.executable, "-m", "vgg_tf.train", *map(str, words)], check=True)


def _read_last(run):
    """Return the train error and the validation error of the last epoch, in %."""
    with open(run / "log.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return float(last["train_error"]), float(last["validation_error"])


def print_table(errors):
    """Print the errors of each augmentation.

    Args:
        errors: dict of names to pairs of train and validation error in %, a pair for each seed. The
            first name is that of the training without augmentation.
    """
    rows, (base, *_) = [], errors.values()
    for name, pairs in errors.items():
        trained, tested = np.array(pairs).T
        differences = tested - np.array(base)[:, 1]
        compared = "" if pairs is base else format_mean(differences)
        seeds = " ".join(f"{error:.2f}" for error in tested)
        rows.append([name, f"{trained.mean():.2f}", seeds, format_mean(tested), compared])
    print("\n" + make_markdown_table(HEADER, rows))


if __name__ == "__main__":
    main()
