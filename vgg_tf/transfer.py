"""Features that travel (appendix B): `python -m vgg_tf.transfer SOURCE --weights RUN`."""

import os
import time
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from vgg_tf.data.selection import Selection
from vgg_tf.features.protocols import PROTOCOLS, draw_neighbors, merge_splits
from vgg_tf.runtime import command_line, files, programs, quiet
from vgg_tf.runtime.devices import Precision, StrategyName, choose
from vgg_tf.runtime.engines import settle


@dataclass(frozen=True)
class Flags:
    """Descriptors of pictures from networks that were trained on others, and how far a linear
    SVM gets with them.
    """

    source: Annotated[str, tyro.conf.Positional]
    """A folder of class folders, of pictures with Pascal-VOC annotations, of shards; tfds:NAME;
    digits.
    """
    weights: tuple[str, ...] = ("cifar10",)
    """Run folders, files of weights or cifar10, with a head or without; descriptors of several
    are stacked.
    """
    scales: str = "one"
    """Q, the smaller side of the rescaled picture in pixels: 256,384,512; `one`, the recipe's;
    `several`, the three of 4.2.
    """
    aggregate: Literal["average", "stack", "max"] = "stack"
    """How the descriptors at several scales become one."""
    protocol: Literal["caltech", "voc", "none"] = "caltech"
    """caltech: some pictures of each category to train on, mean class recall; voc: a picture may
    show several classes, mean average precision on the test split, or on a fifth of the
    pictures; none: descriptors alone.
    """
    train: int = 30
    """Pictures of each category to train on (caltech)."""
    test: int = 50
    """Pictures of each category to test on, at most (caltech)."""
    splits: int = 3
    """Random splits (caltech), or draws of the part that chooses C (voc)."""
    out: str = ""
    """Folder of what comes out; transfers/<name of the source> by default."""
    batch_size: int = 0
    """Crops' worth of pixels that go through a network at a time; 0 is by their size."""
    precision: Precision = "auto"
    """Of weights that are no run, as for vgg_tf.train. A run is in the precision of its
    training.
    """
    strategy: StrategyName = "auto"
    """Where to compute; auto is the first of tpu, gpu, cpu that is there."""
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)


def main(arguments=None):
    """Compute the descriptors that are not there yet, train and test the SVMs, write all, print
    the closing line.
    """
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.transfer")
    for name in ("train", "test", "splits"):
        if getattr(flags, name) < 1:
            raise ValueError(f"--{name} is at least 1. Received: {getattr(flags, name)}.")
    if not flags.weights:
        raise ValueError("--weights is empty. Give a run folder, a file of weights, or cifar10.")
    settle(flags.strategy)
    quiet.quiet_tensorflow()

    from vgg_tf.data.opening import open_source
    from vgg_tf.evaluation import checkpoint
    from vgg_tf.features import descriptors
    from vgg_tf.runs import run_folder

    run_folder.refuse_run(flags.out)
    start = time.perf_counter()
    opened = open_source(flags.source, flags.selection)
    source, skipped, tested = merge_splits(opened, flags.protocol)
    for note in skipped:
        print(note)
    networks = [checkpoint.open_checkpoint(path, headless=True) for path in flags.weights]
    devices = choose(flags.strategy, flags.precision)
    print(devices.reason)
    rows = descriptors.extract(
        source, networks, flags.scales, flags.aggregate, "train", flags.batch_size, devices
    )
    folder = flags.out or os.path.join(
        "transfers", os.path.basename(os.path.normpath(flags.source)).replace(":", "-")
    )
    files.make_folder(folder)
    descriptors.write_descriptors(os.path.join(folder, "descriptors.npz"), rows, source)
    facts = {
        "source": source.name,
        "networks": [network.path for network in networks],
        "scales": flags.scales,
        "aggregate": flags.aggregate,
        "n": len(rows),
        "d": rows.shape[1],
        "skipped": skipped,
    }
    words, found = PROTOCOLS[flags.protocol](rows, source, tested, flags, folder)
    if flags.protocol != "none":
        neighbours = os.path.join(folder, "neighbours.png")
        with programs.noting(neighbours):
            draw_neighbors(rows, source.splits["train"], source.classes, neighbours)
    files.write_json(os.path.join(folder, "report.json"), facts | found)
    print(
        f"{words}n={len(rows):,}, {rows.shape[1]:,} numbers each, "
        f"{time.perf_counter() - start:.0f} s; {folder}"
    )


if __name__ == "__main__":
    programs.run(main)
