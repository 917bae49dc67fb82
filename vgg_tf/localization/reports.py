"""Localization reports: tables in the form of the paper's, JSON, a sheet of pictures."""

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

DRAWN = 12  # pictures per sheet


def choose_folder(run, split, facts):
    """Return the default folder of a report: different facts, different folders.

    Args:
        run: path of the run folder.
        split: name of the split.
        facts: dict that describes the test.

    Returns:
        Path of a folder, which may not exist yet.
    """
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]
    return os.path.join(
        run, "tests", f"boxes-{split}-{facts['protocol']}{'-flip' * facts['flip']}-{digest}"
    )


def format_tables(protocol, lines, errors, known):
    """Return the tables of the paper that fit the test, in Markdown.

    Args:
        protocol: `center` or `dense`.
        lines: for each result its name, its list of `inference.Localizer`, and the list of scales
            of each localizer.
        errors: for each result the dict from `inference.measure_errors`.
        known: whether the classes were given, rather than predicted by classification networks.

    Returns:
        The text of the tables.
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
    """Write the report, all boxes, and a sheet of pictures with their predicted boxes.

    Args:
        folder: path; the folder is created if it does not exist.
        facts: dict for `report.json`.
        found: for each picture a list of `inference.Found`.
        pictures: the `inputs.BoxedImages`.
        classes: class names.
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
        save(draw_contact_sheet(shown, own, drawn, "predicted boxes"), sheet)


def draw_boxes(picture, title, found, classes, path):
    """Draw predicted boxes over a picture.

    Args:
        picture: uint8 `[h, w, 3]`.
        title: title over the picture.
        found: list of `inference.Found`.
        classes: class names.
        path: path of the figure.
    """
    boxes = annotations.Boxes(
        np.stack([box.corners for box in found]), [classes[box.label] for box in found]
    )
    with programs.noting(path):
        save(draw_contact_sheet([picture], [title], [boxes], ""), path, dpi=200)


def make_row(name, found, classes, size):
    """Return the boxes of a picture as a dict for JSON.

    Args:
        name: file name of the picture.
        found: list of `inference.Found`.
        classes: class names.
        size: width and height of the picture, in pixels.

    Returns:
        Dict with the corners of the boxes in pixels.
    """
    width, height = size
    boxes = []
    for box in found:
        corners = (box.corners * np.array([width, height, width, height])).round(2).tolist()
        pixels = dict(zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
        boxes.append({"class": classes[box.label], "score": round(box.score, 6), **pixels})
    return {"file": name, "width": width, "height": height, "boxes": boxes}
