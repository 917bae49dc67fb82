"""Export a network: `python -m vgg_tf.export RUN_OR_FILE --format all`.

Each file is read back and compared with the network before it is put in place.
"""

import os
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from vgg_tf.figures.markdown import make_markdown_table
from vgg_tf.formats.calibration import choose_views
from vgg_tf.formats.round_trip import AGREEING, LIMITS, SUFFIXES, check_space, write_checked
from vgg_tf.runtime import command_line, files, programs, quiet, scopes

FormatName = Literal[
    "savedmodel", "litert", "litert-float16", "litert-int8", "onnx", "coreml", "all"
]


@dataclass(frozen=True)
class Flags:
    """Export a network to files that other programs run.

    The files take raw pixels and return probabilities. They contain the preprocessing and the class
    names.

    Attributes:
        network: Required. Run folder of python -m vgg_tf.train, a file with weights, or cifar10.
        format: Format of the file: savedmodel, litert (TensorFlow Lite, float32), litert-float16,
            litert-int8, onnx, coreml, or all of them.
        size: Input size HxW in pixels, such as 224x320. The default is the training crop. At larger
            sizes the logits are averaged over all positions.
        out: Folder of the files. The default is exports/NAME.
        pictures: Folder or pattern of real pictures for the comparison. The default is the run's
            own data, else photographs of scikit-learn. Other pictures calibrate int8: from the
            run's train split if it exists, else from this folder, else from the photographs.
        n: Number of pictures for the comparison.
    """

    network: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = ""
    format: FormatName = "all"
    size: str = ""
    out: str = ""
    pictures: str = ""
    n: int = 32


def main(arguments=None):
    """Write each format, read it back, compare it, and print a table.

    A file that differs from the network is removed, and an older file stays in place.

    Args:
        arguments: Command line without the program's name; None for `sys.argv`.

    Raises:
        ValueError: A flag is wrong, or no format was written.
    """
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.export")
    command_line.check_network(flags.network)
    size = _parse_size(flags.size)
    if flags.n < 1:
        raise ValueError(f"--n must be at least 1. Received: --n {flags.n}. Try --n 32.")
    from vgg_tf.weights.reading import check_paths  # imports numpy, which --help does not need

    check_paths([flags.network])
    formats = list(SUFFIXES) if flags.format == "all" else [flags.format]
    _take_tensorflow()

    from vgg_tf.evaluation import checkpoint
    from vgg_tf.formats import source_network

    opened = checkpoint.open_checkpoint(flags.network)
    network = source_network.prepare_network(opened, size)
    views = choose_views(flags, opened, network, "litert-int8" in formats)
    # A dot in the name of a run does not begin a suffix.
    name = opened.name if opened.run else os.path.splitext(opened.name)[0]
    folder = flags.out or os.path.join("exports", name)
    files.make_folder(folder)
    check_space(folder, network, len(formats))
    _print_plan(opened, network, views)
    rows, left = _write_formats(formats, network, os.path.join(folder, name), views, flags)
    notes = _list_notes(rows)
    report = {**network.describe(), "compared_on": views.where, "calibrated_on": views.calibrated}
    report |= {"formats": rows, "left_out": left, "notes": notes}
    files.write_json(os.path.join(folder, "export.json"), report)
    print(f"\n{_format_table(rows)}\n")
    for note in (*notes, *(f"left out: {line}" for line in left)):
        print(note)
    if not rows:
        raise ValueError(
            f"At least one format must be written. Received: {len(left)} errors, printed above. "
            "Install what they name, or choose another --format."
        )
    print(
        f"{programs.count(len(rows), 'file')} written to {folder} and read back; largest "
        "difference of a log "
        f"probability in float32: {_format_largest(rows)}"
    )


def _print_plan(opened, network, views):
    layers, _ = network.contents()
    print(
        f"{opened.path}: {network.arch}, {layers} layers with weights, {network.height} x "
        f"{network.width} pixels"
    )
    print(f"  comparison: {len(views.pixels)} views of {views.where}")
    if views.calibrated:
        print(f"  calibration of int8: {views.calibrated}")


def _write_formats(formats, network, stem, views, flags):
    """Write the formats that can be written.

    Args:
        formats: Names of the formats.
        network: A `source_network.Network`.
        stem: Path of the files without their suffix.
        views: `calibration.Views`.
        flags: `Flags`.

    Returns:
        rows: Rows of the report, one for each file.
        left: Formats that were skipped, with the reason, as text; only for `--format all`.

    Raises:
        ModuleNotFoundError: A package is missing for the format of --format.
        ValueError: The format of --format cannot be written, or its file differs from the network.
    """
    rows, left, known = [], [], network.contents()
    for kind in formats:
        path = stem + SUFFIXES[kind]
        try:
            found = write_checked(kind, network, path, views.learnt, views.pixels, *known)
        except (ModuleNotFoundError, ValueError) as error:
            if flags.format != "all" or not _may_lack(error, kind, network):
                raise
            left.append(f"{kind}: {error}")
            continue
        rows.append({"format": kind, "file": path, **found})
        print(f"  {kind}: {found['bytes'] / 1e6:.1f} MB, {found['ms_an_image']:.2f} ms per image")
    return rows, left


def _list_notes(rows):
    """Return notes about the files for the user, as sentences."""
    notes = [
        f"{row['format']} predicts another class than the network on "
        f"{1 - row['top1_agreement']:.0%} of the views. Calibrate and compare it on pictures like "
        "those of its training (--pictures FOLDER), or use float16."
        for row in rows
        if row["top1_agreement"] < AGREEING
    ]
    if any(row["format"] == "coreml" for row in rows):
        from vgg_tf.formats.coreml import UNCHECKED

        notes.append(UNCHECKED)
    return notes


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


def _may_lack(error, kind, network):
    """Return whether `--format all` skips a format after an error.

    It does if a package is missing, or if LiteRT has no operation for local response normalization.

    Args:
        error: The exception.
        kind: Name of the format.
        network: A `source_network.Network`.

    Returns:
        bool.
    """
    return isinstance(error, ModuleNotFoundError) or (
        kind.startswith("litert") and "lrn" in network.arch
    )


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


def _format_table(rows):
    header = ["format", "MB", "ms per image", "top-1 agreement"]
    cells = [
        [
            row["format"],
            f"{row['bytes'] / 1e6:.2f}",
            f"{row['ms_an_image']:.2f}",
            f"{row['top1_agreement']:.1%}",
            f"{row['log_posterior']:.2g}",
            f"{row['posterior']:.2g}",
        ]
        for row in rows
    ]
    header += ["largest difference of a log probability", "of a probability"]
    return make_markdown_table(header, cells)


def _format_largest(rows):
    known = [row["log_posterior"] for row in rows if row["format"] not in LIMITS]
    return f"{max(known):.2g}" if known else "not compared"


if __name__ == "__main__":
    programs.run(main)
