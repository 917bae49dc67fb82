"""Test trained networks as in section 3.2: `python -m vgg_tf.evaluate RUN [RUN ...]`."""

import hashlib
import os
import time
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from vgg_tf.paper.protocols import ProtocolName
from vgg_tf.runtime import command_line, files, processes, quiet
from vgg_tf.runtime.devices import Precision, StrategyName, choose
from vgg_tf.runtime.engines import settle

PresetName = Literal["none", "paper-table3", "paper-table4", "paper-table5", "paper-table6"]


@dataclass(frozen=True)
class Flags:
    """Errors, scores and a report of one network, or of several whose posteriors are averaged;
    every image counts once.
    """

    networks: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Run folders of python -m vgg_tf.train, or files of weights (.keras, .weights.h5,
    .safetensors), or cifar10.
    """
    data: str | None = None
    """A folder of shards or of class folders, `tfds:NAME` or `digits`; the first run's own data
    by default.
    """
    labels_from: Literal[0, 1] | None = None
    """0 or 1: the first label of --data, where shards leave that open."""
    split: str = "test"
    """train, validation or test."""
    protocol: ProtocolName = "center"
    """The views of an image: the centre crop; 10 crops; 10 of the image with a mirrored border;
    50; the whole image and its flip (section 3.2); 50 crops and that.
    """
    scales: str = "one"
    """Q, the smaller side of the rescaled image in pixels: 256,384,512; `one`, the recipe's;
    `several`, the three of 4.2.
    """
    preset: PresetName = "none"
    """Test all that a table of the paper has of these networks, and print it with the paper's
    numbers beside.
    """
    batch_size: int = 0
    """Crops that go through the network at a time; 0 is by their size."""
    out: str = ""
    """Folder of the report; by default in the run's folder, or in evaluations/."""
    precision: Precision = "auto"
    """Of weights that are no run, as for vgg_tf.train. A run is in the precision of its
    training.
    """
    strategy: StrategyName = "auto"
    """Where to test, in the precision of the training; auto is the first of tpu, gpu, cpu that
    is there.
    """
    together: Annotated[processes.Hosts, tyro.conf.arg(name="")] = field(
        default_factory=processes.Hosts
    )


def main(arguments=None):
    """Compute the posteriors that are not there yet, average and score them, write the report,
    print the closing line.
    """
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.evaluate")
    if not flags.networks:
        raise ValueError(
            "No network. Give a run folder of python -m vgg_tf.train, or a file of weights."
        )
    together = flags.together.complete()
    settle(flags.strategy, several=together.processes > 1)
    quiet.quiet_tensorflow()

    from vgg_tf.evaluation import metrics
    from vgg_tf.evaluation.averaging import average_posteriors
    from vgg_tf.runs import run_folder

    run_folder.refuse_run(flags.out)
    start = time.perf_counter()
    networks, source = _open_networks(flags)
    lines = _plan_lines(networks, flags)
    together.join()
    devices = choose(flags.strategy, flags.precision)
    _agree(devices, networks, source, flags)
    print(devices.reason)

    averages = average_posteriors(lines, source, flags.split, devices, flags.batch_size)
    if devices.process:
        return
    labels = source.splits[flags.split].labels
    found = [metrics.compute_metrics(average, labels, source.classes) for average in averages]
    folder = flags.out or _choose_folder(networks, lines, source, flags)
    if flags.preset == "none":
        where = _write_report(folder, lines[0], found[0], averages[0], source, flags)
        words = f"{flags.split} {_format_errors(found[0])}"
    else:
        where = _write_table(folder, lines, found)
        words = flags.split
    print(f"{words}, n={len(labels):,}, {time.perf_counter() - start:.0f} s; {where}")


def _open_networks(flags):
    """Return the networks and the source that they are tested on, which fit each other."""
    from vgg_tf.data import opening
    from vgg_tf.evaluation import checkpoint

    networks = [checkpoint.open_checkpoint(path) for path in flags.networks]
    first = networks[0]
    if not (flags.data or first.data):
        raise ValueError(f"{first.path} does not tell what it was trained on. Give --data.")
    selections = [network.selection for network in networks]
    source = opening.open_tested(flags.split, selections, first.data, flags.data, flags.labels_from)
    for network in networks:
        network.check_classes(source.classes, source.name)
    source.count_images(flags.split)
    return networks, source


def _plan_lines(networks, flags):
    """Return `(networks, protocols, the paper's errors)` of each result."""
    from vgg_tf.evaluation import tables
    from vgg_tf.paper import protocols

    if flags.preset != "none":
        return tables.plan_rows(flags.preset, networks)
    of_each = [
        protocols.Protocol(flags.protocol, network.scales(flags.scales), network.crop)
        for network in networks
    ]
    return [(networks, of_each, None)]


def _agree(devices, networks, source, flags):
    """Raise a ValueError where another process tests something else."""
    devices.agree(
        [network.fingerprint for network in networks],
        devices.policy,
        source.fingerprint(),
        flags.split,
        flags.protocol,
        flags.scales,
        flags.preset,
    )


def _format_errors(found):
    """Errors in words."""
    (low, high), (low5, high5) = found["top1_interval"], found["top5_interval"]
    return (
        f"top-1 error {found['top1_error']:.2f} % (95 %: {low:.2f} to {high:.2f}), "
        f"top-5 {found['top5_error']:.2f} % ({low5:.2f} to {high5:.2f}), loss {found['loss']:.4f}"
    )


def _choose_folder(networks, lines, source, flags):
    """Where the report goes by default: other images or networks of the same names have another
    folder.
    """
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
    if len(networks) == 1:
        return os.path.join(networks[0].folder, "tests", f"{flags.split}{of}-{what}")
    digest = hashlib.sha256(
        "+".join(network.fingerprint for network in networks).encode()
    ).hexdigest()[:6]
    # A file system's names have 255 bytes.
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


def _write_report(folder, line, found, average, source, flags):
    from vgg_tf.evaluation import reports

    networks, of_each, _ = line
    facts = {
        "networks": ", ".join(f"{network.path} ({network.arch})" for network in networks),
        "images": f"{source.name}, {flags.split}",
        "protocol": f"{of_each[0].name}, {of_each[0].views} views an image",
        "Q, scales in pixels": "; ".join(
            dict.fromkeys(",".join(map(str, protocol.scales)) for protocol in of_each)
        ),
    }
    title = f"{' + '.join(network.name for network in networks)}: {flags.split}"
    return reports.write_report(
        folder, title, facts, found, average, source.splits[flags.split], source.classes
    )


if __name__ == "__main__":
    processes.run("vgg_tf.evaluate", main)
