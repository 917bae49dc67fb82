"""Writes the formats of an export, one after the other, and keeps those that were written."""

import os

from vgg_tf.formats import listing
from vgg_tf.formats.round_trip import SUFFIXES, check_space, write_checked
from vgg_tf.runtime import files


def write_files(opened, formats, size, stem, flags):
    """Write the files of a network in several formats, and print a table.

    Args:
        opened: A `checkpoint.Checkpoint`.
        formats: Names of the formats.
        size: `(height, width)` in pixels, or None.
        stem: Path of the files without their suffix.
        flags: `exporting.ExportFlags`.

    Returns:
        List of rows of the report, one dict for each file.
    """
    from vgg_tf.formats import calibration, source_network

    network = source_network.prepare_network(opened, size)
    folder = os.path.dirname(stem)
    views = calibration.choose_views(flags, opened, network, "litert-int8" in formats)
    files.make_folder(folder)
    check_space(folder, network, len(formats))
    _print_plan(opened, network, views)
    rows = _write_formats(formats, network, stem, views, flags)
    return rows


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
        flags: `exporting.ExportFlags`.

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
