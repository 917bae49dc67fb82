"""Images with annotations have the classes of their objects; bad files are reported."""

import os
import zlib
from pathlib import Path

import pytest

from tests.data.making_annotated import (
    HEIGHT,
    WIDTH,
    annotate,
    boxes,
    examples,
    labeled,
    put,
    record_boxes,
    upload,
)
from tests.making import DATA, noise, real_data, save
from vgg_tf.data.opening import open_source
from vgg_tf.writing.write import write


def picture(root, name, *objects, folders=("images", "annotations"), size=(WIDTH, HEIGHT)):
    """Write an image, and an annotation if there are objects; None writes an empty one."""
    save(root / folders[0] / name, noise(HEIGHT, WIDTH, zlib.crc32(name.encode())))  # no copies
    if objects:
        path = (root / folders[1] / name).with_suffix(".xml")
        annotate(path, *(thing for thing in objects if thing), size=size)


def train_and_validation(source):
    return labeled(source, "train") | labeled(source, "validation")


@pytest.mark.parametrize(
    "folders", [("images", "annotations"), ("JPEGImages", "Annotations"), ("Images", "annotations")]
)
def test_the_class_of_an_image_is_that_of_its_objects(tmp_path, folders):
    for i in range(4):
        picture(tmp_path, f"{i}.jpg", ("raccoon", 1, 2, 30, 40), folders=folders)
        picture(
            tmp_path,
            f"kangaroo-{i}.png",
            ("kangaroo", 5, 4, 10, 8),
            ("kangaroo", 0, 0, 50, 40),
            folders=folders,
        )
    source = open_source(tmp_path)
    assert source.classes == ("kangaroo", "raccoon")
    assert source.texts == ()
    named = {f"{i}.jpg": "raccoon" for i in range(4)} | {
        f"kangaroo-{i}.png": "kangaroo" for i in range(4)
    }
    assert train_and_validation(source) == named
    assert {split: len(part) for split, part in source.splits.items()} == {
        "train": 6,
        "validation": 2,
    }
    found = boxes(source, "train") | boxes(source, "validation")
    assert found["2.jpg"] == [("raccoon", 0.02, 0.05, 0.6, 1)]
    assert found["kangaroo-3.png"] == [("kangaroo", 0.1, 0.1, 0.2, 0.2), ("kangaroo", 0, 0, 1, 1)]
    for part in source.splits.values():
        for i, name in enumerate(part.names):
            assert part.read(i) == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), None])
def test_the_class_with_the_largest_total_box_area_is_taken(tmp_path, size):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5), size=size)
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5), size=size)
    picture(
        tmp_path,
        "cats.jpg",
        ("cat", 0, 0, 10, 12),
        ("dog", 10, 10, 23, 23),
        ("cat", 40, 30, 30, 20),
        size=size,
    )  # 220, 169
    picture(tmp_path, "dogs.jpg", ("cat", 0, 0, 10, 10), ("dog", 20, 20, 40, 40), size=size)
    source = open_source(tmp_path)
    assert train_and_validation(source) == {
        "cat.jpg": "cat",
        "cats.jpg": "cat",
        "dog.jpg": "dog",
        "dogs.jpg": "dog",
    }
    assert (
        source.notes[0]
        == "2 images have objects of several classes: the class with the largest area is taken"
    )
    assert [
        name for name, *_ in (boxes(source, "train") | boxes(source, "validation"))["cats.jpg"]
    ] == ["cat", "dog", "cat"]


def test_images_without_annotated_objects_are_left_out_with_a_note(tmp_path):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5))
    picture(tmp_path, "lost.jpg")
    picture(tmp_path, "none.jpg", None)
    annotate(tmp_path / "annotations" / "no picture.xml", ("eel", 0, 0, 5, 5))
    source = open_source(tmp_path)
    assert source.classes == ("cat", "dog")
    assert labeled(source, "train") == {"cat.jpg": "cat", "dog.jpg": "dog"}
    assert source.notes[0] == "2 images have no annotation, or no object in it: left out"


