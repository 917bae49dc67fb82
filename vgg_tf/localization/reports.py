"""What is left of a test of boxes: tables in the form of the paper's, JSON, a sheet of pictures."""

import hashlib
import json
import os

import numpy as np

from vgg_tf.figures.drawing import save
from vgg_tf.figures.sheets import draw_contact_sheet
from vgg_tf.images import decoding
from vgg_tf.localization import tables
from vgg_tf.records import annotations
from vgg_tf.runtime import files, programs

DRAWN = 12  # pictures of the sheet


def choose_folder(run, split, facts):
    """Where a report lies by default: below the run, another folder for other facts."""
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]
    return os.path.join(
        run, "tests", f"boxes-{split}-{facts['protocol']}{'-flip' * facts['flip']}-{digest}"
    )


def format_tables(protocol, lines, errors, known):
    """The tables of the paper that fit what was tested, in Markdown.

    Args:
        protocol: `center` or `dense`.
        lines: of each result its name, its `inference.Localizer`s, and of each of them the scales.
        errors: of each what `inference.measure_errors` says.
        known: the classes were known, and not told by classification networks.
    """
    told = [(error["top5_error"], error["top5_interval"]) for error in errors]
    if protocol == "center":
        rows = []
        for (name, (localizer,), _), error in zip(lines, told, strict=True):
            rows.append(
                (
                    name,
                    localizer.run.settings.recipe.freeze_until,
                    localizer.kind,
                    localizer.scale,
                    error,
                )
            )
        return tables.format_table8(rows)
    rows = []
    for (name, some, of), error in zip(lines, told, strict=True):
        rows.append(
            (
                name,
                some[0].scale if len(some) == 1 else None,
                sorted({Q for scales in of for Q in scales}),
                error,
            )
        )
    text = tables.format_table9(rows, known)
    return text if known else f"{text}\n\n{tables.format_table10(told[-1])}"


def write_report(folder, facts, found, pictures, classes):
    """Write the report, all boxes, and a sheet of some pictures with the boxes that were found.

    Args:
        folder: path; made where it is not there.
        facts: for `report.json`.
        found: of each picture a list of `inference.Found`.
        pictures: the `inputs.BoxedImages`.
        classes: names.
    """
    files.make_folder(folder)
    files.write_json(os.path.join(folder, "report.json"), facts)
    rows = [
        make_row(pictures.images.names[i], found[i], classes, pictures.sizes[i])
        for i in range(len(pictures))
    ]
    files.write_json(os.path.join(folder, "boxes.json"), rows)
    sheet = os.path.join(folder, "boxes.png")
    with programs.noting(sheet):
        some = np.unique(np.linspace(0, len(pictures) - 1, DRAWN).astype(int))
        shown = [
            decoding.decode_named(pictures.images.read(int(i)), pictures.images.names[i])
            for i in some
        ]
        drawn = [
            annotations.Boxes(found[i][0].corners[np.newaxis], [classes[found[i][0].label]])
            for i in some
        ]
        own = [classes[pictures.images.labels[i]] for i in some]
        save(draw_contact_sheet(shown, own, drawn, "the boxes that were found"), sheet)


def draw_boxes(picture, title, found, classes, path):
    """Draw the boxes that were found over a picture.

    Args:
        picture: uint8 `[h, w, 3]`.
        title: over it.
        found: list of `inference.Found`.
        classes: names.
        path: of the file that is written.
    """
    boxes = annotations.Boxes(
        np.stack([box.corners for box in found]), [classes[box.label] for box in found]
    )
    with programs.noting(path):
        save(draw_contact_sheet([picture], [title], [boxes], ""), path, dpi=200)


def make_row(name, found, classes, size):
    """A picture's boxes for JSON: corners in pixels of its `size`, width and height."""
    width, height = size
    boxes = []
    for box in found:
        corners = (box.corners * np.array([width, height, width, height])).round(2).tolist()
        pixels = dict(zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
        boxes.append({"class": classes[box.label], "score": round(box.score, 6), **pixels})
    return {"file": name, "width": width, "height": height, "boxes": boxes}
