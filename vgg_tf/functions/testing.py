"""evaluate_network: the test of a network, or of the average of several, as in section 3.2."""

import time
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import tyro

from vgg_tf.functions.keywords import Paths, make_words, raising
from vgg_tf.functions.results import Result
from vgg_tf.functions.test_reports import choose_folder, write_table, write_test
from vgg_tf.paper.protocols import ProtocolName
from vgg_tf.runtime import command_line, processes, quiet
from vgg_tf.runtime.devices import Precision, StrategyName, choose
from vgg_tf.runtime.engines import settle
from vgg_tf.weights.stated_input import StatedInput

PresetName = Literal["none", "paper-table3", "paper-table4", "paper-table5", "paper-table6"]


@dataclass(frozen=True)
class EvaluateFlags:
    """Test a network, or the average of several networks, and write a report.

    Attributes:
        networks: Run folders of python -m vgg_tf.train, weight
            files (.keras, .weights.h5, .safetensors), or cifar10.
        data: Images to test on: a folder of shards or of class folders, tfds:NAME, or digits. The
            default is the data of the first run.
        labels_from: The first label of --data, 0 or 1, if the shards do not define it.
        keys: Keys of the features of --data, such as image=picture,label=species, if the shards do
            not show them.
        skip_bad: Leave out pictures that cannot be read, with a note.
        split: Split to test on: train, validation or test. The default is test, or validation
            where there is no test split.
        protocol: Views of each image: center (the center crop), ten-crop (four corners and the
            center, also flipped), padded-ten-crop (the same with a mirrored border), multi-crop (a
            grid of 25 crops, also flipped), dense (the whole image and its flip, as in
            section 3.2), or multi-crop+dense (both, averaged).
        flip: Average views with their mirror images: on, off, or auto (where the training flipped
            images; on for weight files).
        scales: Smaller side of the rescaled image (Q in the paper), in pixels, such as 256
            or 256,384,512. The value one is the test scale of the recipe, and several is the three
            scales of section 4.2.
        preset: Run all tests of a table of the paper for these networks, and print it with the
            paper's numbers.
        batch_size: Crops per batch; 0 chooses it from the size of the crops.
        out: Folder of the report; the default is in the run folder, or in evaluations/.
        precision: Precision of weight files, as for vgg_tf.train. A run always has the precision
            of its training.
        strategy: Device: auto is the first of tpu, gpu and cpu that is available.
        stated: The input of a weight file.
        together: Several processes that test together.
    """

    networks: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")
    ]
    data: str | None = None
    labels_from: Literal[0, 1] | None = None
    keys: str = ""
    skip_bad: bool = False
    split: str = ""
    protocol: ProtocolName = "center"
    flip: Literal["auto", "on", "off"] = "auto"
    scales: str = "one"
    preset: PresetName = "none"
    batch_size: int = 0
    out: str = ""
    precision: Precision = "auto"
    strategy: StrategyName = "auto"
    stated: Annotated[StatedInput, tyro.conf.arg(name="")] = field(default_factory=StatedInput)
    together: Annotated[processes.Hosts, tyro.conf.arg(name="")] = field(
        default_factory=processes.Hosts
    )


@dataclass(frozen=True, repr=False)
class Evaluation(Result):
    """The result of a test.

    Attributes:
        split: The split that was tested.
        n: Number of its images.
        top1_error: Error in %.
        top1_interval: Its 95 % interval, in %.
        top5_error: Share of images whose class is not among the five most likely, in %.
        top5_interval: Its 95 % interval, in %.
        loss: Mean loss in nats.
        seconds: Duration of the test.
        report: Path of the report: report.html, or table.md of a preset.
        table: Table of a preset in Markdown, whose first line has the errors above; else empty.
    """

    split: str
    n: int
    top1_error: float
    top1_interval: tuple[float, float]
    top5_error: float
    top5_interval: tuple[float, float]
    loss: float
    seconds: float
    report: str
    table: str = ""

    def __str__(self):
        (low, high), (low5, high5) = self.top1_interval, self.top5_interval
        errors = (
            f" top-1 error {self.top1_error:.2f} % (95 %: {low:.2f} to {high:.2f}), top-5 "
            f"{self.top5_error:.2f} % ({low5:.2f} to {high5:.2f}), loss {self.loss:.4f}"
        )
        errors = "" if self.table else errors
        return f"{self.split}{errors}, n={self.n:,}, {self.seconds:.0f} s; {self.report}"


def evaluate_network(networks: Paths, **options: Any) -> Evaluation:
    """Test a network, or the average of several, and write a report.

    It does what `python -m vgg_tf.evaluate` does. Probabilities that earlier tests have stored are
    not computed again.

    Args:
        networks: Run folder, weight file or `"cifar10"`, or a sequence of them.
        **options: The flags of the program, with underscores, such as `data="photos"`,
            `protocol="dense"`, `scales=(256, 384)` or `preset="paper-table3"`. See
            `python -m vgg_tf.evaluate --help`.

    Returns:
        The `Evaluation`.

    Raises:
        TypeError: The program has no flag of this name.
        ValueError: A value cannot be meant, or networks and data do not fit together.
        FileNotFoundError: A network or the data do not exist.
    """
    words = make_words(EvaluateFlags, "evaluate_network", options, networks)
    with raising("evaluate_network"):
        flags = parse_evaluate(words)
    return run_evaluation(flags, words)


