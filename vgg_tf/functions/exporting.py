"""export_network: files that other programs run, each compared with the network."""

import os
import sys
from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from vgg_tf.formats import listing
from vgg_tf.formats.round_trip import SUFFIXES
from vgg_tf.functions.export_files import write_files
from vgg_tf.functions.keywords import make_words, raising
from vgg_tf.functions.results import Result
from vgg_tf.runtime import command_line, files, programs, quiet, scopes
from vgg_tf.weights import hub_client
from vgg_tf.weights.stated_input import StatedInput


@dataclass(frozen=True)
class ExportFlags:
    """Export a network to files that other programs run.

    The files take raw pixels and return probabilities. They contain the preprocessing and the class
    names.

    Attributes:
        network: Required. Run folder of python -m vgg_tf.train, a file with weights, or cifar10.
        format: Formats of the files, separated by commas: savedmodel, litert (TensorFlow Lite,
            float32), litert-float16, litert-int8, onnx, coreml, or all of them.
        size: Input size HxW in pixels, such as 224x320. The default is the training crop. At larger
            sizes the logits are averaged over all positions.
        out: Folder of the files. The default is exports/NAME.
        pictures: Folder or pattern of real pictures for the comparison. The default is the run's
            own data, else photographs of scikit-learn. Other pictures calibrate int8: from the
            run's train split if it exists, else from this folder, else from the photographs.
        n: Number of pictures for the comparison.
        card: Write a model card, README.md, into the folder of the files. The default of --format
            is then no file.
        push: Repository OWNER/NAME of the Hugging Face Hub, to which the card, the exported files
            and the network are uploaded. The default of --format is then no file.
        private: Make the repository private if it is new.
        stated: The input of a weight file.
    """

    network: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = ""
    format: str = ""
    size: str = ""
    out: str = ""
    pictures: str = ""
    n: int = 32
    card: bool = False
    push: str = ""
    private: bool = False
    stated: Annotated[StatedInput, tyro.conf.arg(name="")] = field(default_factory=StatedInput)


@dataclass(frozen=True, repr=False)
class Export(Result):
    """The files of an export.

    Attributes:
        folder: Their folder.
        files: Rows of export.json, a dict for each file that was written: format, file, bytes,
            differences from the network.
        card: Path of the model card; empty without one.
        url: Address of the repository on the Hugging Face Hub; empty without an upload.
    """

    folder: str
    files: tuple[dict, ...]
    card: str = ""
    url: str = ""

    def __str__(self):
        if not self.files:
            return " ".join(filter(None, (self.card, self.url)))
        return (
            f"{programs.count(len(self.files), 'file')} written to {self.folder} and read back; "
            "largest difference of a log probability in float32: "
            f"{listing.format_largest(self.files)}"
        )


def export_network(network: str | os.PathLike[str], **options: Any) -> Export:
    """Export a network to files that other programs run, as `python -m vgg_tf.export` does.

    Args:
        network: Run folder, weight file or `"cifar10"`.
        **options: The flags of the program, with underscores, such as `format="onnx,litert"`,
            `out="files"` or `card=True`. See `python -m vgg_tf.export --help`.

    Returns:
        The `Export`.

    Raises:
        TypeError: The program has no flag of this name.
        ValueError: A value cannot be meant, or a file differs from the network.
        FileNotFoundError: The network does not exist.
        ModuleNotFoundError: A package is missing for a format.
    """
    words = make_words(ExportFlags, "export_network", options, network)
    with raising("export_network"):
        flags = parse_export(words)
    return run_export(flags)


def parse_export(arguments=None):
    """Return the `ExportFlags` of words; None takes the command line."""
    hint = {"format": "(default: all)"}
    return command_line.parse_flags(ExportFlags, arguments, "python -m vgg_tf.export", hint=hint)


def run_export(flags):
    """Write each format, read it back, compare it, and print a table.

    A file that differs from the network is removed, and an older file stays in place.

    Args:
        flags: `ExportFlags`.

    Returns:
        The `Export`.

    Raises:
        ValueError: A flag is wrong, or no format was written.
    """
    command_line.check_network(flags.network)
    wanted = flags.format or ("" if flags.card or flags.push else "all")
    formats = _parse_formats(wanted) if wanted else []
    size = _parse_size(flags.size)
    if flags.n < 1:
        raise ValueError(f"--n must be at least 1. Received: --n {flags.n}. Try --n 32.")
    if flags.push:
        hub_client.check_push_name(flags.push)
        hub_client.import_client()
    from vgg_tf.weights.reading import check_paths  # imports numpy, which --help does not need

    check_paths([flags.network])
    _take_tensorflow()

    from vgg_tf.evaluation import checkpoint

    opened = checkpoint.open_checkpoint(flags.network, stated=flags.stated)
    # A dot in the name of a run does not begin a suffix.
    name = opened.name if opened.run else os.path.splitext(opened.name)[0]
    folder = flags.out or os.path.join("exports", name)
    listing.read_report(folder)  # refuses the file of another program before the work
    rows = write_files(opened, formats, size, os.path.join(folder, name), flags) if formats else []
    card, url = _describe(opened, folder, flags) if flags.card or flags.push else ("", "")
    return Export(folder, tuple(rows), card, url)


def _describe(opened, folder, flags):
    """Write the card of a network, and upload its folder if asked; return path and address."""
    from vgg_tf.formats import card, pushing

    files.make_folder(folder)
    path = os.path.join(folder, card.NAME)
    if flags.card or not files.exists(path):
        card.write_card(opened, folder, flags.push)
        print(f"model card: {path}. Fill in its license.")
    if not flags.push:
        return path, ""
    pushing.copy_network(opened, folder)
    url, revision = pushing.push(folder, flags.push, flags.private)
    print(f"uploaded {folder} to {url}, commit {revision}")
    return path, url


def _parse_formats(words):
    """Return the names of the formats that a --format means, in the order of the report.

    Args:
        words: Names separated by commas, or `all`.

    Returns:
        List of str.

    Raises:
        ValueError: A name is unknown. The message lists these and the known ones.
    """
    names = [word.strip() for word in words.lower().split(",") if word.strip()]
    unknown = [name for name in names if name not in (*SUFFIXES, "all")]
    if unknown or not names:
        raise ValueError(
            f"--format must be names separated by commas: {', '.join(SUFFIXES)}, or all. Received: "
            f"--format {words!r}{', unknown: ' * bool(unknown)}{', '.join(unknown)}. Try --format "
            "onnx,litert."
        )
    return [name for name in SUFFIXES if "all" in names or name in names]


def _parse_size(words):
    """Return `(height, width)` of a --size, or None for the training crop.

    Args:
        words: Text such as `224x320`; empty for the training crop.

    Returns:
        Tuple of two int, or None.

    Raises:
        ValueError: The text is not HxW.
    """
    if not words:
        return None
    sides = words.lower().split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise ValueError(
            f"--size must be HxW in pixels. Received: --size {words}. Try --size 224x320."
        )
    return int(sides[0]), int(sides[1])


def _take_tensorflow():
    """Import Keras on TensorFlow, which writes the files, even if the training runs on JAX.

    Raises:
        ValueError: Keras was imported on another engine.
    """
    if "keras" not in sys.modules:
        with scopes.set_environment(KERAS_BACKEND="tensorflow"):
            quiet.quiet_tensorflow()
            import keras  # noqa: F401
    elif (engine := sys.modules["keras"].config.backend()) != "tensorflow":
        raise ValueError(
            f"The export needs Keras on TensorFlow. Received: Keras was imported on {engine}. "
            "Export in a separate process: python -m vgg_tf.export."
        )
