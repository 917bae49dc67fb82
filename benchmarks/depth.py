"""Measure whether depth helps: VGG-11, 13, 16 and 19 with batch normalization, several seeds.

    python benchmarks/depth.py cifar10

All see the same number of images under one recipe. `python -m vgg_tf.train` trains them, so that
the benchmark continues where it was interrupted. It prints what each reached, with the 95 %
interval of its mean over the seeds (Student's t), and draws it. All training images are seen and
the last network is tested, so that nothing is chosen on the test images. With `--at-once 2` two
networks learn at a time, each on its share of the cores: operations on small maps gain little from
a second core, another network has all of it. Other flags go to the trainings.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy import stats

from vgg_tf import ARCHITECTURES
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.figures import charts

NETWORKS = "vgg11_bn,vgg13_bn,vgg16_bn,vgg19_bn"


def main(arguments=None):
    """Train what is not trained yet, print the table, draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data",
        help="class folders with a test split and no validation split, or shards written with "
        "--hold-out 0",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/depth"), help="folder of the runs")
    parser.add_argument(
        "--figure", type=Path, help="depth.png in the folder of the runs, by default"
    )
    parser.add_argument("--networks", default=NETWORKS, help="architectures, separated by commas")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--width", type=float, default=0.25, help="of all networks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=1, help="networks that learn at a time")
    flags, more = parser.parse_known_args(arguments)
    networks = flags.networks.split(",")
    if flags.seeds < 2 or flags.at_once < 1:
        parser.error("an interval needs two --seeds, and --at-once is at least 1")
    figure = flags.figure or flags.out / "depth.png"
    # Or an error, before hours are spent.
    open_source(flags.data, Selection(hold_out=0)).count_images("test")
    # Every network once before any twice.
    jobs = [(arch, seed) for seed in range(flags.seeds) for arch in networks]
    with ThreadPoolExecutor(flags.at_once) as pool:
        reports = dict(
            zip(jobs, pool.map(lambda job: _train(*job, flags, more), jobs), strict=True)
        )

    errors = np.array(
        [[reports[arch, seed]["top1_error"] for seed in range(flags.seeds)] for arch in networks]
    )
    means = errors.mean(1)
    half = stats.t.ppf(0.975, flags.seeds - 1) * errors.std(1, ddof=1) / flags.seeds**0.5
    seeds = " | ".join(f"seed {seed}" for seed in range(flags.seeds))
    print(f"\n| network | parameters | {seeds} | mean, 95 % | minutes a run, at most |")
    print("| --- " * (flags.seeds + 4) + "|")
    for arch, row, mean, reach in zip(networks, errors, means, half, strict=True):
        of_seeds = [reports[arch, seed] for seed in range(flags.seeds)]
        minutes, parameters = (
            max(report["seconds"] for report in of_seeds) / 60,
            of_seeds[0]["parameters"] / 1e6,
        )
        of_each = " | ".join(f"{error:.2f} %" for error in row)
        print(
            f"| {arch} | {parameters:.2f} M | {of_each} | {mean:.2f} +- {reach:.2f} % | "
            f"{minutes:.1f} |"
        )

    figure.parent.mkdir(parents=True, exist_ok=True)
    title = f"Depth with batch normalisation ({flags.width:g} of the width, {flags.epochs} epochs)"
    _drawn(networks, errors, means, half, title).savefig(figure, dpi=120)


def _drawn(networks, errors, means, half, title):
    """Errors over the depth, each seed's and the mean with its interval; not from 0, which would
    hide what there is.
    """
    depths = [ARCHITECTURES[arch].weight_layers for arch in networks]
    lines = {f"seed {seed}": (depths, row, f"C{seed + 1} ") for seed, row in enumerate(errors.T)}
    figure = charts.draw_curves(
        {**lines, "mean, 95 %": (depths, means, "C0-")},
        title,
        "layers with weights",
        "test top-1 error (%)",
    )
    (axes,) = figure.axes
    axes.errorbar(depths, means, half, fmt="none", ecolor="C0", capsize=4)
    axes.set_xticks(depths)
    axes.autoscale(axis="y")
    return figure


def _train(arch, seed, flags, more):
    """The report of a network of this seed, which is trained as far as it is not."""
    out = flags.out / f"{arch}-{seed}"
    words = [
        "--arch",
        arch,
        "--data",
        flags.data,
        "--epochs",
        flags.epochs,
        "--width",
        flags.width,
        "--seed",
        seed,
    ]
    words += ["--hold-out", 0, "--out", out, *more]
    command = [sys.executable, "-m", "vgg_tf.train", *map(str, words)]
    if flags.at_once == 1:
        subprocess.run(command, check=True)
    else:
        threads = str(max(1, os.cpu_count() // flags.at_once))
        environment = os.environ | {
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
        }
        flags.out.mkdir(parents=True, exist_ok=True)
        print(f"{out}: its lines go to {out}.txt", flush=True)
        with open(f"{out}.txt", "a") as log:
            subprocess.run(
                command, check=True, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
    return json.loads((out / "report.json").read_text())


if __name__ == "__main__":
    main()
