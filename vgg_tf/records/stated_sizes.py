"""Boxes whose annotation states another size than that of the stored picture.

Programs that annotate pictures differ. Some show a picture as its EXIF orientation asks, and draw
the boxes on the turned picture. Some show a resized copy. Some write the sides of the picture in
the wrong order. The decoder of vgg_tf ignores the orientation, so all boxes must be in the pixels
that the file stores.

The rules, in their order:

1. No stated size, or the size of the picture: the boxes are in stored pixels. If the picture has an
   orientation that keeps its sides (2, 3 or 4, or 5 to 8 for a square), the size cannot show what
   the boxes were drawn on. They stay in stored pixels, with a note. `pascal_voc` turns them if
   other pictures of the same folder show that the boxes were drawn on the turned pictures.
2. Swapped sides, orientation 5 to 8, and the boxes fit the stated size: they were drawn on the
   turned picture, and are turned back.
3. Swapped sides, and the boxes fit the picture: the stated size is wrong, and is ignored.
4. The same aspect ratio: the boxes were drawn on a resized copy, and are scaled. If the turned
   picture fits better, they are turned back too.
5. Anything else is refused.

A box fits a size if it ends at most a twentieth of the side outside of it: hand-drawn boxes often
end a few pixels outside. Boxes of the size of the picture, or without a stated size, such as those
of tables, are noted if they do not fit. Boxes that all end at 1 or below are refused: they are
fractions of the sides.
"""

import io
import struct
from typing import NamedTuple

import numpy as np

from vgg_tf.runtime import files, programs, remote

ASPECT = 0.01  # largest relative difference between the aspect ratios of a picture and its copy
BEYOND = 0.05  # fraction of a side that a box may end outside of the picture
HEAD = 2**18  # bytes that are read of a remote file for its header
ORIENTATION = 0x0112  # the EXIF tag
EXIF_KEYS = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}  # in Pillow's `info`
# What turns a box of the shown picture into one of the stored picture, by EXIF orientation: whether
# to swap x and y, then whether to mirror x, and y.
TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
# Why boxes are read in another way than their annotation states.
TURNED, SWAPPED, COPY, UNKNOWN = "turned", "swapped", "copy", "unknown"
STORED, OUTSIDE = "stored", "outside"
REMARKS = {
    TURNED: "boxes turned by their EXIF orientation",
    SWAPPED: "the annotation swaps width and height; boxes read in the pixels of the picture",
    COPY: "boxes drawn on a copy of another size, scaled to the picture",
    UNKNOWN: (
        "the EXIF orientation turns the picture, and the annotation does not show whether the "
        "boxes were turned too; boxes read in the stored pixels"
    ),
    OUTSIDE: "boxes end far outside of the picture, and are cut at its edge",
}


class Header(NamedTuple):
    """What the header of an image file says.

    Attributes:
        size: `(width, height)` as stored, in pixels.
        orientation: EXIF orientation, 1 to 8; 1 without EXIF.
    """

    size: tuple[int, int]
    orientation: int = 1


class Placed(NamedTuple):
    """Boxes in the pixels of the stored picture.

    Attributes:
        corners: float64 `[n, 4]`: xmin, ymin, xmax, ymax.
        kind: a key of `REMARKS`; `STORED` if the sizes show that the boxes were not turned although
            the picture is; or empty.
    """

    corners: np.ndarray
    kind: str = ""


def read_header(content):
    """Read the size and the orientation of an image, without decoding it.

    Args:
        content: path of the file, or its bytes.

    Returns:
        A `Header`, or None if Pillow does not know the format or the file is damaged.

    Raises:
        OSError: the file does not exist or cannot be opened; the message names it.
    """
    if isinstance(content, bytes):
        return _parse_header(io.BytesIO(content))
    if not remote.is_remote(content):
        with open(content, "rb") as file:
            return _parse_header(file)
    head = files.read(content, 0, HEAD)
    return _parse_header(io.BytesIO(head)) or _parse_header(io.BytesIO(files.read(content)))


def _parse_header(file):
    from PIL import Image

    try:
        with Image.open(file) as image:
            orientation = 1
            if image.info.keys() & EXIF_KEYS:
                # `getexif` of Pillow's class for PNG files would decode the image.
                orientation = Image.Image.getexif(image).get(ORIENTATION, 1)
            return Header(image.size, orientation if orientation in TURNS else 1)
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError):
        return None


