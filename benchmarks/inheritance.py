"""Compare a VGG-16 that starts from VGG-11 with one that starts from random weights.

    python benchmarks/inheritance.py SHARDS

The paper initialized deep networks from a shallow one, without batch normalization. `python -m
vgg_tf.train` trains four networks on CIFAR-10, or on any data that fits the cifar recipe. An
interrupted benchmark continues. The script prints the errors of each training and draws the curves.
VGG-11 and VGG-16 see the same number of images. So VGG-11 and the VGG-16 from it together see as
many images as the long VGG-16. Other flags go to `vgg_tf.train`.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

from vgg_tf.figures import charts
from vgg_tf.figures.markdown import make_markdown_table

# The cifar recipe at the time of the README's figures: crops of 32 from 40 pixels, He initializer.
THEN = ["--scale", "32,40", "--padding", "0", "--cutout", "0", "--label-smoothing", "0"]
THEN += ["--initializer", "auto", "--recipe", "cifar"]
STYLES = {"vgg11": "C2-", "vgg16-from-vgg11": "C0-", "vgg16": "C1-", "vgg16-long": "C1:"}
HEADER = ["training", "images seen", "validation error", "test top-1 / top-5 error"]


def main(arguments=None):
    """Train missing networks, print the table and draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="shards or class folders")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/inheritance"), help="folder for the runs"
    )
    parser.add_argument(
        "--figure",
        type=Path,
        default=Path("docs/images/inheritance.png"),
        help="file of the figure",
    )
    parser.add_argument(
        "--epochs", type=int, default=8, help="epochs; the long run has twice as many"
    )
    parser.add_argument("--width", type=float, default=0.5, help="width multiplier of all networks")
    parser.add_argument("--seed", type=int, default=0, help="seed of all networks")
    flags, more = parser.parse_known_args(arguments)
    trainings = _list_trainings(flags.epochs)
    for name, training in trainings.items():
        _train(name, training, flags, more)
    curves = {name: _read_curve(flags.out / name) for name in trainings}
    rows = [_describe(flags.out / name, *curve) for name, curve in curves.items()]
    print("\n" + make_markdown_table(HEADER, rows))
    _draw(curves, trainings, flags)


def _list_trainings(epochs):
    """Return `(architecture, epochs, name of the training to start from)` by name."""
    return {
        "vgg11": ("vgg11", epochs, None),
        "vgg16-from-vgg11": ("vgg16", epochs, "vgg11"),
        "vgg16": ("vgg16", epochs, None),
        "vgg16-long": ("vgg16", 2 * epochs, None),
    }


def _train(name, training, flags, more):
    """Train a network if it is not trained yet."""
    arch, epochs, source = training
    words = ["--arch", arch, "--data", flags.data, "--epochs", epochs]
    words += ["--width", flags.width, "--seed", flags.seed, *THEN, "--out", flags.out / name]
    words += ["--inherit", flags.out / source, "--inherit-layers", "paper"] if source else []
    command = [sys.executable, "-m", "vgg_tf.train", *map(str, words), *more]
    subprocess.run(command, check=True)


def _read_curve(run):
    """Return thousands of images seen and validation error (%), for each epoch."""
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    dataset = json.loads((run / "dataset.json").read_text())
    images = dataset["splits"]["train"]["images"]
    seen = [images * int(row["epoch"]) / 1e3 for row in rows]
    return seen, [float(row["validation_error"]) for row in rows]


def _describe(run, seen, errors):
    """Return the row of a training in the table."""
    report = json.loads((run / "report.json").read_text())
    tested = f"{report['top1_error']:.2f} / {report['top5_error']:.2f} %"
    return [run.name, f"{seen[-1]:,.0f} k", f"{min(errors):.2f} %", tested]


def _draw(curves, trainings, flags):
    """Draw validation errors over images seen, with and without those of the first network."""
    lines = {}
    for name, (seen, errors) in curves.items():
        lines[name] = (seen, errors, STYLES[name])
        if source := trainings[name][2]:
            before = curves[source][0][-1]
            counted = f"{name}, with the images of vgg11"
            lines[counted] = ([before + n for n in seen], errors, STYLES[name][:2] + "--")
    title = f"Starting from VGG-11 (width {flags.width:g}, seed {flags.seed})"
    figure = charts.draw_curves(
        lines, title, "training images seen (thousands)", "validation top-1 error (%)"
    )
    flags.figure.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(flags.figure, dpi=120)


if __name__ == "__main__":
    main()