def parse_evaluate(arguments=None):
    """Return the `EvaluateFlags` of words; None takes the command line."""
    return command_line.parse_flags(EvaluateFlags, arguments, "python -m vgg_tf.evaluate")


def run_evaluation(flags, words=None):
    """Test the networks, and write the report.

    Args:
        flags: `EvaluateFlags`.
        words: The words of the command line, for `result.json`; None takes those of this process.

    Returns:
        An `Evaluation`; None in a process that only helps the first one.

    Raises:
        ValueError: No network is given.
    """
    if not flags.networks:
        raise ValueError(
            f"At least one network is required. Received: {len(flags.networks)}. Give a run folder "
            "of python -m vgg_tf.train, a weight file, or cifar10."
        )
    from vgg_tf.weights.reading import check_paths  # imports numpy, which --help does not need

    check_paths(flags.networks)
    together = flags.together.complete()
    settle(flags.strategy, several=together.processes > 1)
    quiet.quiet_tensorflow()

    from vgg_tf.data.describing import list_notes
    from vgg_tf.evaluation import metrics
    from vgg_tf.evaluation.averaging import average_posteriors
    from vgg_tf.runs import results, run_folder

    run_folder.refuse_run(flags.out)
    start = time.perf_counter()
    flags, networks, source = _open_networks(flags)
    lines = _plan_lines(networks, flags)
    together.join()
    devices = choose(flags.strategy, flags.precision)
    processes.check_share(source.count_images(flags.split), flags.split, devices.processes)
    _agree(devices, networks, source, flags)
    print(devices.reason, *list_notes(source.notes, source.name), sep="\n  ")

    averages = average_posteriors(lines, source, flags.split, devices, flags.batch_size)
    if devices.process:
        return None
    labels = source.splits[flags.split].labels
    found = [metrics.compute_metrics(average, labels, source.classes) for average in averages]
    folder = flags.out or choose_folder(networks, lines, source, flags)
    table = ""
    if flags.preset == "none":
        where = write_test(folder, lines[0], found[0], averages[0], source, flags)
        networks, (first, *_), _ = lines[0]
        results.write_result(
            folder,
            ("vgg_tf.evaluate", words),
            devices,
            found[0],
            arch=" + ".join(network.arch for network in networks),
            data=source.name,
            split=flags.split,
            protocol=first.name,
            scales=list(first.scales),
            seconds=time.perf_counter() - start,
        )
    else:
        where, table = write_table(folder, lines, found)
    seconds = time.perf_counter() - start
    names = ("top1_error", "top1_interval", "top5_error", "top5_interval", "loss")
    numbers = (found[0][name] for name in names)
    return Evaluation(flags.split, len(labels), *numbers, seconds, where, table)


def _open_networks(flags):
    """Open the networks, and the source that they are tested on, whose classes match.

    Args:
        flags: the `EvaluateFlags`.

    Returns:
        flags: with the name of the split.
        networks: list of `checkpoint.Checkpoint`, which flip views as --flip says.
        source: the `splits.Source`.

    Raises:
        ValueError: no data are named, or the classes or splits differ.
    """
    from vgg_tf.data import opening
    from vgg_tf.data.training_images import note_training_images
    from vgg_tf.evaluation import checkpoint

    networks = [checkpoint.open_checkpoint(path, stated=flags.stated) for path in flags.networks]
    if flags.flip != "auto":
        networks = [replace(network, flip=flags.flip == "on") for network in networks]
    first = networks[0]
    if not (flags.data or first.data):
        raise ValueError(
            f"--data is required: {first.path} does not name its training data. Received: no "
            "--data. Give a folder, tfds:NAME or digits."
        )
    selections = [network.selection for network in networks]

    def open_split(split):
        more = flags.data, flags.labels_from, flags.keys, flags.skip_bad
        return opening.open_tested(split, selections, first.data, *more)

    split = flags.split or "test"
    source = open_split(split)
    if not flags.split and split not in source.splits and "validation" in source.splits:
        split = "validation"
        note = "no test split: the validation images are tested, which may have chosen the network"
        source = open_split(split).add_note(note)
    flags = replace(flags, split=split)
    for network in networks:
        network.check_classes(source.classes, source.name)
    source.count_images(flags.split)
    runs = [network.run for network in networks if network.run]
    if flags.data or flags.split != "train":
        source = note_training_images(source, flags.split, runs)
    return flags, networks, source


def _plan_lines(networks, flags):
    """Return `(networks, protocols, the paper's errors)` for each result."""
    from vgg_tf.evaluation import tables
    from vgg_tf.paper import protocols

    if flags.preset != "none":
        return tables.plan_rows(flags.preset, networks)
    of_each = [
        protocols.Protocol(flags.protocol, network.scales(flags.scales), network.crop, network.flip)
        for network in networks
    ]
    return [(networks, of_each, None)]


def _agree(devices, networks, source, flags):
    """Raise a ValueError if another process tests something else."""
    devices.agree(
        [network.fingerprint for network in networks],
        devices.policy,
        source.fingerprint(),
        flags.split,
        flags.protocol,
        flags.scales,
        flags.preset,
        [network.flip for network in networks],
    )
