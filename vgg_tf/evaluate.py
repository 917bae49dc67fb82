"""Test trained networks as in section 3.2: `python -m vgg_tf.evaluate RUN [RUN ...]`."""

import hashlib
import os
import time
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import tyro

from vgg_tf.paper.protocols import ProtocolName
from vgg_tf.runtime import command_line, files, processes, quiet
from vgg_tf.runtime.devices import Precision, StrategyName, choose
from vgg_tf.runtime.engines import settle
from vgg_tf.weights.stated_input import StatedInput

PresetName = Literal["none", "paper-table3", "paper-table4", "paper-table5", "paper-table6"]


@dataclass(frozen=True)
class Flags:
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


def main(arguments=None):
    """Test the networks, write the report and print the result.

    Probabilities that earlier tests have stored are not computed again.

    Args:
        arguments: list of words; None takes the command line.

    Raises:
        ValueError: no network is given.
    """
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.evaluate")
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
    _agree(devices, networks, source, flags)
    print(devices.reason, *list_notes(source.notes, source.name), sep="\n  ")

    averages = average_posteriors(lines, source, flags.split, devices, flags.batch_size)
    if devices.process:
        return
    labels = source.splits[flags.split].labels
    found = [metrics.compute_metrics(average, labels, source.classes) for average in averages]
    folder = flags.out or _choose_folder(networks, lines, source, flags)
    if flags.preset == "none":
        where = _write_report(folder, lines[0], found[0], averages[0], source, flags)
        networks, (first, *_), _ = lines[0]
        results.write_result(
            folder,
            ("vgg_tf.evaluate", arguments),
            devices,
            found[0],
            arch=" + ".join(network.arch for network in networks),
            data=source.name,
            split=flags.split,
            protocol=first.name,
            scales=list(first.scales),
            seconds=time.perf_counter() - start,
        )
        words = f"{flags.split} {_format_errors(found[0])}"
    else:
        where = _write_table(folder, lines, found)
        words = flags.split
    print(f"{words}, n={len(labels):,}, {time.perf_counter() - start:.0f} s; {where}")


def _open_networks(flags):
    """Open the networks, and the source that they are tested on, whose classes match.

    Args:
        flags: the `Flags`.

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


def _format_errors(found):
    """Return the errors and the loss as text."""
    (low, high), (low5, high5) = found["top1_interval"], found["top5_interval"]
    return (
        f"top-1 error {found['top1_error']:.2f} % (95 %: {low:.2f} to {high:.2f}), "
        f"top-5 {found['top5_error']:.2f} % ({low5:.2f} to {high5:.2f}), loss {found['loss']:.4f}"
    )


def _choose_folder(networks, lines, source, flags):
    """Return the default folder of the report: different networks or images, different folders."""
    from vgg_tf.evaluation import checkpoint

    of = (
        f"-of-{os.path.basename(os.path.normpath(flags.data))}-{source.fingerprint()[:6]}"
        if flags.data
        else ""
    )
    first = lines[0][1][0]
    what = (
        f"{first.name}-{','.join(map(str, first.scales))}"
        if flags.preset == "none"
        else flags.preset
    )
    what += "" if flags.flip == "auto" else f"-flip-{flags.flip}"
    if len(networks) == 1:
        return os.path.join(networks[0].folder, "tests", f"{flags.split}{of}-{what}")
    digest = hashlib.sha256(
        "+".join(network.fingerprint for network in networks).encode()
    ).hexdigest()[:6]
    # File names have at most 255 bytes.
    together = "+".join(network.name for network in networks)[:200]
    return os.path.join(checkpoint.EVALUATIONS, f"{together}-{digest}", f"{flags.split}{of}-{what}")


def _write_table(folder, lines, found):
    """Print and write the table of a preset, and return its path."""
    from vgg_tf.evaluation import tables

    text = tables.format_table(
        [(*line, numbers) for line, numbers in zip(lines, found, strict=True)]
    )
    files.make_folder(folder)
    path = os.path.join(folder, "table.md")
    files.write_whole(path, f"{text}\n".encode())
    print(f"\n{text}\n")
    return path


def _note_flips(of_each):
    """Return a note for protocols whose views are not flipped, which others are; else ""."""
    flipped = [protocol.flip for protocol in of_each]
    if of_each[0].name == "center" or all(flipped):
        return ""
    return ", without flips" if not any(flipped) else ", flips only where the training had them"


def _write_report(folder, line, found, average, source, flags):
    from vgg_tf.evaluation import reports

    networks, of_each, _ = line
    facts = {
        "networks": ", ".join(f"{network.path} ({network.arch})" for network in networks),
        "images": f"{source.name}, {flags.split}",
        "protocol": f"{of_each[0].name}, {of_each[0].views} views per image{_note_flips(of_each)}",
        "Q, scales in pixels": "; ".join(
            dict.fromkeys(",".join(map(str, protocol.scales)) for protocol in of_each)
        ),
    }
    title = f"{' + '.join(network.name for network in networks)}: {flags.split}"
    images = source.splits[flags.split]
    return reports.write_report(
        folder, title, facts, found, average, images, source.classes, source.texts
    )


if __name__ == "__main__":
    processes.run("vgg_tf.evaluate", main)
