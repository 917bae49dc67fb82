"""Name what is in pictures: `python -m vgg_tf.predict RUN PICTURE_OR_FOLDER_OR_GLOB ...`."""

import csv
import io
import json
import os
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import tyro

from vgg_tf.data.folders import find_pictures
from vgg_tf.paper.protocols import ProtocolName
from vgg_tf.runtime import command_line, files, programs, quiet
from vgg_tf.runtime.devices import Precision, StrategyName, choose
from vgg_tf.runtime.engines import settle


@dataclass(frozen=True)
class Flags:
    """The most likely classes of pictures."""

    network: Annotated[str, tyro.conf.Positional] = ""
    """Run folder of python -m vgg_tf.train, or a file of weights (.keras, .weights.h5,
    .safetensors), or cifar10.
    """
    pictures: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Files, folders (with all below them), or patterns such as 'holiday/**/*.jpg'."""
    model: str = ""
    """In place of a network: an exported file, .onnx, .tflite, .mlpackage or the folder of a
    SavedModel; its centre crop.
    """
    top: int = 5
    """How many classes of each picture."""
    protocol: ProtocolName = "center"
    """The views of a picture: the centre crop; 10 crops; 10 of the picture with a mirrored
    border; 50; the whole picture and its flip; 50 crops and that.
    """
    scales: str = "one"
    """Q, the smaller side of the rescaled picture in pixels: 256,384,512; `one`, the recipe's;
    `several`, the three of 4.2.
    """
    format: Literal["text", "csv", "json"] = "text"
    """How to write them."""
    out: str = ""
    """A file to write them to, instead of the screen."""
    classes: str = ""
    """Of weights that do not name their classes: a run or shard folder that does, or a file of
    one name a line.
    """
    batch_size: int = 0
    """Crops that go through the network at a time; 0 is by their size."""
    precision: Precision = "auto"
    """Of weights that are no run, as for vgg_tf.train. A run is in the precision of its
    training.
    """
    strategy: StrategyName = "auto"
    """Where to compute; auto is the first of tpu, gpu, cpu that is there."""


def main(arguments=None):
    """Find the pictures, predict, write; list those that cannot be read, exit code 1 if there
    are any.
    """
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.predict")
    if flags.top < 1:
        raise ValueError(f"--top is at least 1. Received: {flags.top}.")
    if flags.model:
        _by_model(flags)
        return
    settle(flags.strategy)
    files.make_folder_of(flags.out)
    paths = find_pictures(flags.pictures)
    quiet.quiet_tensorflow()

    from vgg_tf.evaluation.checkpoint import open_checkpoint
    from vgg_tf.evaluation.image_reader import ImageReader
    from vgg_tf.evaluation.posteriors import compute_rows
    from vgg_tf.paper import protocols
    from vgg_tf.records.splits import Split

    network = open_checkpoint(flags.network)
    classes, texts = _classes(flags, network)
    protocol = protocols.Protocol(flags.protocol, network.scales(flags.scales), network.crop)
    devices = choose(flags.strategy, flags.precision)
    print(devices.reason, file=sys.stderr)
    images = Split(paths, np.zeros(len(paths), np.int64), paths)
    rows, reader = {}, ImageReader(images, network.least)
    for number, units in compute_rows(
        network, reader, range(len(paths)), protocol.units, devices, flags.batch_size
    ):
        rows[number] = units.mean(0)
    bad = {paths[number]: problem for number, problem in sorted(reader.problems.items())}
    _say(flags, {paths[number]: rows[number] for number in sorted(rows)}, bad, classes, texts)


def _by_model(flags):
    """Predict by an exported file; no TensorFlow where its runtime needs none."""
    from vgg_tf.formats import runtimes

    files.make_folder_of(flags.out)
    # The first word is a picture, too.
    words = ((flags.network,) if flags.network else ()) + flags.pictures
    if os.path.isdir(flags.model):
        quiet.quiet_tensorflow()
    rows, bad, classes = runtimes.classify(flags.model, find_pictures(words))
    _say(flags, rows, bad, classes, {})


def _say(flags, rows, bad, classes, texts):
    """Write what was found; list what could not be read, exit code 1."""
    from vgg_tf.evaluation.class_names import decode_predictions

    found = {}
    for path, row in rows.items():
        named = decode_predictions(row[np.newaxis], classes, flags.top)[0]
        found[path] = [(texts.get(name, name), posterior) for name, _, posterior in named]
    text = _FORMATS[flags.format](found, bad)
    if flags.out:
        files.write_whole(flags.out, text.encode("utf-8", "surrogateescape"))
        print(f"{len(found):,} pictures; {flags.out}")
    else:
        # Names that are no UTF-8.
        sys.stdout.write(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    if bad:
        listed = "\n  ".join(bad.values())
        sys.exit(
            f"error: {len(bad)} of {len(found) + len(bad)} pictures could not be read:\n  {listed}"
        )


def _classes(flags, network):
    """Names of the classes, and `{name: text}` for those that have one."""
    from vgg_tf.records.collection import Collection

    if network.classes and flags.classes:
        raise ValueError(f"{network.path} names its classes. Leave --classes away.")
    if network.classes:
        return network.classes, dict(zip(network.classes, network.texts, strict=False))
    if not flags.classes:
        return [f"class {i}" for i in range(network.number)], {}
    if files.is_folder(flags.classes):
        collection = Collection.read(flags.classes)
        classes, texts = collection.classes, collection.texts
    else:
        classes, texts = files.read_text(flags.classes).splitlines(), ()
    network.check_classes(classes, flags.classes)
    return classes, dict(zip(classes, texts, strict=False))


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
