"""Pictures whose annotations state other sizes: what is turned, noted, refused or left out."""

import numpy as np
import pytest
from PIL import Image

from tests.data.making_annotated import annotate, boxes, examples, put, record_boxes
from tests.making import save
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.records.collection import Collection
from vgg_tf.records.splits import Source, Split
from vgg_tf.writing.write import write

WIDTH, HEIGHT = 50, 40
ALL = Selection(hold_out=0.0)
BOX, SHOWN = (5, 8, 20, 30), (10, 5, 32, 20)  # stored, and turned by orientation 6
SHARES = (0.1, 0.2, 0.4, 0.75)
TURNED = "boxes turned by their EXIF orientation, first "
UNKNOWN = "the EXIF orientation turns the picture, and the annotation does not show whether"


def picture(root, name, box, size, orientation=1):
    """Write a picture whose class is its first letter, and an annotation."""
    exif = Image.Exif()
    exif[0x112] = orientation
    pixels = np.random.default_rng([*map(ord, name)]).integers(0, 256, (HEIGHT, WIDTH, 3))
    save(root / "images" / f"{name}.jpg", pixels.astype(np.uint8), exif=exif)
    annotate(root / "annotations" / f"{name}.xml", (name[0], *box), size=size)


def test_boxes_of_turned_pictures_are_turned_back_and_noted(tmp_path):
    for name in ("a0", "a1", "b0"):
        picture(tmp_path, name, SHOWN, (HEIGHT, WIDTH), 6)
    picture(tmp_path, "b1", BOX, (WIDTH, HEIGHT))
    source = open_source(tmp_path, ALL)
    assert f"3 images: {TURNED}a0.jpg" in source.notes
    assert boxes(source, "train") == {
        f"{name}.jpg": [(name[0], *SHARES)] for name in ("a0", "a1", "b0", "b1")
    }
    write(source, tmp_path / "out", progress=False)
    assert record_boxes(examples(tmp_path / "out", "train")["images/b0.jpg"]) == [(1, "b", *SHARES)]
    notes = Collection.read(tmp_path / "out").notes
    assert [note for note in notes if TURNED in note] == [f"3 images: {TURNED}a0.jpg"]


@pytest.mark.parametrize(
    ("others", "turned"),
    [
        ([("b1", (WIDTH, HEIGHT), 1)], False),  # nothing shows what the boxes were drawn on
        ([("b1", (HEIGHT, WIDTH), 6)], True),
        ([("b1", (WIDTH, HEIGHT), 6)], False),
        ([("b1", (HEIGHT, WIDTH), 6), ("b2", (WIDTH, HEIGHT), 8)], False),
    ],
)
def test_other_pictures_show_whether_a_picture_upside_down_was_turned(tmp_path, others, turned):
    picture(tmp_path, "a0", BOX, (WIDTH, HEIGHT), 3)
    picture(tmp_path, "b0", BOX, (WIDTH, HEIGHT))
    for name, size, orientation in others:
        picture(tmp_path, name, BOX, size, orientation)
    source = open_source(tmp_path, ALL)
    upside_down = tuple(round(1 - SHARES[i], 6) for i in (2, 3, 0, 1))
    assert boxes(source, "train")["a0.jpg"] == [("a", *(upside_down if turned else SHARES))]
    assert any(f"1 image: {UNKNOWN}" in note for note in source.notes) is not turned
    assert any(f"2 images: {TURNED}a0.jpg" in note for note in source.notes) is turned


def test_swapped_sides_do_not_hide_the_class_with_the_largest_box(tmp_path):
    picture(tmp_path, "b0", BOX, (WIDTH, HEIGHT))
    picture(tmp_path, "a0", BOX, (HEIGHT, WIDTH))
    # Clipped to the stated width of 40, the box of b would have no area.
    annotate(
        tmp_path / "annotations" / "a0.xml",
        ("a", 0, 0, 5, 5),
        ("b", 41, 0, 50, 40),
        size=(HEIGHT, WIDTH),
    )
    picture(tmp_path, "a1", BOX, (WIDTH, HEIGHT))
    source = open_source(tmp_path, ALL)
    labels = dict(zip(source.splits["train"].names, source.splits["train"].labels, strict=True))
    assert labels == {"images/a0.jpg": 1, "images/a1.jpg": 0, "images/b0.jpg": 1}
    assert any("1 image: the annotation swaps width and height" in note for note in source.notes)


