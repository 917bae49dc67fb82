"""Compare VGG-11, 13, 16 and 19 with batch normalization, over several seeds.

    python benchmarks/depth.py cifar10

All networks see the same number of images with the same recipe. `python -m vgg_tf.train` trains
them, so an interrupted benchmark continues. The table has the test errors, and the 95 % interval of
their mean over the seeds (Student's t). A figure shows the same numbers. Networks learn from all
training images, and the network of the last epoch is tested. So the test images select nothing.
With `--at-once 2`, two networks train at the same time, each on its share of the cores. Operations
on small maps gain little from a second core. Other flags go to `vgg_tf.train`.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from seeds import add_seeds, compute_reach

from vgg_tf import ARCHITECTURES
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.figures import charts
from vgg_tf.figures.markdown import make_markdown_table

NETWORKS = "vgg11_bn,vgg13_bn,vgg16_bn,vgg19_bn"


def main(arguments=None):
    """Train missing networks, print the table and draw the figure."""
    flags, more = _parse(arguments)
    # Report a missing test split before hours of training.
    open_source(flags.data, Selection(hold_out=0)).count_images("test")
    reports = _train_all(flags, more)
    errors = np.array([[report["top1_error"] for report in row] for row in reports.values()])
    means, reaches = errors.mean(1), compute_reach(errors)
    _print_table(reports, means, reaches)
    title = f"Depth with batch normalization (width {flags.width:g}, {flags.epochs} epochs)"
    path = flags.figure or flags.out / "depth.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    _draw(list(reports), errors, means, reaches, title).savefig(path, dpi=120)


def _parse(arguments):
    """Return the flags, and a list of the flags for `vgg_tf.train`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data",
        help="class folders with a test split and no validation split, or shards written with "
        "--hold-out 0",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/depth"), help="folder for the runs")
    parser.add_argument(
        "--figure", type=Path, help="file of the figure; depth.png in --out by default"
    )
    parser.add_argument("--networks", default=NETWORKS, help="architectures, separated by commas")
    parser.add_argument("--epochs", type=int, default=7, help="epochs of each training")
    parser.add_argument("--width", type=float, default=0.25, help="width multiplier")
    add_seeds(parser)
    parser.add_argument(
        "--at-once", type=int, default=1, help="number of networks to train at the same time"
    )
    flags, more = parser.parse_known_args(arguments)
    if flags.seeds < 2 or flags.at_once < 1:
        parser.error(
            "--seeds must be at least 2 (for the interval) and --at-once at least 1. Received: "
            f"--seeds {flags.seeds} --at-once {flags.at_once}."
        )
    return flags, more


def _train_all(flags, more):
    """Train each network with each seed, and return its reports in the order of the seeds."""
    networks = flags.networks.split(",")
    # All networks with one seed before the next seed.
    jobs = [(arch, seed) for seed in range(flags.seeds) for arch in networks]
    with ThreadPoolExecutor(flags.at_once) as pool:
        found = list(pool.map(lambda job: _train(*job, flags, more), jobs))
    reports = dict(zip(jobs, found, strict=True))
    return {arch: [reports[arch, seed] for seed in range(flags.seeds)] for arch in networks}


def _train(arch, seed, flags, more):
    """Train a network if it is not trained yet, and return its report."""
    out = flags.out / f"{arch}-{seed}"
    words = ["--arch", arch, "--data", flags.data, "--epochs", flags.epochs]
    words += ["--width", flags.width, "--seed", seed, "--hold-out", 0, "--out", out, *more]
    command = [sys.executable, "-m", "vgg_tf.train", *map(str, words)]
    if flags.at_once == 1:
        subprocess.run(command, check=True)
    else:
        threads = str(max(1, os.cpu_count() // flags.at_once))
        shares = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
        flags.out.mkdir(parents=True, exist_ok=True)
        print(f"{out}: output in {out}.txt", flush=True)
        with open(f"{out}.txt", "a") as log:
            subprocess.run(
                command, check=True, env=os.environ | shares, stdout=log, stderr=subprocess.STDOUT
            )
    return json.loads((out / "report.json").read_text())


def _print_table(reports, means, reaches):
    """Print the errors of each network, and their mean with its interval."""
    seeds = len(next(iter(reports.values())))
    header = ["network", "parameters", *(f"seed {seed}" for seed in range(seeds)), "mean, 95 %"]
    rows = [
        [
            arch,
            f"{row[0]['parameters'] / 1e6:.2f} M",
            *(f"{report['top1_error']:.2f} %" for report in row),
            f"{mean:.2f} +- {reach:.2f} %",
            f"{max(report['seconds'] for report in row) / 60:.1f}",
        ]
        for (arch, row), mean, reach in zip(reports.items(), means, reaches, strict=True)
    ]
    print("\n" + make_markdown_table([*header, "minutes a run, at most"], rows))


def _draw(networks, errors, means, reaches, title):
    """Draw the errors of each seed, and their mean with its interval, over the depth.

    The axis of the errors does not start at 0, which would hide the differences.

    Args:
        networks: names of the architectures.
        errors: float `[networks, seeds]`, in %.
        means: float `[networks]`, in %.
        reaches: float `[networks]`, half the length of each interval, in %.
        title: title of the figure.

    Returns:
        A matplotlib figure.
    """
    depths = [ARCHITECTURES[arch].weight_layers for arch in networks]
    lines = {f"seed {seed}": (depths, row, f"C{seed + 1} ") for seed, row in enumerate(errors.T)}
    lines["mean, 95 %"] = (depths, means, "C0-")
    figure = charts.draw_curves(lines, title, "layers with weights", "test top-1 error (%)")
    (axes,) = figure.axes
    axes.errorbar(depths, means, reaches, fmt="none", ecolor="C0", capsize=4)
    axes.set_xticks(depths)
    axes.autoscale(axis="y")
    return figure


if __name__ == "__main__":
    main()
