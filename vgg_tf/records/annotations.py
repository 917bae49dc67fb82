"""Boxes around objects, from Pascal VOC or ILSVRC XML files and Kaggle solution files."""

import csv
import io
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from vgg_tf.runtime import files


class Boxes(NamedTuple):
    """The boxes of one image.

    Attributes:
        corners: float32 `[n, 4]`: xmin, ymin, xmax, ymax as fractions of width and height, 0..1.
        names: class name of each box.
    """

    corners: np.ndarray
    names: list[str]


NO_BOXES = Boxes(np.zeros((0, 4), np.float32), [])


def make_boxes(corners, names, width, height):
    """Return `Boxes` from corners in pixels, sorted and clipped to the image.

    Args:
        corners: `[n, 4]`: xmin, ymin, xmax, ymax, in pixels.
        names: class name of each box.
        width: width of the image, in pixels.
        height: height of the image, in pixels.

    Returns:
        `Boxes`, with corners as fractions of width and height.
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4) / [width, height, width, height]
    low, high = (
        np.minimum(corners[:, :2], corners[:, 2:]),
        np.maximum(corners[:, :2], corners[:, 2:]),
    )
    return Boxes(np.clip(np.concatenate([low, high], 1), 0, 1).astype(np.float32), list(names))


def read_xml(path, width, height):
    """Read the boxes of a Pascal VOC annotation.

    Corners are in pixels of the size in the file. If the file has no size, they are in pixels of
    the image.

    Args:
        path: path of the XML file.
        width: width of the image, in pixels.
        height: height of the image, in pixels.

    Returns:
        `Boxes`.

    Raises:
        ValueError: the file is not an annotation; the message names it.
    """
    corners, names, stated = _read_objects(path)
    return make_boxes(corners, names, *(stated if min(stated) > 0 else (width, height)))


def read_areas(path):
    """Read the class name and area of each object of a Pascal VOC annotation.

    Args:
        path: path of the XML file.

    Returns:
        list of `(class name, area)`. Areas are in square pixels, clipped to the size in the file.
    """
    corners, names, stated = _read_objects(path)
    if min(stated) > 0:
        corners = corners.clip(0, [*stated, *stated])
    sides = np.abs(corners[:, 2:] - corners[:, :2])
    return list(zip(names, sides.prod(1).tolist(), strict=True))


def _read_objects(path):
    """Read the objects of a Pascal VOC annotation.

    Args:
        path: path of the XML file.

    Returns:
        `(corners, names, [width, height])`. Corners are float64 `[n, 4]` in pixels. Width and
        height are 0 if the file has none.

    Raises:
        ValueError: the file is not an annotation; the message names it.
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
            raise ValueError(f"object {names.index('')} has no name")
        if not np.isfinite(numbers := np.concatenate([stated, *corners])).all():
            raise ValueError(f"sizes and corners must be finite, not {numbers.tolist()}")
    except (ElementTree.ParseError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} must be a Pascal VOC annotation. Received: {error}. Fix or remove the file."
        ) from error
    return np.array(corners, np.float64).reshape(-1, 4), names, stated


def read_solution(path):
    """Read the boxes of each image from a Kaggle `LOC_*_solution.csv` file.

    Args:
        path: path of the file.

    Returns:
        dict from image ids (file names without suffix) to lists of `(class name, xmin, ymin, xmax,
        ymax)`, in pixels.

    Raises:
        ValueError: the file is not a solution file; the message names the file and the line.
    """
    rows = csv.reader(io.StringIO(files.read_text(path), newline=None))
    found, row = {}, []
    try:
        if (row := next(rows, []))[:2] != ["ImageId", "PredictionString"]:
            raise ValueError("the header must be ImageId,PredictionString")
        for row in rows:
            words = row[1].split() if len(row) == 2 else []
            boxes = [(words[i], *map(float, words[i + 1 : i + 5])) for i in range(0, len(words), 5)]
            if not boxes or not all(len(box) == 5 and np.isfinite(box[1:]).all() for box in boxes):
                raise ValueError("each box must be a class and four numbers")
            if found.setdefault(row[0], boxes) != boxes:
                raise ValueError(f"{row[0]} occurs twice with different boxes")
    except (csv.Error, ValueError) as error:
        said = f"{error}. Received: {','.join(row)[:80]}"
        raise ValueError(
            f"{path}, line {rows.line_num}: {said}. Download the solution file again."
        ) from error
    return found