def test_sizes_that_cannot_be_the_pictures_are_refused_or_left_out(tmp_path):
    for name in ("a0", "a1", "b0", "b1"):
        picture(tmp_path, name, BOX, (WIDTH, HEIGHT))
    picture(tmp_path, "b2", BOX, (90, 40))
    with pytest.raises(ValueError, match=r"b2\.xml.* 90 x 40 .* 50 x 40 .*--skip-bad"):
        open_source(tmp_path, ALL)
    source = open_source(tmp_path, ALL, skip_bad=True)
    assert len(source.splits["train"]) == 4
    assert source.notes[0].startswith("left out: b2.jpg: ")
    for i in range(30):
        picture(tmp_path, f"c{i}", BOX, (90, 40))
    with pytest.raises(ValueError, match=r"and 11 more$") as error:
        open_source(tmp_path, ALL)
    assert str(error.value).count(".xml") == 20
    notes = open_source(tmp_path, ALL, skip_bad=True).notes
    assert all(note.startswith("left out: c") for note in notes[1:20])
    assert notes[20] == "left out: 11 more"


def test_a_picture_without_a_readable_header_is_left_to_the_decoder(tmp_path):
    for name in ("a0", "b0"):
        picture(tmp_path, name, BOX, (WIDTH, HEIGHT))
    put(tmp_path / "images" / "a0.jpg", "no picture")
    assert boxes(open_source(tmp_path, ALL), "train")["a0.jpg"] == [("a", *SHARES)]
    with pytest.raises(ValueError, match=r"a0\.jpg"):
        write(open_source(tmp_path, ALL), tmp_path / "out", progress=False)


def test_boxes_far_outside_of_a_picture_of_the_stated_size_are_noted(tmp_path):
    picture(tmp_path, "a0", (5, 8, 70, 30), (WIDTH, HEIGHT))
    picture(tmp_path, "a1", (5, 8, 51, 40), (WIDTH, HEIGHT))  # hand-drawn
    picture(tmp_path, "b0", BOX, (WIDTH, HEIGHT))
    source = open_source(tmp_path, ALL)
    note = "1 image: boxes end far outside of the picture, and are cut at its edge, first "
    assert f"{note}a0.jpg" in source.notes
    assert boxes(source, "train")["a0.jpg"] == [("a", 0.1, 0.2, 1, 0.75)]
    assert isinstance(source.splits["train"].boxes[0], str)  # as runs of earlier versions noted it


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), None])
def test_boxes_in_fractions_of_the_sides_are_refused(tmp_path, size):
    picture(tmp_path, "a0", SHARES, size)
    picture(tmp_path, "a1", BOX, size)
    picture(tmp_path, "b0", BOX, size)
    with pytest.raises(ValueError, match=r"a0\.xml: Boxes must be in pixels\. .* 0\.75 or below"):
        open_source(tmp_path, ALL)
    assert len(open_source(tmp_path, ALL, skip_bad=True).splits["train"]) == 2


def test_annotations_that_are_read_with_the_pictures_are_noted_in_the_shards(tmp_path):
    # As in the competition's folder, whose annotations are too many to be read at first.
    for name, size, orientation in (
        ("a0", (HEIGHT, WIDTH), 6),
        ("a1", (WIDTH, HEIGHT), 1),
        ("b0", (100, 80), 1),
        ("b1", (90, 40), 1),
        ("b2", None, 1),
    ):
        scaled = tuple(2 * value for value in BOX)
        box = SHOWN if orientation == 6 else scaled if size == (100, 80) else BOX
        picture(tmp_path, name, box, size, orientation)
    names = ["a0", "a1", "b0", "b1", "b2"]
    split = Split(
        names,
        np.array([0, 0, 1, 1, 1]),
        [str(tmp_path / "images" / f"{name}.jpg") for name in names],
        [
            *(str(tmp_path / "annotations" / f"{name}.xml") for name in names[:4]),
            [("b", 5, 8, 200, 30)],  # of a table
        ],
    )
    source = Source("zoo", ("a", "b"), {"train": split})
    with pytest.raises(ValueError, match=r"1 of 5 images.*\n.*b1\.xml.*90 x 40"):
        write(source, tmp_path / "out", progress=False)
    collection = write(source, tmp_path / "out", progress=False, skip_bad=True)
    assert collection.notes[:3] == (
        "1 image: boxes drawn on a copy of another size, scaled to the picture, first b0",
        "1 image: boxes end far outside of the picture, and are cut at its edge, first b2",
        f"1 image: {TURNED}a0",
    )
    assert "left out: " in collection.notes[3]
    stored = examples(tmp_path / "out", "train")
    assert {name: record_boxes(stored[name])[0][2:] for name in names[:3]} == dict.fromkeys(
        names[:3], SHARES
    )
