"""Compare the boxes of a network with a constant box for all pictures.

    python benchmarks/localization.py FOLDER --inherit cifar10

FOLDER has pictures with Pascal VOC annotations. For each of the seeds 0 to 4, a fifth of the
pictures of each class is held out for the test. `python -m vgg_tf.localize train` trains a network
on the rest, so an interrupted benchmark continues. Both protocols test it, with the class given.
The baselines are the mean of the largest boxes of the training pictures, and the whole picture.
Other flags go to `vgg_tf.localize train`.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from vgg_tf.figures.markdown import make_markdown_table

PROGRAM = [sys.executable, "-m", "vgg_tf.localize"]
BASELINES = ["mean box", "whole picture"]


def main(arguments=None):
    """Split, train and test with each seed, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="pictures with Pascal VOC annotations")
    parser.add_argument("--inherit", default="cifar10", help="weights to start from")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/localization"), help="folder for the runs"
    )
    parser.add_argument("--splits", type=int, default=5, help="number of random splits")
    parser.add_argument(
        "--protocols", default="center,center --flip,dense,dense --flip", help="separated by commas"
    )
    flags, more = parser.parse_known_args(arguments)
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    from vgg_tf.data import opening
    from vgg_tf.features.protocols import merge_splits

    source, *_ = merge_splits(opening.open_source(flags.folder), "none")
    splits = []
    for seed in range(flags.splits):
        shards, run = flags.out / f"shards-{seed}", flags.out / f"run-{seed}"
        _write_split(source, seed, shards)
        row = _measure_baselines(shards)
        words = ["--data", shards, "--inherit", flags.inherit, "--out", run, "--seed", seed, *more]
        subprocess.run([*PROGRAM, "train", *map(str, words)], check=True)
        row |= {name: _test(run, name) for name in flags.protocols.split(",")}
        splits.append(row)
        print(row, flush=True)
    _print_table(splits)


def _write_split(source, seed, folder):
    """Write shards with a random fifth of each class in the test split."""
    from vgg_tf.writing.write import write

    images = source.splits["train"]
    random, train, test = np.random.default_rng(seed), [], []
    for label in range(len(source.classes)):
        members = random.permutation(np.flatnonzero(images.labels == label))
        cut = round(0.2 * len(members))
        test.append(members[:cut])
        train.append(members[cut:])
    parts = {
        "train": images.take(np.sort(np.concatenate(train))),
        "test": images.take(np.sort(np.concatenate(test))),
    }
    noted = source.add_note(f"split {seed}", splits=parts)
    write(noted, str(folder), progress=False, skip_bad=True)


def _measure_baselines(shards):
    """Return the number `n` of test pictures, and the correct boxes of each baseline (%)."""
    from vgg_tf.data import opening
    from vgg_tf.localization import inference, inputs

    opened = opening.open_source(str(shards), only=None)
    train, test = (
        inputs.read_boxes(opened.splits[name], opened.classes) for name in ("train", "test")
    )
    labels = test.images.labels.tolist()
    row = {"n": len(test)}
    boxes = [inference.average_boxes(train), np.array([0.0, 0, 1, 1])]
    for name, box in zip(BASELINES, boxes, strict=True):
        found = [[inference.Found(label, 1.0, box)] for label in labels]
        row[name] = 100 - inference.measure_errors(found, labels, test.corners)["top1_error"]
    return row


def _test(run, name):
    """Test a network by a protocol, and return the correct boxes (%)."""
    protocol, *flip = name.split()
    out = run / f"tested-{'-'.join([protocol, *flip]).replace('--', '')}"
    words = ["evaluate", run, "--split", "test", "--protocol", protocol, *flip, "--out", out]
    subprocess.run([*PROGRAM, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    (errors,) = json.loads((out / "report.json").read_text())["results"].values()
    return 100 - errors["top1_error"]


def _print_table(splits):
    """Print the correct boxes, and the gains over the better baseline."""
    names = [name for name in splits[0] if name != "n"]
    shares = {name: [row[name] for row in splits] for name in names}
    means = {name: np.mean(values) for name, values in shares.items()}
    header = ["boxes right (IoU > 0.5), %", *(f"split {i}" for i in range(len(splits))), "mean"]
    rows = [
        [name, *(f"{value:.1f}" for value in values), f"{means[name]:.1f}"]
        for name, values in shares.items()
    ]
    print("\n" + make_markdown_table(header, rows))
    best = max(means[name] for name in BASELINES)
    for name in names:
        if name not in BASELINES:
            gain = means[name] - best
            n = splits[0]["n"]
            print(f"{name}: {gain:+.1f} points over the better baseline, n={n} per split")


if __name__ == "__main__":
    main()
