"""Selections of folders and shards; unknown classes are refused."""

import os
import re
import subprocess
import sys

import pytest
import tensorflow as tf
from PIL import Image

from tests.data.making_selections import counts, fill
from tests.making import save
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import EVERYTHING, Selection
from vgg_tf.writing.write import write


def test_a_limit_draws_the_same_images_every_time_in_any_process(tmp_path):
    folder = fill(tmp_path, train__a=40, train__b=30, val__a=9, val__b=2)
    source = open_source(folder, Selection(limit_per_class=5))
    assert counts(source) == {"train": {"a": 5, "b": 5}, "validation": {"a": 5, "b": 2}}
    code = (
        "import sys; from vgg_tf.data.selection import Selection; from vgg_tf.data.opening "
        "import open_source;source = open_source(sys.argv[1], Selection(limit_per_class=5));"
        "print(*(name for part in source.splits.values() for name in part.names))"
    )
    command = [sys.executable, "-c", code, folder]
    said = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "1"},
    )
    assert said.stdout.split() == [name for part in source.splits.values() for name in part.names]


def test_held_out_images_come_from_the_selection(tmp_path):
    folder = fill(tmp_path, ant=100, bee=40, cow=60)
    source = open_source(folder, Selection(limit_per_class=30))
    assert counts(source) == {
        split: dict.fromkeys(("ant", "bee", "cow"), n)
        for split, n in (("train", 27), ("validation", 3))
    }
    assert source.notes == (
        "no validation split: 9 of 90 training images held out, the same share of each class",
    )
    source = open_source(folder, Selection(classes=("ant", "cow")))
    assert counts(source) == {"train": {"ant": 90, "cow": 54}, "validation": {"ant": 10, "cow": 6}}
    source = open_source(folder, Selection(limit_per_class=1))
    assert counts(source) == {"train": {"ant": 1, "bee": 1, "cow": 1}}
    assert "nothing can be held out for validation" in source.notes[0]


def test_a_validation_split_without_selected_classes_counts_as_missing(tmp_path):
    folder = fill(tmp_path, train__a=10, train__b=10, train__c=10, val__c=3, test__a=2, test__c=2)
    assert counts(open_source(folder, Selection(classes=("a", "b")))) == {
        "train": {"a": 9, "b": 9},
        "validation": {"a": 1, "b": 1},
        "test": {"a": 2},
    }
    assert counts(open_source(folder)) == {
        "train": {"a": 10, "b": 10, "c": 10},
        "validation": {"c": 3},
        "test": {"a": 2, "c": 2},
    }


def test_a_selection_of_fewer_images_changes_the_fingerprint(tmp_path):
    folder = fill(tmp_path, train__n1a=6, train__n1b=6, train__n2a=6, val__n1a=2, val__n2a=2)
    selections = [
        EVERYTHING,
        Selection(prefix="n1"),
        Selection(classes=("n1a", "n2a")),
        Selection(limit_per_class=5),
        Selection(limit_per_class=4),
        Selection(limit_per_class=1),
        Selection(prefix="n1", limit_per_class=5),
    ]
    fingerprints = [open_source(folder, selection).fingerprint() for selection in selections]
    assert len(set(fingerprints)) == len(selections)
    # Other selections of the same images do not change it.
    assert open_source(folder, Selection(classes=("n1b", "n1a"))).fingerprint() == fingerprints[1]
    assert open_source(folder, Selection(limit_per_class=6)).fingerprint() == fingerprints[0]


def test_unselected_class_folders_are_not_listed(tmp_path):
    fill(tmp_path, train__a=3, train__b=3, val__a=1)
    (tmp_path / "train" / "c").mkdir()
    (tmp_path / "train" / "c" / "1.png").write_bytes(b"")
    (tmp_path / "val" / "zebra").mkdir()
    (tmp_path / "val" / "zebra" / "1.png").write_bytes(
        b""
    )  # train lacks this class, which is not selected
    source = open_source(str(tmp_path), Selection(classes=("a", "b")))
    assert counts(source) == {"train": {"a": 3, "b": 3}, "validation": {"a": 1}}


def test_an_unknown_class_of_digits_is_refused_with_a_list_of_classes():
    with pytest.raises(
        ValueError, match=r"digits has no class eleven.* It has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\.$"
    ):
        open_source("digits", Selection(classes=("3", "eleven")))


