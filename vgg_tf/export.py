"""Export a network: `python -m vgg_tf.export RUN_OR_FILE --format all`.

Each file is read back and compared with the network before it is put in place.
"""

import os
import sys
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vgg_tf.formats import listing
from vgg_tf.formats.round_trip import SUFFIXES, check_space, write_checked
from vgg_tf.runtime import command_line, files, programs, quiet, scopes
from vgg_tf.weights import hub_client
from vgg_tf.weights.stated_input import StatedInput


@dataclass(frozen=True)
class Flags:
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


def main(arguments=None):
    """Write each format, read it back, compare it, and print a table.

    A file that differs from the network is removed, and an older file stays in place.

    Args:
        arguments: Command line without the program's name; None for `sys.argv`.

    Raises:
        ValueError: A flag is wrong, or no format was written.
    """
    hint = {"format": "(default: all)"}
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.export", hint=hint)
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
    if formats:
        _export(opened, formats, size, os.path.join(folder, name), flags)
    if flags.card or flags.push:
        _describe(opened, folder, flags)


def _export(opened, formats, size, stem, flags):
    """Write files of a network, and print how they differ from it.

    Args:
        opened: A `checkpoint.Checkpoint`.
        formats: Names of the formats.
        size: `(height, width)` in pixels, or None.
        stem: Path of the files without their suffix.
        flags: `Flags`.
    """
    from vgg_tf.formats import calibration, source_network

    network = source_network.prepare_network(opened, size)
    folder = os.path.dirname(stem)
    views = calibration.choose_views(flags, opened, network, "litert-int8" in formats)
    files.make_folder(folder)
    check_space(folder, network, len(formats))
    _print_plan(opened, network, views)
    rows = _write_formats(formats, network, stem, views, flags)
    print(
        f"{programs.count(len(rows), 'file')} written to {folder} and read back; largest "
        "difference of a log "
        f"probability in float32: {listing.format_largest(rows)}"
    )


def _describe(opened, folder, flags):
    """Write the card of a network, and upload its folder if that is asked for."""
    from vgg_tf.formats import card, pushing

    files.make_folder(folder)
    path = os.path.join(folder, card.NAME)
    if flags.card or not files.exists(path):
        card.write_card(opened, folder, flags.push)
        print(f"model card: {path}. Fill in its license.")
    if flags.push:
        pushing.copy_network(opened, folder)
        url, revision = pushing.push(folder, flags.push, flags.private)
        print(f"uploaded {folder} to {url}, commit {revision}")


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
    """Write the formats that can be written, and print a table.

    export.json is updated after each file, so that an error does not lose the others.

    Args:
        formats: Names of the formats.
        network: A `source_network.Network`.
        stem: Path of the files without their suffix.
        views: `calibration.Views`.
        flags: `Flags`.

    Returns:
        Rows of the report, one for each file.

    Raises:
        ModuleNotFoundError: A package is missing for a format that --format names.
        ValueError: A format that --format names cannot be written, or its file differs from the
            network; or no format was written.
    """
    rows, left, known, notes = [], {}, network.contents(), {}
    facts = {"compared_on": views.where, "calibrated_on": views.calibrated}
    facts = {**network.describe(), **facts}
    for kind in formats:
        path = stem + SUFFIXES[kind]
        try:
            found = write_checked(kind, network, path, views.learnt, views.pixels, *known)
        except (ModuleNotFoundError, ValueError) as error:
            if "all" not in (flags.format or "all") or not _may_lack(error, kind, network):
                raise
            left[kind] = error
        else:
            rows.append({"format": kind, "file": path, **found})
            times = f"{found['bytes'] / 1e6:.1f} MB, {found['ms_an_image']:.2f} ms per image"
            print(f"  {kind}: {times}")
        notes |= listing.update_report(os.path.dirname(stem), facts, rows, left)
    print(f"\n{listing.format_table(rows)}\n")
    lines = [f"left out: {kind}: {error}" for kind, error in left.items()]
    for note in filter(None, (*listing.list_notes(rows), *notes.values(), *lines)):
        print(note)
    if not rows:
        raise ValueError(
            f"At least one format must be written. Received: {len(left)} errors, printed above. "
            "Install what they name, or choose another --format."
        )
    return rows


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


if __name__ == "__main__":
    programs.run(main)
