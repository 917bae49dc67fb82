"""Ship a network: `python -m vgg_tf.export RUN_OR_FILE --format all`, each file read back before
it counts.
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
    """A network in files that other programs run: raw pixels in, posteriors out, preprocessing
    and names of classes inside.
    """

    network: Annotated[str, tyro.conf.Positional]
    """Run folder of python -m vgg_tf.train, a file of weights, or cifar10."""
    format: FormatName = "all"
    """savedmodel; litert (TensorFlow Lite), of float32, float16 or int8 weights; onnx; coreml;
    or all of them.
    """
    size: str = ""
    """HxW in pixels, such as 224x320; the training's crop by default. Larger than that: scores
    averaged over all positions.
    """
    out: str = ""
    """Folder of the files; exports/<name> by default."""
    pictures: str = ""
    """Real pictures to compare on: a folder or pattern; by default the run's own data, else
    photographs of scikit-learn. Others calibrate int8: of the run's train split where that is
    there, else of these, else of those photographs.
    """
    n: int = 32
    """How many are compared."""


def main(arguments=None):
    """Write each format, read it back, compare, print the table; what differs is not kept, and
    what was there before stays.
    """
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.export")
    size = _parse_size(flags.size)
    if flags.n < 1:
        raise ValueError(f"--n is at least 1. Received: {flags.n}.")
    from vgg_tf.weights.reading import check_paths  # brings numpy, which --help does without

    check_paths([flags.network])
    formats = list(SUFFIXES) if flags.format == "all" else [flags.format]
    _take_tensorflow()

    from vgg_tf.evaluation import checkpoint
    from vgg_tf.formats import source_network

    opened = checkpoint.open_checkpoint(flags.network)
    network = source_network.prepare_network(opened, size)
    views = choose_views(flags, opened, network, "litert-int8" in formats)
    # The dots of a run are no suffix.
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
        raise ValueError("No format could be written.")
    print(
        f"{len(rows)} files read back, largest difference of a log posterior in float32 "
        f"{_format_largest(rows)}; {folder}"
    )


def _print_plan(opened, network, views):
    layers, _ = network.contents()
    print(
        f"{opened.path}: {network.arch}, {layers} layers with weights, {network.height} x "
        f"{network.width} pixels; compared on {len(views.pixels)} views of {views.where}"
    )
    if views.calibrated:
        print(f"  int8 is calibrated on {views.calibrated}")


def _write_formats(formats, network, stem, views, flags):
    """Write the formats that can be written.

    Returns:
        rows: of the report, one for each file.
        left: what was left out, in words; only for `--format all`.
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
        print(f"  {kind}: {found['bytes'] / 1e6:.1f} MB, {found['ms_an_image']:.2f} ms an image")
    return rows, left


def _list_notes(rows):
    """Return what the user must know about the files, in sentences."""
    notes = [
        f"{row['format']} names another class than the network on "
        f"{1 - row['top1_agreement']:.0%} of the views: calibrate and compare it on "
        "pictures of the kind that it was trained on (--pictures FOLDER), or ship float16."
        for row in rows
        if row["top1_agreement"] < AGREEING
    ]
    if any(row["format"] == "coreml" for row in rows):
        from vgg_tf.formats.coreml import UNCHECKED

        notes.append(UNCHECKED)
    return notes


def _parse_size(words):
    """`(height, width)`, or None for the crop's."""
    if not words:
        return None
    sides = words.lower().split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise ValueError(f"--size is HxW in pixels, such as 224x320. Received: {words!r}.")
    return int(sides[0]), int(sides[1])


def _may_lack(error, kind, network):
    """Whether `all` goes on without a format: its package is missing, or it cannot carry a
    layer.
    """
    return isinstance(error, ModuleNotFoundError) or (
        kind.startswith("litert") and "lrn" in network.arch
    )


def _take_tensorflow():
    """Import Keras on TensorFlow, by whose graphs files are written, whatever the training runs on.

    Raises:
        ValueError: it was imported on another engine.
    """
    if "keras" not in sys.modules:
        with scopes.set_environment(KERAS_BACKEND="tensorflow"):
            quiet.quiet_tensorflow()
            import keras  # noqa: F401
    elif (engine := sys.modules["keras"].config.backend()) != "tensorflow":
        raise ValueError(
            f"Files are written by TensorFlow, but Keras was imported on {engine}. Export in a "
            "process of its own: python -m vgg_tf.export."
        )


def _format_table(rows):
    header = ["format", "MB", "ms an image", "top-1 agreement"]
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
    header += ["largest difference of a log posterior", "of a posterior"]
    return make_markdown_table(header, cells)


def _format_largest(rows):
    known = [row["log_posterior"] for row in rows if row["format"] not in LIMITS]
    return f"{max(known):.2g}" if known else "not compared"


if __name__ == "__main__":
    programs.run(main)