def turn_back(corners, size, orientation):
    """Turn boxes of the shown picture into those of the stored picture.

    Args:
        corners: float64 `[n, 4]`, in pixels of the picture as its orientation shows it.
        size: `(width, height)` of the stored picture, in pixels.
        orientation: EXIF orientation, 1 to 8.

    Returns:
        float64 `[n, 4]`, in pixels of the stored picture, with the lower corner first.
    """
    swap, *mirrored = TURNS[orientation]
    ends = np.asarray(corners, np.float64).reshape(-1, 2, 2)  # box, corner, x or y
    if swap:
        ends = ends[:, :, ::-1]
    ends = np.where(mirrored, np.array(size) - ends, ends)
    return np.concatenate([ends.min(1), ends.max(1)], 1)


def place(corners, stated, header):
    """Place the boxes of an annotation in the pixels of the stored picture.

    Args:
        corners: float64 `[n, 4]`: xmin, ymin, xmax, ymax in pixels of the annotation.
        stated: `(width, height)` in the annotation; not above 0 if it has none.
        header: the `Header` of the picture.

    Returns:
        A `Placed`.

    Raises:
        ValueError: the stated size cannot be that of the picture; the message has both sizes. Or
            the boxes are fractions of the sides.
    """
    size, orientation = header
    stated, turned = tuple(stated), orientation >= 5
    if stated != (1, 1):  # the sizes show what is wrong
        _refuse_fractions(corners, size)
    shown = size[::-1] if turned else size
    if min(stated) <= 0 or stated == size:
        if orientation > 1 and (shown == size or min(stated) <= 0):
            return Placed(corners, UNKNOWN)
        return Placed(corners, STORED if turned else "" if fits(corners, size) else OUTSIDE)
    if stated == size[::-1]:
        if turned and fits(corners, stated):
            return Placed(turn_back(corners, size, orientation), TURNED)
        if fits(corners, size):
            return Placed(corners, SWAPPED)
    elif fits(corners, stated):
        straight, across = _compare(stated, size), _compare(stated, shown)
        scaled = np.asarray(corners, np.float64) / [*stated, *stated]
        if across < straight and across <= 1:
            return Placed(turn_back(scaled * [*shown, *shown], size, orientation), TURNED)
        if straight <= 1:
            return Placed(scaled * [*size, *size], UNKNOWN if 1 < orientation < 5 else COPY)
    raise ValueError(_explain(corners, stated, header))


def _refuse_fractions(corners, size):
    """Raise a ValueError if boxes seem to be fractions of the sides."""
    last = np.max(corners, initial=0)
    if 0 < last <= 1 < max(size):
        raise ValueError(
            f"Boxes must be in pixels. Received: {len(corners)} that end at {last:g} or below, as "
            f"fractions of the sides do, in a picture of {size[0]:g} x {size[1]:g} pixels. "
            "Multiply x by its width and y by its height."
        )


def fits(corners, size):
    """Return whether all boxes are in a picture of this size, or almost.

    Args:
        corners: `[n, 4]`: xmin, ymin, xmax, ymax in pixels.
        size: `(width, height)`, in pixels.

    Returns:
        bool.
    """
    spare = np.maximum(1, BEYOND * np.array(size))
    ends = np.asarray(corners, np.float64).reshape(-1, 2)
    return bool(((ends >= -spare) & (ends <= size + spare)).all())


def _compare(stated, size):
    """Return the difference of two aspect ratios, as a multiple of the allowed one."""
    # A small copy has rounded sides, so that a pixel of its smaller side is allowed too.
    allowed = max(ASPECT, min(1 / min(stated), BEYOND))
    return abs(np.log(stated[0] * size[1] / (stated[1] * size[0]))) / allowed


def _explain(corners, stated, header):
    """Return what does not fit, and the remedy."""
    sizes = f"{stated[0]:g} x {stated[1]:g} in the annotation of a picture of {{}} x {{}}"
    received = sizes.format(*header.size) + f" pixels with EXIF orientation {header.orientation}"
    if stated == header.size[::-1] or _compare(stated, header.size) <= 1:
        low, high = np.min(corners, 0)[:2], np.max(corners, 0)[2:]
        received += f", and boxes from {low.tolist()} to {high.tolist()}, outside of that size"
    return (
        "The size must be that of the picture, or of a resized copy, and hold the boxes. Received: "
        f"{received}. Fix the annotation; --skip-bad leaves the picture out, where the program has "
        "this flag."
    )


def count_remarks(remarks):
    """Return a note for each kind of remark.

    Args:
        remarks: `{kind: [name of each picture]}`, the kinds from `place`.

    Returns:
        list of str, such as `12 images: boxes turned by their EXIF orientation, first a/b.jpg`.
    """
    return [
        f"{programs.count(len(remarks[kind]), 'image')}: {text}, first {remarks[kind][0]}"
        for kind, text in REMARKS.items()
        if remarks.get(kind)
    ]
