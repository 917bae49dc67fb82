"""Splits of pictures with Pascal VOC annotations: read from folders and lists, or refused."""

import zlib

import numpy as np
import pytest

from tests.data.making_annotated import annotate, put
from tests.making import save
from vgg_tf.data.opening import open_source
from vgg_tf.layouts import pascal_voc

FLAT = [f"{kind}{i}" for kind in "ab" for i in range(4)]
SPLIT = [f"train/{kind}{i}" for kind in "ab" for i in range(3)]


def make(root, images, annotations=None):
    """Write pictures of the class of their first letter; `annotations` have other paths."""
    for name, xml in zip(images, annotations or images, strict=True):
        pixels = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (8, 8, 3))
        save(root / "JPEGImages" / f"{name}.png", pixels.astype(np.uint8))
        label = name.split("/")[-1][0]
        annotate(root / "Annotations" / f"{xml}.xml", (label, 1, 1, 6, 6), size=(8, 8))


def list_splits(root, **lists):
    for name, names in lists.items():
        put(root / "ImageSets" / "Main" / f"{name}.txt", "".join(f"{line}\n" for line in names))


def read(root):
    """Return `{split: [name without folder and suffix]}` and the notes."""
    source = pascal_voc.open_annotated(str(root), *pascal_voc.find_layout(str(root)), False)
    splits = {
        split: sorted(name.split("/")[-1][:-4] for name in images.names)
        for split, images in source.splits.items()
    }
    return splits, source.notes


FOLDERS = {
    "train and val": ([*SPLIT, "val/a3", "val/b3"], {"validation": ["a3", "b3"]}),
    "other words": ([*SPLIT, "valid/a3", "Testing/b3"], {"validation": ["a3"], "test": ["b3"]}),
    "folders below": ([*SPLIT, "test/x/a3"], {"test": ["a3"]}),
    "no labels": ([*SPLIT, "test/a3", "unlabeled/b9"], {"test": ["a3"]}),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_folders_are_splits(tmp_path, case):
    images, others = FOLDERS[case]
    make(tmp_path, images)
    splits, notes = read(tmp_path)
    assert splits == {"train": ["a0", "a1", "a2", "b0", "b1", "b2"], **others}
    left = "1 image in folders that stand for no labels: left out (unlabeled/b9.png)"
    assert (left in notes) == (case == "no labels")


def test_folders_of_annotations_are_splits_of_images_in_one_folder(tmp_path):
    names = ["a0", "b0", "a1", "b1"]
    make(tmp_path, names, ["train/a0", "train/b0", "val/a1", "val/b1"])
    save(tmp_path / "JPEGImages" / "lost.png", np.zeros((8, 8, 3), np.uint8))
    splits, notes = read(tmp_path)
    assert splits == {"train": ["a0", "b0"], "validation": ["a1", "b1"]}
    assert any("1 images have no annotation" in note for note in notes)


LISTS = {
    "three lists": (
        {"train": ["a0", "b0"], "val": ["a1", "b1"], "test": ["a2", "b2", "a3", "b3"]},
        {"train": ["a0", "b0"], "validation": ["a1", "b1"], "test": ["a2", "a3", "b2", "b3"]},
        None,
    ),
    "lists of a class are not read": (
        {"train": FLAT, "a_train": ["a0  1", "b0 -1"], "a_val": ["a0 1"]},
        {"train": FLAT},
        None,
    ),
    "trainval is not needed": (
        {"train": ["a0", "b0"], "val": ["a1"], "trainval": ["a0", "b0", "a1"], "test": ["b3"]},
        {"train": ["a0", "b0"], "validation": ["a1"], "test": ["b3"]},
        "4 images in no list of splits: left out (a2.png, a3.png, b1.png, b2.png)",
    ),
    "trainval without train": (
        {"trainval": ["a0", "b0", "a1", "b1"], "val": ["a1"], "test": ["a2", "b2", "a3", "b3"]},
        {"train": ["a0", "b0", "b1"], "validation": ["a1"], "test": ["a2", "a3", "b2", "b3"]},
        None,
    ),
    "suffixes and a second column": (
        {"train": ["a0.png", "b0 1", "", "nowhere"]},
        {"train": ["a0", "b0"]},
        "1 name in train.txt without an image: left out (nowhere)",
    ),
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_are_splits(tmp_path, case):
    lists, splits, note = LISTS[case]
    make(tmp_path, FLAT)
    list_splits(tmp_path, **lists)
    found, notes = read(tmp_path)
    assert found == splits
    assert note is None or note in notes


def test_a_listed_image_in_a_subfolder_is_found_by_its_name(tmp_path):
    make(tmp_path, ["x/a0", "x/b0", "y/a1", "y/b1"])
    list_splits(tmp_path, train=["a0", "b0"], test=["y/a1", "b1"])
    assert read(tmp_path)[0] == {"train": ["a0", "b0"], "test": ["a1", "b1"]}


REFUSED = {
    "a folder that is no split": ([*SPLIT, "val/a3", "more/a4"], {}, "val/ and more/"),
    "images beside the folders": ([*SPLIT, "a9"], {}, "train/ and files without a folder"),
    "two folders for one split": (
        [*SPLIT, "val/a3", "valid/b3"],
        {},
        "two folders for one split: val/, valid/",
    ),
    "no train": (["val/a0", "val/b0", "test/a1"], {}, "must have images of train"),
    "lists and folders": ([*SPLIT, "val/a3"], {"train": ["a0"]}, "Received both"),
    "an image in two lists": (FLAT, {"train": FLAT, "val": ["a1"]}, "Received: a1 in"),
    "two lists of a split": (FLAT, {"train": FLAT, "val": [], "valid": []}, "Received: val.txt"),
    "no list of train": (FLAT, {"test": ["a1", "b1"]}, "must have images of train"),
    "a class without training images": (
        FLAT,
        {"train": ["a0", "a1"], "test": ["b1"]},
        "Received none of b in",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_mean_two_things_is_refused(tmp_path, case):
    images, lists, words = REFUSED[case]
    make(tmp_path, images)
    list_splits(tmp_path, **lists)
    with pytest.raises(ValueError, match=words):
        open_source(str(tmp_path))
