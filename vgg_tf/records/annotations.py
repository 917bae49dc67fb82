"""Boxes around objects, from Pascal VOC or ILSVRC XML files and Kaggle solution files.

Corners are taken as they are: pixels from 0, where xmax and ymax are the first column and row
outside of the object. Pascal VOC counts pixels from 1 and includes xmax and ymax, so the devkit's
box begins a pixel earlier: its center is half a pixel farther to the left and the top. Many tools
write the same XML with pixels from 0, and a file does not say which it has. So nothing is
subtracted: for a box that counts from 0 this would be an error of the same size.
"""

import csv
import io
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from vgg_tf.records import stated_sizes
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


class Annotation(NamedTuple):
    """What a Pascal VOC file states.

    Attributes:
        path: path of the file.
        corners: float64 `[n, 4]`: xmin, ymin, xmax, ymax in pixels of the stated size.
        names: class name of each box.
        stated: `(width, height)` of the picture, in pixels; 0 or less if the file has none.
    """

    path: str
    corners: np.ndarray
    names: list[str]
    stated: tuple[float, float]

    def place(self, header):
        """Place the boxes in the pixels of the stored picture.

        Args:
            header: the `stated_sizes.Header` of the picture.

        Returns:
            A `stated_sizes.Placed`.

        Raises:
            ValueError: the stated size cannot be that of the picture; the message names the file.
        """
        try:
            return stated_sizes.place(self.corners, self.stated, header)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None


def read_xml(path, width, height, content=None, remark=None):
    """Read the boxes of a Pascal VOC annotation.

    Corners are in pixels of the size in the file, by the rules of `stated_sizes`. If the file has
    no size, they are in pixels of the image.

    Args:
        path: path of the XML file.
        width: width of the image, in pixels.
        height: height of the image, in pixels. An image of 1 by 1 stands for one of unknown size:
            the size in the file is not compared with it.
        content: path or bytes of the image, whose EXIF orientation is read if its size is not the
            stated one. None for an image without EXIF.
        remark: function, called with a key of `stated_sizes.REMARKS` if the boxes are read in
            another way than the file states.

    Returns:
        `Boxes`.

    Raises:
        ValueError: the file is not an annotation, or its size cannot be that of the image; the
            message names it.
    """
    found = read_annotation(path)
    differs = min(found.stated) > 0 and found.stated != (width, height)
    if (width, height) == (1, 1):
        return make_boxes(found.corners, found.names, *(found.stated if differs else (1, 1)))
    if not found.names:
        return NO_BOXES
    header = stated_sizes.read_header(content) if differs and content is not None else None
    orientation = header.orientation if header else 1
    placed = found.place(stated_sizes.Header((width, height), orientation))
    if remark:
        remark(placed.kind)
    return make_boxes(placed.corners, found.names, width, height)


def compute_areas(corners, size=None):
    """Return the area of each box.

    Args:
        corners: float64 `[n, 4]`: xmin, ymin, xmax, ymax in pixels.
        size: `(width, height)` that the boxes are clipped to, in pixels. None, or a size that is
            not above 0, does not clip.

    Returns:
        float64 `[n]`, in square pixels.
    """
    if size is not None and min(size) > 0:
        corners = np.clip(corners, 0, [*size, *size])
    return np.abs(corners[:, 2:] - corners[:, :2]).prod(1)


def read_annotation(path):
    """Read a Pascal VOC annotation.

    Args:
        path: path of the XML file.

    Returns:
        An `Annotation`.

    Raises:
        ValueError: the file is not an annotation; the message names it.
    """
    try:
        root = ElementTree.fromstring(files.read(path))
        stated = tuple(_read_side(root, side) for side in ("width", "height"))
        objects = root.findall("object")
        corners = [_read_corners(item, i) for i, item in enumerate(objects)]
        names = [(item.findtext("name") or "").strip() for item in objects]
        if not all(names):
            raise ValueError(f"object {names.index('')} has no name")
        if not np.isfinite(numbers := np.concatenate([stated, *corners])).all():
            raise ValueError(f"sizes and corners must be finite, not {numbers.tolist()}")
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(
            f"{path} must be a Pascal VOC annotation. Received: {error}. Fix or remove the file."
        ) from error
    return Annotation(path, np.array(corners, np.float64).reshape(-1, 4), names, stated)


def _read_side(root, side):
    """Return the stated width or height, in pixels; 0 if there is none."""
    words = {(word.text or "").strip() for word in root.findall(f"size/{side}")} - {""}
    if len(values := {float(word) for word in words}) > 1:
        raise ValueError(f"several sizes, with a {side} of {' and '.join(sorted(words))}")
    return values.pop() if values else 0.0


def _read_corners(item, i):
    """Return xmin, ymin, xmax and ymax of object `i`."""
    if len(boxes := item.findall("bndbox")) != 1:
        raise ValueError(f"object {i} has {len(boxes)} bndbox elements, not 1")
    words = [boxes[0].findtext(key) for key in ("xmin", "ymin", "xmax", "ymax")]
    if None in words:
        raise ValueError(f"object {i} must have xmin, ymin, xmax and ymax, not {words}")
    return [float(word) for word in words]


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
