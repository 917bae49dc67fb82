"""export.json: the exported files of a folder, kept up over several exports."""

import math
import os

from vgg_tf.figures.markdown import make_markdown_table
from vgg_tf.formats.round_trip import AGREEING, LIMITS, SUFFIXES
from vgg_tf.runtime import files, programs, schemas
from vgg_tf.runtime.schemas import Fields, Many, Number, Text

NAME = "export.json"
# What identifies the network of a file. A later export may be of another one.
OWN = ("name", "architecture", "height", "width", "scale", "weights")
_MEASURED = Number(0, 1e12, whole=False)
_ROW = Fields(
    {
        **dict.fromkeys(("format", "file"), Text()),
        "bytes": Number(0, 2**50),
        "ms_an_image": _MEASURED,
        "top1_agreement": Number(0, 1, whole=False),
        # Infinite if only one of the two probabilities is 0.
        "log_posterior": Number(0, math.inf, whole=False),
        "posterior": Number(0, 1, whole=False),
    },
    {"network": Fields({})},
)
_SCHEMA = Fields({"formats": Many(_ROW, 1000)}, {"left_out": Many(Text(), 1000)})
_REMEDY = "Remove it, or choose another --out."


def read_report(folder):
    """Return the report of earlier exports into a folder.

    Args:
        folder: Path of the folder.

    Returns:
        dict of the report; empty if there is none.

    Raises:
        ValueError: The file is not from an export. The message names it.
    """
    path = os.path.join(folder, NAME)
    if not files.exists(path):
        return {}
    return schemas.read(path, _SCHEMA, "from python -m vgg_tf.export", _REMEDY)


def update_report(folder, facts, rows, left):
    """Add the files of an export to the report of a folder, and write it, whole.

    Entries of other files stay. Entries of files that no longer exist are dropped.

    Args:
        folder: Path of the folder.
        facts: dict about this export: the network, as `Network.describe` returns it,
            `compared_on` and `calibrated_on`.
        rows: Entries of the files of this export: dicts with `format` and `file`.
        left: Dict from a format that was left out to the reason.

    Returns:
        dict of notes about earlier exports: `gone` about entries that were dropped, if any, and
        `other` about files of another network, else an empty text.

    Raises:
        ValueError: The earlier report is not from an export.
    """
    earlier = read_report(folder)
    own = {key: facts[key] for key in OWN}
    more = {key: facts[key] for key in ("compared_on", "calibrated_on")}
    fresh = [{**row, **more, "network": own} for row in rows]
    kept, gone = _split_earlier(folder, earlier, {os.path.basename(row["file"]) for row in rows})
    order = list(SUFFIXES)
    formats = sorted(
        fresh + kept,
        key=lambda row: order.index(row["format"]) if row["format"] in order else len(order),
    )
    done = {row["format"] for row in fresh} | left.keys()
    lines = [
        line for line in earlier.get("left_out", ()) if str(line).partition(":")[0] not in done
    ]
    names = [os.path.basename(row["file"]) for row in kept if row["network"] != own]
    other = (
        f"{programs.format_names(names)}: from an earlier export, of another network or size. See "
        f"`network` in {'its entry' if len(names) == 1 else 'their entries'}."
    ) * bool(names)
    report = {
        **facts,
        "formats": formats,
        "left_out": [*lines, *(f"{kind}: {reason}" for kind, reason in left.items())],
        "notes": [*list_notes(formats), *filter(None, [other])],
    }
    files.write_json(os.path.join(folder, NAME), report)
    if not gone:
        return {"other": other}
    exist = "exists" if len(gone) == 1 else "exist"
    names = programs.format_names(gone)
    return {
        "other": other,
        "gone": f"{os.path.join(folder, NAME)}: dropped {names}, which no longer {exist}.",
    }


def _split_earlier(folder, earlier, written):
    """Return the entries of earlier exports that stay, and the names of files that are gone.

    The first versions wrote no `network` into an entry: all were of the network of the report.
    """
    kept, gone = [], []
    for row in earlier.get("formats", ()):
        name = os.path.basename(row["file"].rstrip("/"))
        path = os.path.join(folder, name)  # the folder may have been moved
        if name in written:
            continue
        if not files.exists(path):
            gone.append(name)
            continue
        old = {key: earlier.get(key) for key in OWN}
        kept.append({**row, "file": path, "network": row.get("network", old)})
    return kept, gone


def list_notes(rows):
    """Return notes for the user about the entries of exported files, as sentences."""
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


def format_table(rows):
    """Return a table in Markdown of the entries of exported files."""
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


def format_largest(rows):
    """Return the largest difference of a log probability of the float32 files, as text."""
    known = [row["log_posterior"] for row in rows if row["format"] not in LIMITS]
    return f"{max(known):.2g}" if known else "not compared"
