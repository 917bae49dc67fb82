"""Boxes of annotations that state another size than the picture has. The oracle is Pillow."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from tests.records.making import written
from vgg_tf.records import annotations, stated_sizes
from vgg_tf.records.stated_sizes import COPY, OUTSIDE, STORED, SWAPPED, TURNED, UNKNOWN, Header

WIDTH, HEIGHT, BOX = 50, 40, (5, 8, 20, 30)  # of the stored picture
XML = (
    "<annotation><size><width>{}</width><height>{}</height></size><object><name>cat</name><bndbox>"
    "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object></annotation>"
)


def encode(orientation, kind="png", **options):
    """Return an encoded picture with a red box and an EXIF orientation; None writes no EXIF."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2], 0] = 255
    exif, file = Image.Exif(), io.BytesIO()
    if orientation is not None:
        exif[stated_sizes.ORIENTATION] = orientation
        options["exif"] = exif
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def show(encoded):
    """Return the size of a picture as viewers show it, and its red box."""
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    red = np.asarray(shown)[..., 0] > 127
    x, y = np.flatnonzero(red.any(0)), np.flatnonzero(red.any(1))
    return shown.size, (x[0], y[0], x[-1] + 1, y[-1] + 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_of_the_shown_picture_is_turned_back_exactly(orientation):
    _, box = show(encode(orientation))
    turned = stated_sizes.turn_back([box], (WIDTH, HEIGHT), orientation)
    assert turned.tolist() == [list(BOX)]


@pytest.mark.parametrize("scale", [1, 3, 0.5])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_an_annotation_of_the_shown_picture_has_the_box_of_the_stored_one(
    tmp_path, orientation, scale
):
    picture = encode(orientation)
    size, box = show(picture)
    numbers = [value * scale for value in (*size, *box)]
    path, kinds = written(tmp_path / "1.xml", XML.format(*numbers)), []
    found = annotations.read_xml(path, WIDTH, HEIGHT, picture, kinds.append)
    np.testing.assert_allclose(found.corners[0] * [WIDTH, HEIGHT, WIDTH, HEIGHT], BOX, atol=1e-5)
    assert kinds == [TURNED]


WIDE, TALL = (200, 120), (120, 200)
LOW = (10, 20, 100, 110)  # fits both


@pytest.mark.parametrize(
    ("stated", "size", "orientation", "box", "expected", "kind"),
    [
        (WIDE, WIDE, 1, LOW, LOW, ""),
        (WIDE, WIDE, 6, LOW, LOW, STORED),
        (WIDE, WIDE, 3, LOW, LOW, UNKNOWN),
        (WIDE, WIDE, 2, LOW, LOW, UNKNOWN),
        ((120, 120), (120, 120), 6, LOW, LOW, UNKNOWN),
        ((0, 0), WIDE, 1, LOW, LOW, ""),
        ((0, 0), WIDE, 6, LOW, LOW, UNKNOWN),
        ((200, -1), WIDE, 1, (150, 20, 300, 60), (150, 20, 300, 60), OUTSIDE),
        ((0, 0), WIDE, 1, (-9, -1, 209, 60), (-9, -1, 209, 60), ""),  # hand-drawn
        (WIDE, WIDE, 1, (150, 20, 300, 60), (150, 20, 300, 60), OUTSIDE),
        (WIDE, WIDE, 1, (-9, -1, 209, 60), (-9, -1, 209, 60), ""),  # hand-drawn
        (TALL, WIDE, 6, (60, 150, 100, 190), (150, 20, 190, 60), TURNED),
        (TALL, WIDE, 8, (20, 10, 60, 50), (150, 20, 190, 60), TURNED),
        (TALL, WIDE, 6, (60, 150, 123, 190), (150, -3, 190, 60), TURNED),  # hand-drawn, 3 too far
        (TALL, WIDE, 6, (150, 20, 190, 60), (150, 20, 190, 60), SWAPPED),  # cannot be turned
        (TALL, WIDE, 1, (150, 20, 190, 60), (150, 20, 190, 60), SWAPPED),
        (TALL, WIDE, 1, LOW, LOW, SWAPPED),
        (TALL, WIDE, 3, LOW, LOW, SWAPPED),
        ((100, 60), WIDE, 1, (5, 10, 50, 55), LOW, COPY),
        ((400, 240), WIDE, 1, (20, 40, 200, 220), LOW, COPY),
        ((400, 242), WIDE, 1, (20, 40, 200, 220), (10, 19.83, 100, 109.09), COPY),
        ((500, 33), (4000, 260), 1, (0, 0, 500, 33), (0, 0, 4000, 260), COPY),  # rounded
        ((100, 60), WIDE, 6, (5, 10, 50, 55), LOW, COPY),  # stored and copied without turning
        ((60, 100), WIDE, 6, (30, 75, 50, 95), (150, 20, 190, 60), TURNED),
        ((400, 240), WIDE, 4, (20, 40, 200, 220), LOW, UNKNOWN),
        ((500, 502), (1004, 1000), 6, (0, 0, 250, 251), (0, 500, 502, 1000), TURNED),
    ],
)
def test_boxes_are_placed_in_the_pixels_of_the_stored_picture(
    stated, size, orientation, box, expected, kind
):
    placed = stated_sizes.place(np.array([box], float), stated, Header(size, orientation))
    assert placed.kind == kind
    np.testing.assert_allclose(placed.corners, [expected], atol=0.01)


@pytest.mark.parametrize(
    ("stated", "size", "orientation", "box"),
    [
        ((300, 200), WIDE, 1, LOW),
        ((300, 200), WIDE, 6, LOW),
        ((1, 1), WIDE, 1, (0, 0, 1, 1)),
        ((100, 61), WIDE, 1, (0, 0, 1, 100)),  # a copy that does not hold the box
        (TALL, WIDE, 1, (150, 20, 190, 180)),  # fits neither
        (TALL, WIDE, 6, (150, 20, 190, 180)),
        ((60, 100), WIDE, 1, (5, 10, 50, 55)),  # swapped and resized, without EXIF
        ((60, 100), WIDE, 3, (5, 10, 50, 55)),
    ],
)
def test_other_sizes_are_refused_with_the_file_both_sizes_and_the_remedy(
    tmp_path, stated, size, orientation, box
):
    path = written(tmp_path / "odd.xml", XML.format(*stated, *box))
    both = f"{stated[0]} x {stated[1]} in .* of {size[0]} x {size[1]} pixels"
    with pytest.raises(
        ValueError, match=rf"odd\.xml: .*{both}.* orientation {orientation}.*--skip"
    ):
        annotations.read_annotation(path).place(Header(size, orientation))


def test_an_object_without_boxes_may_state_any_size(tmp_path):
    path = written(
        tmp_path / "1.xml",
        "<annotation><size><width>9</width><height>7</height></size></annotation>",
    )
    assert annotations.read_xml(path, WIDTH, HEIGHT, encode(6)).names == []


@pytest.mark.parametrize(
    ("encoded", "orientation"),
    [
        (encode(6, "jpeg"), 6),
        (encode(8, "png"), 8),
        (encode(5, "webp"), 5),
        (encode(None, "gif"), 1),
        (encode(None, "bmp"), 1),
        (encode(None, "jpeg"), 1),
        (encode(0, "jpeg"), 1),
        (encode(9, "jpeg"), 1),
        (encode(6, "jpeg")[:400], None),
        (b"", None),
        (b"no picture", None),
    ],
)
def test_size_and_orientation_are_read_without_decoding(
    tmp_path, monkeypatch, encoded, orientation
):
    def refuse(image):
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    path = tmp_path / "picture"
    path.write_bytes(encoded)
    expected = orientation and Header((WIDTH, HEIGHT), orientation)
    assert stated_sizes.read_header(encoded) == stated_sizes.read_header(str(path)) == expected


def test_remarks_are_counted_with_the_first_name():
    assert stated_sizes.count_remarks({"": ["z"], STORED: ["y"]}) == []
    notes = stated_sizes.count_remarks({COPY: ["b"], TURNED: ["a/b.jpg"] * 12, "": ["z"]})
    assert notes == [
        "12 images: boxes turned by their EXIF orientation, first a/b.jpg",
        "1 image: boxes drawn on a copy of another size, scaled to the picture, first b",
    ]
