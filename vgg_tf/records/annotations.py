"""Boxes around objects, from Pascal-VOC XML (ImageNet's too) and Kaggle's solution files."""

import csv
import io
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from vgg_tf.runtime import files


class Boxes(NamedTuple):
    """The boxes of one image.

    Attributes:
        corners: float32 `[n, 4]`: xmin, ymin, xmax, ymax as shares of width and height, 0..1.
        names: class name of each.
    """

    corners: np.ndarray
    names: list[str]


NO_BOXES = Boxes(np.zeros((0, 4), np.float32), [])


def make_boxes(corners, names, width, height):
    """Return `Boxes` from corners in pixels, put in order and cut at the image's border.

    Args:
        corners: `[n, 4]`: xmin, ymin, xmax, ymax, in pixels.
        names: class name of each.
        width: of the image, in pixels.
        height: of the image, in pixels.
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4) / [width, height, width, height]
    low, high = (
        np.minimum(corners[:, :2], corners[:, 2:]),
        np.maximum(corners[:, :2], corners[:, 2:]),
    )
    return Boxes(np.clip(np.concatenate([low, high], 1), 0, 1).astype(np.float32), list(names))


def read_xml(path, width, height):
    """Read the `Boxes` of a Pascal-VOC annotation.

    Its corners count in pixels of the size that it states, else of the image's.

    Args:
        path: of the XML file.
        width: of the image, in pixels.
        height: of the image, in pixels.

    Raises:
        ValueError: it is no such file; the message names it.
    """
    corners, names, stated = _read_objects(path)
    return make_boxes(corners, names, *(stated if min(stated) > 0 else (width, height)))


def read_areas(path):
    """Read class name and area of each object of a Pascal-VOC annotation.

    Returns:
        list of `(class name, area)`, in square pixels within the size that the file states.
    """
    corners, names, stated = _read_objects(path)
    if min(stated) > 0:
        corners = corners.clip(0, [*stated, *stated])
    sides = np.abs(corners[:, 2:] - corners[:, :2])
    return list(zip(names, sides.prod(1).tolist(), strict=True))


def _read_objects(path):
    """Read the objects of a Pascal-VOC annotation.

    Returns:
        corners, float64 `[n, 4]`; class names; and the stated width and height, 0 for none.
    """
    try:
        root = ElementTree.fromstring(files.read(path))
        stated = [float(root.findtext(f"size/{side}") or 0) for side in ("width", "height")]
        objects = root.findall("object")
        corners = [
            [float(item.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]
            for item in objects
        ]
        names = [item.findtext("name").strip() for item in objects]
        if not all(names):
            raise ValueError("an object has no name")
        if not np.isfinite(np.concatenate([stated, *corners])).all():
            raise ValueError("a number is not finite")
    except (ElementTree.ParseError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} is no Pascal-VOC annotation ({error}). Mend or remove it."
        ) from error
    return np.array(corners, np.float64).reshape(-1, 4), names, stated


def read_solution(path):
    """Read the boxes of each image from a Kaggle `LOC_*_solution.csv`.

    Returns:
        dict: image id (file name without suffix) to a list of `(class name, xmin, ymin, xmax,
        ymax)`, in pixels.

    Raises:
        ValueError: it is no such file; the message names it and the line.
    """
    rows = csv.reader(io.StringIO(files.read_text(path), newline=None))
    found, row = {}, []
    try:
        if next(rows, [])[:2] != ["ImageId", "PredictionString"]:
            raise ValueError("it does not begin with ImageId,PredictionString")
        for row in rows:
            words = row[1].split() if len(row) == 2 else []
            boxes = [(words[i], *map(float, words[i + 1 : i + 5])) for i in range(0, len(words), 5)]
            if not boxes or not all(len(box) == 5 and np.isfinite(box[1:]).all() for box in boxes):
                raise ValueError("expected a class and four numbers a box")
            if found.setdefault(row[0], boxes) != boxes:
                raise ValueError(f"{row[0]} is there twice, with other boxes")
    except (csv.Error, ValueError) as error:
        said = f"{error}. Received: {','.join(row)[:80]}"
        raise ValueError(
            f"{path}, line {rows.line_num}: {said}. It is no solution file of the competition."
        ) from error
    return found