def test_subfolders_of_images_match_the_same_subfolders_of_annotations(tmp_path):
    picture(tmp_path, "here/1.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "there/1.jpg", ("dog", 0, 0, 50, 40))
    source = open_source(tmp_path)
    assert source.splits["train"].names == ["images/here/1.jpg", "images/there/1.jpg"]
    assert source.classes == ("cat", "dog")
    assert source.splits["train"].read_boxes(1, WIDTH, HEIGHT).corners.tolist() == [[0, 0, 1, 1]]


def test_an_annotation_in_another_subfolder_is_used_only_if_it_is_unambiguous(tmp_path):
    picture(tmp_path, "here/1.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "2.jpg", ("dog", 0, 0, 5, 5))
    (tmp_path / "annotations" / "2.xml").rename(tmp_path / "annotations" / "here" / "2.xml")
    picture(tmp_path, "there/1.jpg")  # the annotation of this name belongs to here/1.jpg
    source = open_source(tmp_path)
    assert labeled(source, "train") == {"1.jpg": "cat", "2.jpg": "dog"}
    assert source.notes[0] == "1 images have no annotation, or no object in it: left out"
    annotate(tmp_path / "annotations" / "there" / "2.xml", ("cat", 0, 0, 5, 5))
    with pytest.raises(
        ValueError,
        match=r"the name 2\. Received: 2.jpg, .*here/2.xml, .*there/2.xml. Store each annotation",
    ):
        open_source(tmp_path)
    picture(tmp_path, "everywhere/2.jpg")
    (tmp_path / "annotations" / "there" / "2.xml").unlink()
    with pytest.raises(
        ValueError,
        match=(
            r"the name 2\. Received: 2.jpg, everywhere/2.jpg, "
            r".*here/2.xml\. Store each annotation"
        ),
    ):
        open_source(tmp_path)


def test_images_and_boxes_are_the_same_on_a_remote_file_system(tmp_path):
    for i in range(3):
        picture(
            tmp_path / "voc",
            f"cat{i}.jpg",
            ("cat", i, 0, 5, 5),
            folders=("JPEGImages", "Annotations"),
        )
        picture(
            tmp_path / "voc",
            f"dog{i}.png",
            ("dog", i, 0, 9, 9),
            folders=("JPEGImages", "Annotations"),
        )
    upload(tmp_path / "voc", f"ram://{tmp_path.name}/voc")
    here, there = open_source(tmp_path / "voc"), open_source(f"ram://{tmp_path.name}/voc")
    assert here.fingerprint() == there.fingerprint()
    assert boxes(here, "train") == boxes(there, "train")


def test_a_damaged_annotation_is_reported(tmp_path):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5))
    put(tmp_path / "annotations" / "dog.xml", "<annotation>")
    with pytest.raises(
        ValueError, match=r"dog\.xml must be a Pascal VOC annotation.* Fix or remove the file"
    ):
        open_source(tmp_path)


def test_an_object_without_a_name_is_reported(tmp_path):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5))
    picture(tmp_path, "eel.jpg", (" ", 0, 0, 5, 5))
    with pytest.raises(ValueError, match=r"eel\.xml"):
        open_source(tmp_path)


def test_objects_of_one_class_are_refused(tmp_path):
    picture(tmp_path, "1.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "2.jpg", ("cat", 0, 0, 5, 5))
    with pytest.raises(
        ValueError, match=r"annotations must have objects of at least 2 classes\. Received: 1\."
    ):
        open_source(tmp_path)


def test_folders_named_images_and_annotations_without_xml_may_be_classes_and_are_refused(tmp_path):
    for name in ("images", "annotations"):
        save(tmp_path / name / "1.png", noise(4, 4))
    with pytest.raises(ValueError, match="Received: annotations/, images/, which may be parts"):
        open_source(tmp_path)


def test_records_store_boxes_with_their_own_labels(tmp_path):
    for i in range(2):
        picture(tmp_path / "in", f"cat{i}.jpg", ("cat", 0, 0, 25, 20), ("dog", 5, 4, 10, 8))
        picture(
            tmp_path / "in", f"dog{i}.jpg", ("dog", 0, 0, 25, 20), ("cat", 5, 4, 10, 8), size=None
        )
    write(open_source(tmp_path / "in"), tmp_path / "out", progress=False)
    stored = examples(tmp_path / "out", "train") | examples(tmp_path / "out", "validation")
    large, small = (0, 0, 0.5, 0.5), (0.1, 0.1, 0.2, 0.2)
    assert {name: record_boxes(example) for name, example in stored.items()} == {
        **{f"images/cat{i}.jpg": [(0, "cat", *large), (1, "dog", *small)] for i in range(2)},
        **{f"images/dog{i}.jpg": [(1, "dog", *large), (0, "cat", *small)] for i in range(2)},
    }


@real_data
def test_the_real_kangaroos_and_raccoons_have_the_classes_of_their_annotations():
    source = open_source(Path(DATA, "boxes-2class"))
    assert source.classes == ("kangaroo", "raccoon")
    named = train_and_validation(source)
    assert set(named) == set(os.listdir(Path(DATA, "boxes-2class", "images")))
    assert all(name.startswith(label) for name, label in named.items())
