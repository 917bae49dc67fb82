"""predict_pictures: the most likely classes of pictures."""

import os
import sys
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from vgg_tf.functions.keywords import Paths, list_paths, make_words, raising
from vgg_tf.functions.results import Result
from vgg_tf.paper.protocols import ProtocolName
from vgg_tf.runtime import command_line, files, quiet
from vgg_tf.runtime.devices import Precision, StrategyName, choose
from vgg_tf.runtime.engines import settle
from vgg_tf.weights.stated_input import StatedInput


@dataclass(frozen=True)
class PredictFlags:
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


@dataclass(frozen=True, repr=False)
class Predictions(Result):
    """The most likely classes of pictures.

    Attributes:
        classes: Dict from the path of a picture to its classes, a tuple of `(name, posterior)`
            from the most likely one on.
        problems: Dict from the path of a picture that cannot be read to the reason.
    """

    classes: dict[str, tuple[tuple[str, float], ...]]
    problems: dict[str, str]

    def __str__(self):
        return "\n".join([*self.list_lines(), *self.problems.values()])

    def list_lines(self):
        """Return the lines of text: a picture, and below it a line for each class."""
        lines = []
        for path, named in self.classes.items():
            lines.append(path)
            lines += [f"  {posterior:8.2%}  {name}" for name, posterior in named]
        return lines


def predict_pictures(
    network: str | os.PathLike[str] | None, pictures: Paths, **options: Any
) -> Predictions:
    """Return the most likely classes of pictures, as `python -m vgg_tf.predict` prints them.

    Args:
        network: Run folder, weight file or `"cifar10"`; an exported file is `model="net.onnx"` with
            the network None.
        pictures: Picture file, folder or pattern such as `"holiday/**/*.jpg"`, or a sequence.
        **options: The flags of the program, with underscores, such as `top=3` or
            `protocol="dense"`. See `python -m vgg_tf.predict --help`.

    Returns:
        The `Predictions`. Pictures that cannot be read are in its `problems`.

    Raises:
        TypeError: The program has no flag of this name.
        ValueError: A value cannot be meant.
        FileNotFoundError: The network or the pictures do not exist.
    """
    named = [] if network is None else [network]
    positional = [*named, *list_paths(pictures)]
    words = make_words(PredictFlags, "predict_pictures", options, positional)
    with raising("predict_pictures"):
        flags = parse_predict(words)
    return run_prediction(flags)


def parse_predict(arguments=None):
    """Return the `PredictFlags` of words; None takes the command line."""
    return command_line.parse_flags(PredictFlags, arguments, "python -m vgg_tf.predict")


def run_prediction(flags):
    """Classify the pictures.

    Args:
        flags: `PredictFlags`.

    Returns:
        The `Predictions`.

    Raises:
        ValueError: --top is below 1, or no network is given.
    """
    if flags.top < 1:
        raise ValueError(f"--top must be at least 1. Received: --top {flags.top}. Try --top 5.")
    if flags.model:
        return _predict_by_file(flags)
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
    return _name_classes(
        {paths[number]: rows[number] for number in sorted(rows)}, bad, shown, flags
    )


def _predict_by_file(flags):
    """Classify with an exported file; imports TensorFlow only if its runtime needs it."""
    from vgg_tf.formats import runtimes
    from vgg_tf.layouts.folders import find_pictures

    files.make_folder_of(flags.out)
    # With --model, the first positional word is a picture, too.
    words = ((flags.network,) if flags.network else ()) + flags.pictures
    if os.path.isdir(flags.model):
        quiet.quiet_tensorflow()
    rows, bad, classes = runtimes.classify(flags.model, find_pictures(words))
    return _name_classes(rows, bad, classes, flags)


def _name_classes(rows, problems, classes, flags):
    """Return the `Predictions` of posteriors, a row for each path."""
    from vgg_tf.evaluation.class_names import decode_predictions

    found = {}
    for path, row in rows.items():
        named = decode_predictions(row[None], classes, flags.top)[0]
        found[path] = tuple((name, float(posterior)) for name, _, posterior in named)
    return Predictions(found, problems)