@pytest.mark.parametrize("classes", [("ant", "eel"), ("ant", "bee", "eel"), ("eel", "fox")])
def test_an_unknown_class_of_a_folder_is_refused_with_a_list_of_classes(tmp_path, classes):
    folder = fill(tmp_path, ant=2, bee=2, cow=2)
    with pytest.raises(ValueError, match=r"has no class eel.* It has ant, bee, cow\.$"):
        open_source(folder, Selection(classes=classes))


@pytest.mark.parametrize(
    ("selection", "n"),
    [(Selection(prefix="x"), 0), (Selection(prefix="a"), 1), (Selection(classes=("ant",)), 1)],
)
def test_fewer_than_two_selected_class_folders_are_refused(tmp_path, selection, n):
    with pytest.raises(
        ValueError, match=rf"At least 2 classes of .* must be selected\. Received: {n}\. Select"
    ):
        open_source(fill(tmp_path, ant=2, bee=2, cow=2), selection)


@pytest.fixture
def shards(once):
    """Shards of four classes with 6 train and 2 validation images each.

    Each image also has a box of the next class.
    """

    def make(root):
        classes, folder = ("n1a", "n1b", "n2a", "n2b"), root / "in" / "Annotations"
        folder.mkdir(parents=True)
        for k, name in enumerate(classes):
            for i in range(8):
                save(
                    root / "in" / "JPEGImages" / f"{name}-{i}.png",
                    Image.new("RGB", (10, 10), (k, i, 0)),
                )
                things = ((name, 0, 8), (classes[(k + 1) % 4], 8, 10))
                corners = "<xmin>{0}</xmin><ymin>{0}</ymin><xmax>{1}</xmax><ymax>{1}</ymax>"
                boxes = (
                    f"<object><name>{thing}</name><bndbox>{corners.format(*at)}</bndbox></object>"
                    for thing, *at in things
                )
                text = (
                    "<annotation><size><width>10</width><height>10</height></size>"
                    f"{''.join(boxes)}</annotation>"
                )
                (folder / f"{name}-{i}.xml").write_text(text)
        write(open_source(str(root / "in")), str(root / "shards"), shards=2, progress=False)

    return str(once("shards_of_boxes", make) / "shards")


def records(folder):
    """Return `{file name: (label, synset, [(box label, box text)])}` of all records."""
    found = {}
    for path in tf.io.gfile.glob(f"{folder}/*-of-*"):
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            boxes = zip(
                feature["image/object/bbox/label"].int64_list.value,
                (text.decode() for text in feature["image/object/class/text"].bytes_list.value),
                strict=True,
            )
            name = feature["image/filename"].bytes_list.value[0].decode()
            synset = feature["image/class/synset"].bytes_list.value[0].decode()
            found[name] = (feature["image/class/label"].int64_list.value[0], synset, list(boxes))
    return found


def test_a_selection_of_shards_is_written_with_new_labels_of_images_and_boxes(shards, tmp_path):
    every = records(shards)
    assert len(every) == 32
    assert all(
        label == ("n1a", "n1b", "n2a", "n2b").index(synset) for label, synset, _ in every.values()
    )
    source = open_source(shards, Selection(prefix="n2", limit_per_class=4))
    assert counts(source) == {"train": {"n2a": 4, "n2b": 4}, "validation": {"n2a": 1, "n2b": 1}}
    collection = write(source, str(tmp_path / "part"), progress=False)
    part = records(tmp_path / "part")
    assert len(part) == 10
    for name, row in part.items():
        synset = re.search(r"n2[ab]", name)[0]
        boxes = {
            "n2a": [(0, "n2a"), (1, "n2b")],
            "n2b": [(1, "n2b")],
        }  # the box of n1a has no class anymore
        assert row == (("n2a", "n2b").index(synset), synset, boxes[synset])
    assert collection.classes == ("n2a", "n2b")
    assert sum("1 boxes of other classes left out" in note for note in collection.notes) == 5
    assert sum(values["boxes"] for values in collection.splits.values()) == 15
    assert (
        open_source(shards, Selection(prefix="n2", limit_per_class=4)).fingerprint()
        == source.fingerprint()
    )


def test_an_unknown_class_of_shards_is_refused(shards):
    with pytest.raises(ValueError, match=r"shards has no class n3\. It has n1a, n1b, n2a, n2b\."):
        open_source(shards, Selection(classes=("n1a", "n3")))
