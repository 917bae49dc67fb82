"""Classify pictures: `python -m vgg_tf.predict RUN PICTURE_OR_FOLDER_OR_GLOB ...`."""

import csv
import io
import json
import os
import sys
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from vgg_tf.paper.protocols import ProtocolName
from vgg_tf.runtime import command_line, files, programs, quiet
from vgg_tf.runtime.devices import Precision, StrategyName, choose
from vgg_tf.runtime.engines import settle
from vgg_tf.weights.stated_input import StatedInput


@dataclass(frozen=True)
class Flags:
    """Print the most likely classes of pictures.

    Attributes:
        network: Run folder of python -m vgg_tf.train, weight
            file (.keras, .weights.h5, .safetensors), or cifar10.
        pictures: Picture files, folders (with all folders in them), or patterns such
            as 'holiday/**/*.jpg'.
        model: Exported file to run instead of a network: .onnx, .tflite, .mlpackage or the folder
            of a SavedModel. It sees the center crop.
        top: Number of classes to print for each picture.
        protocol: Views of each picture: center (the center crop), ten-crop (four corners and the
            center, also flipped), padded-ten-crop (the same with a mirrored border), multi-crop (a
            grid of 25 crops, also flipped), dense (the whole picture and its flip, as in
            section 3.2), or multi-crop+dense (both, averaged).
        scales: Smaller side of the rescaled picture (Q in the paper), in pixels, such as 256
            or 256,384,512. The value one is the test scale of the recipe, and several is the three
            scales of section 4.2.
        format: Output format: text, csv or json.
        out: Output file; the default is the terminal.
        classes: Class names for weights that do not contain them: a run or shard folder, or a text
            file with one name per line.
        batch_size: Crops per batch; 0 chooses it from the size of the crops.
        precision: Precision of weight files, as for vgg_tf.train. A run always has the precision
            of its training.
        strategy: Device: auto is the first of tpu, gpu and cpu that is available.
        stated: The input of a weight file.
    """

    network: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = ""
    pictures: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PICTURES")
    ] = ()
    model: str = ""
    top: int = 5
    protocol: ProtocolName = "center"
    scales: str = "one"
    format: Literal["text", "csv", "json"] = "text"
    out: str = ""
    classes: str = ""
    batch_size: int = 0
    precision: Precision = "auto"
    strategy: StrategyName = "auto"
    stated: Annotated[StatedInput, tyro.conf.arg(name="")] = field(default_factory=StatedInput)


def main(arguments=None):
    """Classify the pictures and write the classes.

    Pictures that cannot be read are listed at the end, with exit code 1.

    Args:
        arguments: list of words; None takes the command line.

    Raises:
        ValueError: --top is below 1, or no network is given.
    """
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.predict")
    if flags.top < 1:
        raise ValueError(f"--top must be at least 1. Received: --top {flags.top}. Try --top 5.")
    if flags.model:
        _by_model(flags)
        return
    command_line.check_network(flags.network)
    from vgg_tf.weights.reading import check_paths

    check_paths([flags.network])
    settle(flags.strategy)
    files.make_folder_of(flags.out)
    from vgg_tf.layouts.folders import find_pictures  # imports NumPy, which --help does not need

    paths = find_pictures(flags.pictures)
    quiet.quiet_tensorflow()

    import numpy as np

    from vgg_tf.evaluation.checkpoint import open_checkpoint
    from vgg_tf.evaluation.class_names import describe_classes, read_classes
    from vgg_tf.evaluation.image_reader import ImageReader
    from vgg_tf.evaluation.posteriors import compute_rows
    from vgg_tf.paper import protocols
    from vgg_tf.records.splits import Split

    network = open_checkpoint(flags.network, stated=flags.stated)
    shown = describe_classes(*read_classes(network, flags.classes))
    scales = network.scales(flags.scales)
    protocol = protocols.Protocol(flags.protocol, scales, network.crop, network.flip)
    devices = choose(flags.strategy, flags.precision)
    print(devices.reason, file=sys.stderr)
    images = Split(paths, np.zeros(len(paths), np.int64), paths)
    rows, reader = {}, ImageReader(images, network.least)
    for number, units in compute_rows(
        network, reader, range(len(paths)), protocol.units, devices, flags.batch_size
    ):
        rows[number] = units.mean(0)
    bad = {paths[number]: problem for number, problem in sorted(reader.problems.items())}
    _say(flags, {paths[number]: rows[number] for number in sorted(rows)}, bad, shown)


def _by_model(flags):
    """Classify with an exported file; imports TensorFlow only if its runtime needs it."""
    from vgg_tf.formats import runtimes
    from vgg_tf.layouts.folders import find_pictures

    files.make_folder_of(flags.out)
    # With --model, the first positional word is a picture, too.
    words = ((flags.network,) if flags.network else ()) + flags.pictures
    if os.path.isdir(flags.model):
        quiet.quiet_tensorflow()
    rows, bad, classes = runtimes.classify(flags.model, find_pictures(words))
    _say(flags, rows, bad, classes)


def _say(flags, rows, bad, classes):
    """Write the classes; list the pictures that could not be read, with exit code 1."""
    from vgg_tf.evaluation.class_names import decode_predictions

    found = {}
    for path, row in rows.items():
        named = decode_predictions(row[None], classes, flags.top)[0]
        found[path] = [(name, posterior) for name, _, posterior in named]
    text = _FORMATS[flags.format](found, bad)
    if flags.out:
        files.write_whole(flags.out, text.encode("utf-8", "surrogateescape"))
        print(f"{programs.count(len(found), 'picture')}; {flags.out}")
    else:
        # File names may not be valid UTF-8.
        sys.stdout.write(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    if bad:
        listed = "\n  ".join(bad.values())
        sys.exit(
            f"error: {len(bad)} of {programs.count(len(found) + len(bad), 'picture')} could not be "
            f"read:\n  {listed}"
        )


def _as_text(found, bad):
    lines = []
    for path, named in found.items():
        lines.append(path)
        lines += [f"  {posterior:8.2%}  {name}" for name, posterior in named]
    return "".join(f"{line}\n" for line in lines)


def _as_csv(found, bad):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "rank", "class", "posterior", "error"])
    for path, named in found.items():
        writer.writerows(
            [path, i, name, f"{posterior:.6g}", ""] for i, (name, posterior) in enumerate(named, 1)
        )
    writer.writerows([path, "", "", "", problem] for path, problem in bad.items())
    return text.getvalue()


def _as_json(found, bad):
    rows = [
        {
            "file": path,
            "classes": [{"class": name, "posterior": posterior} for name, posterior in named],
        }
        for path, named in found.items()
    ]
    return (
        json.dumps(
            [*rows, *({"file": path, "error": problem} for path, problem in bad.items())], indent=1
        )
        + "\n"
    )


_FORMATS = {"text": _as_text, "csv": _as_csv, "json": _as_json}


if __name__ == "__main__":
    programs.run(main)
