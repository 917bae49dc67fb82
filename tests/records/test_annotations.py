"""Reading of Pascal VOC annotations, and errors for other files."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.making import DATA, real_data
from tests.records.making import written
from vgg_tf.records import annotations


def item(name, xmin, ymin, xmax, ymax, more=""):
    corners = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
    return f"<object><name>{name}</name><pose>Left</pose><bndbox>{corners}</bndbox>{more}</object>"


def voc(*items, size=(200, 100)):
    """Return an annotation in the format of Pascal VOC; `size` is width and height, or None."""
    stated = size and "<size><width>{}</width><height>{}</height><depth>3</depth></size>".format(
        *size
    )
    return (
        f"<annotation><filename>x</filename>{stated or ''}"
        f"<segmented>0</segmented>{''.join(items)}</annotation>"
    )


@pytest.fixture
def xml(tmp_path):
    """A function that writes an annotation and returns its path."""

    def write(content):
        return written(tmp_path / "1.xml", content)

    return write


def boxed(boxes):
    """Return names and corners as Python values."""
    assert boxes.corners.dtype == np.float32
    assert boxes.corners.shape == (len(boxes.names), 4)
    return [
        (name, *(round(float(corner), 6) for corner in row))
        for name, row in zip(boxes.names, boxes.corners, strict=True)
    ]


def test_corners_are_fractions_of_the_size_in_the_file(xml):
    path = xml(voc(item("cat", 20, 10, 100, 90), item("dog", 0, 0, 200, 100), size=(200, 100)))
    for width, height in ((200, 100), (100, 50), (1, 1)):
        assert boxed(annotations.read_xml(path, width, height)) == [
            ("cat", 0.1, 0.1, 0.5, 0.9),
            ("dog", 0, 0, 1, 1),
        ]


@pytest.mark.parametrize("size", [None, (0, 0), (200, 0), (-1, 100), ("", "")])
def test_corners_are_fractions_of_the_image_if_the_file_has_no_size(xml, size):
    assert boxed(annotations.read_xml(xml(voc(item("cat", 4, 4, 20, 36), size=size)), 40, 80)) == [
        ("cat", 0.1, 0.05, 0.5, 0.45)
    ]


def test_corners_in_the_wrong_order_are_sorted(xml):
    path = xml(
        voc(
            item("cat", 100, 10, 20, 90), item("dog", 20, 90, 100, 10), item("eel", 100, 90, 20, 10)
        )
    )
    assert [box[1:] for box in boxed(annotations.read_xml(path, 1, 1))] == [
        (0.1, 0.1, 0.5, 0.9)
    ] * 3


def test_a_box_is_clipped_to_the_image(xml):
    path = xml(voc(item("cat", -20, -1, 100, 90), item("dog", 100, 50, 300, 1e6)))
    assert boxed(annotations.read_xml(path, 1, 1)) == [
        ("cat", 0, 0, 0.5, 0.9),
        ("dog", 0.5, 0.5, 1, 1),
    ]


def test_fractions_of_pixels_are_read_and_white_space_is_ignored(xml):
    path = xml(voc(item("\n traffic light\t", " 20.5 ", "1e1", "100.0\n", 90)))
    assert boxed(annotations.read_xml(path, 1, 1)) == [("traffic light", 0.1025, 0.1, 0.5, 0.9)]


def test_parts_of_an_object_are_not_objects(xml):
    part = (
        "<part><name>head</name>"
        "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
        "</part>"
    )
    path = xml(voc(item("person", 20, 10, 100, 90, more=part)))
    assert boxed(annotations.read_xml(path, 1, 1)) == [("person", 0.1, 0.1, 0.5, 0.9)]


def test_an_annotation_without_objects_has_no_boxes(xml):
    boxes = annotations.read_xml(xml(voc()), 10, 10)
    assert boxed(boxes) == boxed(annotations.NO_BOXES) == []


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>', "latin-1"),
        ("", "utf-16"),
    ],
)
def test_names_are_read_in_the_declared_encoding(xml, head, encoding):
    path = xml((head + voc(item("Übermaß &amp; Co", 20, 10, 100, 90))).encode(encoding))
    assert annotations.read_xml(path, 1, 1).names == ["Übermaß & Co"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no XML at all",
        voc(item("cat", 1, 2, 3, 4))[:-20],
        '<?xml version="1.0" encoding="nosuch"?>' + voc(),
        voc(item("cat", 1, "two", 3, 4)),
        voc(item("cat", 1, "", 3, 4)),
        voc(item("cat", 1, "nan", 3, 4)),
        voc(item("cat", 1, "inf", 3, 4)),
        voc(item("cat", 1, 2, 3, 4).replace("ymin", "Ymin")),
        voc("<object><name>cat</name></object>"),
        voc(item("cat", 1, 2, 3, 4, more="<bndbox><xmin>1</xmin></bndbox>")),
        voc(item("cat", 1, 2, 3, 4)) + voc(),
        voc(item("cat", 1, 2, 3, 4)).replace(
            "<segmented>", "<size><width>9</width></size><segmented>"
        ),
        voc(item("cat", 1, 2, 3, 4).replace("name", "label")),
        voc(item("cat", 1, 2, 3, 4), size=("wide", 3)),
        voc(item("cat", 1, 2, 3, 4), size=("nan", 3)),
        voc(item("cat", 1, 2, 3, 4), size=("inf", 3)),
        b"\xff\xd8\xff\xe0 a picture",
    ],
)
def test_a_file_that_is_not_an_annotation_is_an_error_with_a_remedy(xml, content):
    with pytest.raises(
        ValueError,
        match=r"1\.xml must be a Pascal VOC annotation\. Received: .+\. Fix or remove the file\.",
    ):
        annotations.read_xml(xml(content), 10, 10)


def test_the_error_for_a_missing_annotation_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.xml"):
        annotations.read_xml(str(tmp_path / "gone.xml"), 10, 10)


@pytest.mark.parametrize(
    ("size", "clipped"), [((200, 100), 100 * 20), (None, 150 * 20), ((0, 9), 150 * 20)]
)
def test_areas_are_in_square_pixels_and_clipped_to_a_known_size(size, clipped):
    corners = np.array([[10, 10, 30, 20], [150, 90, 100, 40], [5, 5, 5, 9], [100, 0, 250, 20.0]])
    areas = annotations.compute_areas(corners, size)
    assert areas.tolist() == [20 * 10, 50 * 50, 0, clipped]


@real_data
def test_real_annotations_give_the_numbers_in_their_text():
    folder = Path(DATA, "boxes-2class", "annotations")
    for path in sorted(folder.iterdir())[::20]:
        text = path.read_text()
        width, height = (
            int(re.search(rf"<{side}>(\d+)<", text)[1]) for side in ("width", "height")
        )
        picture = next(folder.parent.joinpath("images").glob(f"{path.stem}.*"))
        with Image.open(picture) as image:
            assert image.size == (width, height)
        numbers = [
            [int(n) for n in re.findall(rf"<{side}>(\d+)<", text)]
            for side in ("xmin", "ymin", "xmax", "ymax")
        ]
        expected = np.clip(np.transpose(numbers) / [width, height, width, height], 0, 1)
        assert len(expected)
        boxes = annotations.read_xml(str(path), width, height)
        np.testing.assert_allclose(boxes.corners, expected, atol=1e-6)
        assert boxes.names == re.findall(r"<object>\s*<name>(\w+)<", text)


def test_make_boxes_converts_pixels_to_fractions():
    corners = np.array([[10, 20, 30, 40], [0, 0, 50, 80]])
    assert boxed(annotations.make_boxes(corners, ["a", "b"], 50, 80)) == [
        ("a", 0.2, 0.25, 0.6, 0.5),
        ("b", 0, 0, 1, 1),
    ]
    assert boxed(annotations.make_boxes([], [], 50, 80)) == []
