"""Does a VGG-16 without batch normalisation gain by starting from a VGG-11, as the paper's networks
did?

    python benchmarks/inheritance.py SHARDS

trains four networks on CIFAR-10 (or any data of the cifar recipe) by `python -m vgg_tf.train`, so
that it goes on where it was interrupted; prints what each reached and draws the curves. A and D see
the same number of images, so that D from A and A together have cost as many images as the long D.
Other flags go to the trainings.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

from vgg_tf.figures import charts

# The cifar recipe at the time of the README's figures: a crop that moves by up to 8 of 40 pixels,
# He's start.
THEN = [
    "--scale",
    "32,40",
    "--padding",
    "0",
    "--cutout",
    "0",
    "--label-smoothing",
    "0",
    "--initializer",
    "auto",
]


def trainings(epochs):
    """Name to architecture, epochs and the training it starts from."""
    return {
        "vgg11": ("vgg11", epochs, None),
        "vgg16-from-vgg11": ("vgg16", epochs, "vgg11"),
        "vgg16": ("vgg16", epochs, None),
        "vgg16-long": ("vgg16", 2 * epochs, None),
    }


def main(arguments=None):
    """Train what is not trained yet, print the table, draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="shards or class folders")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/inheritance"), help="folder of the runs"
    )
    parser.add_argument("--figure", type=Path, default=Path("results/inheritance.png"))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--width", type=float, default=0.5, help="of all networks")
    parser.add_argument("--seed", type=int, default=0)
    flags, more = parser.parse_known_args(arguments)
    for name, (arch, epochs, source) in trainings(flags.epochs).items():
        words = [
            "--arch",
            arch,
            "--data",
            flags.data,
            "--epochs",
            epochs,
            "--width",
            flags.width,
            "--seed",
            flags.seed,
        ]
        words += [
            *THEN,
            "--out",
            flags.out / name,
            *(["--inherit", flags.out / source] if source else []),
            *more,
        ]
        subprocess.run([sys.executable, "-m", "vgg_tf.train", *map(str, words)], check=True)

    print(
        "\n| training | images seen | validation error | test top-1 / top-5 error |\n| --- | "
        "--- | --- | --- |"
    )
    lines = {}
    for style, (name, (_, _, source)) in zip(
        ("C2-", "C0-", "C1-", "C1:"), trainings(flags.epochs).items(), strict=True
    ):
        rows = list(csv.DictReader((flags.out / name / "log.csv").read_text().splitlines()))
        report = json.loads((flags.out / name / "report.json").read_text())
        images = json.loads((flags.out / name / "dataset.json").read_text())["splits"]["train"][
            "images"
        ]
        seen, errors = (
            [images * int(row["epoch"]) / 1e3 for row in rows],
            [float(row["validation_error"]) for row in rows],
        )
        lines[name] = (seen, errors, style)
        if source:
            before = lines[source][0][-1]
            lines[f"{name}, vgg11's images counted"] = (
                [before + n for n in seen],
                errors,
                style[:2] + "--",
            )
        print(
            f"| {name} | {seen[-1]:,.0f} k | {min(errors):.2f} % | {report['top1_error']:.2f} / "
            f"{report['top5_error']:.2f} % |"
        )
    flags.figure.parent.mkdir(parents=True, exist_ok=True)
    title = f"Starting from VGG-11 ({flags.width:g} of the width, seed {flags.seed})"
    figure = charts.draw_curves(
        lines, title, "training images seen (thousands)", "validation top-1 error (%)"
    )
    figure.savefig(flags.figure, dpi=120)


if __name__ == "__main__":
    main()
