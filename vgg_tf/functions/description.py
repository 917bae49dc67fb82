"""describe_pictures: descriptors of pictures, and linear SVMs on them (appendix B)."""

import os
import time
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from vgg_tf.data.selection import Selection
from vgg_tf.features.protocols import PROTOCOLS, draw_neighbors, merge_splits
from vgg_tf.functions.keywords import make_words, raising
from vgg_tf.functions.results import Result
from vgg_tf.runtime import command_line, files, programs, quiet
from vgg_tf.runtime.devices import Precision, StrategyName, choose
from vgg_tf.runtime.engines import settle


@dataclass(frozen=True)
class TransferFlags:
    """Compute descriptors of pictures, and train linear SVMs on them.

    Attributes:
        source: Required. Pictures: a folder of class folders, of pictures with Pascal VOC
            annotations or of shards, tfds:NAME, or digits.
        weights: Networks, with or without a head: run folders, weight files or cifar10.
            Descriptors of several networks are stacked.
        scales: Smaller side of the rescaled picture (Q in the paper), in pixels, such as 256
            or 256,384,512. The value one is the test scale of the recipe, and several is the three
            scales of section 4.2.
        aggregate: How the descriptors at several scales are combined.
        protocol: Test: caltech (mean class recall over random splits), voc (mean average precision
            of pictures that may show several classes), or none (only descriptors). For voc, the
            test split is used if there is one, else a fifth of the pictures.
        train: Training pictures per category (caltech).
        test: Maximum number of test pictures per category (caltech).
        splits: Number of random splits (caltech), or of draws of the pictures that choose C (voc).
        out: Output folder; the default is transfers/ with the name of the source.
        batch_size: Pixels per batch, in units of one crop; 0 chooses it from the size of the
            crops.
        precision: Precision of weight files, as for vgg_tf.train. A run always has the precision
            of its training.
        strategy: Device: auto is the first of tpu, gpu and cpu that is available.
        selection: Classes and images to use.
    """

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")] = ""
    weights: tuple[str, ...] = ("cifar10",)
    scales: str = "one"
    aggregate: Literal["average", "stack", "max"] = "stack"
    protocol: Literal["caltech", "voc", "none"] = "caltech"
    train: int = 30
    test: int = 50
    splits: int = 3
    out: str = ""
    batch_size: int = 0
    precision: Precision = "auto"
    strategy: StrategyName = "auto"
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)


@dataclass(frozen=True, repr=False)
class Description(Result):
    """Descriptors of pictures, and what linear SVMs make of them.

    Attributes:
        descriptors: Float32 array `[n, d]`, rows of L2 norm 1.
        names: Names of the pictures.
        labels: Labels of the pictures, from 0.
        classes: Class names.
        scores: Result of the protocol, such as `mean_class_recall`, a list of one value in % for
            each split.
        words: The result in words.
        seconds: Duration.
        folder: The folder with descriptors.npz, report.json and figures.
    """

    descriptors: Any
    names: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    scores: dict
    words: str
    seconds: float
    folder: str

    def __str__(self):
        n, d = self.descriptors.shape
        return (
            f"{self.words}n={n:,}, {d:,} numbers per picture, {self.seconds:.0f} s; {self.folder}"
        )


def describe_pictures(source: str | os.PathLike[str], **options: Any) -> Description:
    """Compute descriptors of pictures, and score linear SVMs on them.

    It does what `python -m vgg_tf.transfer` does.

    Args:
        source: Folder of pictures or of shards, `tfds:NAME`, or `"digits"`.
        **options: The flags of the program, with underscores, such as `weights=["run"]`,
            `scales=(256, 384)` or `protocol="none"`. See `python -m vgg_tf.transfer --help`.

    Returns:
        The `Description`.

    Raises:
        TypeError: The program has no flag of this name.
        ValueError: A value cannot be meant, or the pictures do not fit the protocol.
        FileNotFoundError: The pictures or a network do not exist.
    """
    words = make_words(TransferFlags, "describe_pictures", options, source)
    with raising("describe_pictures"):
        flags = parse_transfer(words)
    return run_transfer(flags)


def parse_transfer(arguments=None):
    """Return the `TransferFlags` of words; None takes the command line."""
    return command_line.parse_flags(TransferFlags, arguments, "python -m vgg_tf.transfer")


def run_transfer(flags):
    """Compute the descriptors, train and test the SVMs, and write the report.

    Descriptors that earlier calls have stored are not computed again.

    Args:
        flags: `TransferFlags`.

    Returns:
        The `Description`.

    Raises:
        ValueError: --train, --test or --splits is below 1, or the source or --weights is empty.
    """
    _check_flags(flags)
    from vgg_tf.weights.reading import check_paths

    check_paths(flags.weights)
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
        drawn = os.path.join(folder, "neighbors.png")
        with programs.noting(drawn):
            draw_neighbors(rows, source.splits["train"], source.classes, drawn)
    files.write_json(os.path.join(folder, "report.json"), facts | found)
    images = source.splits["train"]
    return Description(
        rows,
        tuple(images.names),
        tuple(images.labels.tolist()),
        tuple(source.classes),
        found,
        words,
        time.perf_counter() - start,
        folder,
    )


def _check_flags(flags):
    """Raise a ValueError if the source or --weights is empty, or a number is below 1."""
    if not flags.source:
        raise ValueError(
            f"A source of pictures is required. Received: {flags.source!r}. Give a folder, "
            "tfds:NAME or digits."
        )
    for name in ("train", "test", "splits"):
        if getattr(flags, name) < 1:
            raise ValueError(
                f"--{name} must be at least 1. Received: --{name} {getattr(flags, name)}. Try "
                f"--{name} {getattr(TransferFlags, name)}."
            )
    if not flags.weights:
        raise ValueError(
            f"--weights must name at least one network. Received: {len(flags.weights)}. Give a run "
            "folder, a weight file, or cifar10."
        )
