"""Pictures with annotations are read as those who made them meant, or refused by name."""

import os
from pathlib import Path

import pytest

from tests.data.making_annotated import (
    HEIGHT,
    WIDTH,
    annotate,
    boxes,
    examples,
    labelled,
    put,
    record_boxes,
    upload,
)
from tests.making import DATA, noise, real_data, save
from vgg_tf.data.opening import open_source
from vgg_tf.data.writing import write


def picture(root, name, *objects, folders=("images", "annotations"), size=(WIDTH, HEIGHT)):
    """Write a picture, and its annotation where objects are given; None for an annotation without
    objects.
    """
    save(root / folders[0] / name, noise(HEIGHT, WIDTH))
    if objects:
        path = (root / folders[1] / name).with_suffix(".xml")
        annotate(path, *(thing for thing in objects if thing), size=size)


def train_and_validation(source):
    return labelled(source, "train") | labelled(source, "validation")


@pytest.mark.parametrize(
    "folders", [("images", "annotations"), ("JPEGImages", "Annotations"), ("Images", "annotations")]
)
def test_a_pictures_class_is_that_of_its_objects(tmp_path, folders):
    for i in range(4):
        picture(tmp_path, f"{i}.jpg", ("raccoon", 1, 2, 30, 40), folders=folders)
        picture(
            tmp_path,
            f"kangaroo-{i}.png",
            ("kangaroo", 5, 4, 10, 8),
            ("kangaroo", 0, 0, 50, 40),
            folders=folders,
        )
    put(tmp_path / "ImageSets" / "Main" / "train.txt", "0\n")
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
def test_of_several_classes_that_which_covers_most_in_all_its_boxes_is_taken(tmp_path, size):
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
        == "2 images show objects of several classes: the one that covers most is theirs"
    )
    assert [
        name for name, *_ in (boxes(source, "train") | boxes(source, "validation"))["cats.jpg"]
    ] == ["cat", "dog", "cat"]


def test_pictures_without_an_annotation_or_with_an_empty_one_are_left_out_and_counted(tmp_path):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5))
    picture(tmp_path, "lost.jpg")
    picture(tmp_path, "none.jpg", None)
    annotate(tmp_path / "annotations" / "no picture.xml", ("eel", 0, 0, 5, 5))
    source = open_source(tmp_path)
    assert source.classes == ("cat", "dog")
    assert labelled(source, "train") == {"cat.jpg": "cat", "dog.jpg": "dog"}
    assert source.notes[0] == "2 images have no annotation, or none with an object: left out"


def test_folders_below_hold_the_annotations_of_the_same_folders(tmp_path):
    picture(tmp_path, "here/1.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "there/1.jpg", ("dog", 0, 0, 50, 40))
    source = open_source(tmp_path)
    assert source.splits["train"].names == ["images/here/1.jpg", "images/there/1.jpg"]
    assert source.classes == ("cat", "dog")
    assert source.splits["train"].read_boxes(1, WIDTH, HEIGHT).corners.tolist() == [[0, 0, 1, 1]]


def test_an_annotation_in_another_folder_is_taken_only_where_no_other_can_be_meant(tmp_path):
    picture(tmp_path, "here/1.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "2.jpg", ("dog", 0, 0, 5, 5))
    (tmp_path / "annotations" / "2.xml").rename(tmp_path / "annotations" / "here" / "2.xml")
    picture(tmp_path, "there/1.jpg")  # the annotation of this name is the other's
    source = open_source(tmp_path)
    assert labelled(source, "train") == {"1.jpg": "cat", "2.jpg": "dog"}
    assert source.notes[0] == "1 images have no annotation, or none with an object: left out"
    annotate(tmp_path / "annotations" / "there" / "2.xml", ("cat", 0, 0, 5, 5))
    with pytest.raises(
        ValueError,
        match=r"2 is the name of several: 2.jpg, .*here/2.xml, .*there/2.xml. Put each annotation",
    ):
        open_source(tmp_path)
    picture(tmp_path, "everywhere/2.jpg")
    (tmp_path / "annotations" / "there" / "2.xml").unlink()
    with pytest.raises(
        ValueError,
        match=(
            r"2 is the name of several: 2.jpg, everywhere/2.jpg, "
            r".*here/2.xml. Put each annotation"
        ),
    ):
        open_source(tmp_path)


def test_they_are_the_same_on_a_remote_file_system_with_their_boxes(tmp_path):
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


def test_a_broken_annotation_is_named(tmp_path):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5))
    put(tmp_path / "annotations" / "dog.xml", "<annotation>")
    with pytest.raises(
        ValueError, match=r"dog\.xml is no Pascal-VOC annotation .* Mend or remove it"
    ):
        open_source(tmp_path)


def test_an_object_without_a_name_makes_no_class_without_a_name(tmp_path):
    picture(tmp_path, "cat.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "dog.jpg", ("dog", 0, 0, 5, 5))
    picture(tmp_path, "eel.jpg", (" ", 0, 0, 5, 5))
    with pytest.raises(ValueError, match=r"eel\.xml"):
        open_source(tmp_path)


def test_objects_of_one_class_are_refused(tmp_path):
    picture(tmp_path, "1.jpg", ("cat", 0, 0, 5, 5))
    picture(tmp_path, "2.jpg", ("cat", 0, 0, 5, 5))
    with pytest.raises(
        ValueError, match="annotations tells of objects of 1 classes; at least 2 are needed"
    ):
        open_source(tmp_path)


def test_class_folders_that_are_called_so_but_hold_no_xml_are_class_folders(tmp_path):
    for name in ("images", "annotations"):
        save(tmp_path / name / "1.png", noise(4, 4))
    assert open_source(tmp_path).classes == ("annotations", "images")


def test_boxes_of_pictures_go_into_the_records_with_their_own_labels(tmp_path):
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
def test_the_real_kangaroos_and_raccoons_are_told_apart_by_their_annotations():
    source = open_source(Path(DATA, "boxes-2class"))
    assert source.classes == ("kangaroo", "raccoon")
    named = train_and_validation(source)
    assert set(named) == set(os.listdir(Path(DATA, "boxes-2class", "images")))
    assert all(name.startswith(label) for name, label in named.items())
