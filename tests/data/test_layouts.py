"""Folders of splits are found by their names, and what is left out is noted."""

import pytest

from tests.data.making_trees import CD, at, plant, summarize

CASES = {
    "train val test": (at("train", "val", "test"), {"train": CD, "validation": CD, "test": CD}, []),
    "TRAIN Valid Test": (
        at("TRAIN", "Valid", "Test"),
        {"train": CD, "validation": CD, "test": CD},
        [],
    ),
    "L1 Training and Testing": (at("Training", "Testing"), {"train": CD, "test": CD}, []),
    "L2 seg_train twice": (
        at("seg_train/seg_train", "seg_test/seg_test") | {"seg_pred/seg_pred": 5},
        {"train": CD, "test": CD},
        ["5 images without labels in seg_pred/: left out; `predict` takes them"],
    ),
    "L3 train and testing": (at("train", "testing"), {"train": CD, "test": CD}, []),
    "dev": (at("train", "dev"), {"train": CD, "validation": CD}, []),
    "eval": (at("train", "eval", "test"), {"train": CD, "validation": CD, "test": CD}, []),
    "holdout": (at("train", "holdout"), {"train": CD, "validation": CD}, []),
    "hold-out": (at("train", "hold-out"), {"train": CD, "validation": CD}, []),
    "unknown beside": (
        at("train", "testing", "extra") | {"more": 2},
        {"train": CD, "test": CD},
        ["5 images in extra/: not used", "2 images in more/: not used"],
    ),
    "L4 flat test": (
        at("train") | {"test": 5},
        {"train": CD},
        ["5 images without labels in test/: left out; `predict` takes them"],
    ),
    "flat val": (
        at("train") | {"val": 2, "test": 1},
        {"train": CD},
        [
            "2 images without labels in val/: left out; `predict` takes them",
            "1 image without labels in test/: left out; `predict` takes them",
        ],
    ),
    "flat inside test": (
        at("train") | {"test/images": 4},
        {"train": CD},
        ["4 images without labels in test/: left out; `predict` takes them"],
    ),
    "flat unknown inside test": (
        at("train") | {"test/unsorted": 4},
        {"train": CD},
        ["4 images without labels in test/: left out; `predict` takes them"],
    ),
    "flat and class folders in test": (
        at("train", "test") | {"test": 4},
        {"train": CD, "test": CD},
        ["4 images directly in test/, outside class folders: left out"],
    ),
    "unlabeled in train": (
        at("train", "test") | {"train/unlabeled": 4},
        {"train": CD, "test": CD},
        ["4 images without labels in train/unlabeled/: left out; `predict` takes them"],
    ),
    "train structured and flat": (
        at("train") | {"train_images": 2},
        {"train": CD},
        ["2 images without labels in train_images/: left out; `predict` takes them"],
    ),
    "one class in val": (at("train") | {"val/cat": 1}, {"train": CD, "validation": {"cat": 1}}, []),
    "empty val": (at("train") | {"val/cat": 0}, {"train": CD}, ["no images in val/: left out"]),
    "train in images": (at("train/images", "test/images"), {"train": CD, "test": CD}, []),
    "nested wrap in split": (at("train/a/train", "val/a/val"), {"train": CD, "validation": CD}, []),
    "chest-xray": (
        at(
            "train",
            "val",
            "test",
            "chest_xray/train",
            "chest_xray/test",
            classes=("NORMAL", "PNEUMONIA"),
        )
        | {"__MACOSX/train/._NORMAL": "x"},
        {
            "train": {"NORMAL": 3, "PNEUMONIA": 2},
            "validation": {"NORMAL": 3, "PNEUMONIA": 2},
            "test": {"NORMAL": 3, "PNEUMONIA": 2},
        },
        ["10 images in chest_xray/: not used", "skipped: 1 __MACOSX/"],
    ),
    "wrapped chest-xray": (
        at(
            *(f"chest_xray/{p}" for p in ("train", "val", "test", "chest_xray/train")),
            classes=("NORMAL", "PNEUMONIA"),
        ),
        {
            "train": {"NORMAL": 3, "PNEUMONIA": 2},
            "validation": {"NORMAL": 3, "PNEUMONIA": 2},
            "test": {"NORMAL": 3, "PNEUMONIA": 2},
        },
        [
            "chest_xray/: the only folder with images, so it is read",
            "5 images in chest_xray/chest_xray/: not used",
        ],
    ),
    "cats-and-dogs": (
        at("training_set/training_set", "test_set/test_set"),
        {"train": CD, "test": CD},
        [],
    ),
    "fruits-360": (
        at("Training", "Test") | {"test-multiple_fruits": 3, "papers/a.pdf": "%PDF"},
        {"train": CD, "test": CD},
        [
            "3 images without labels in test-multiple_fruits/: left out; `predict` takes them",
            "not images: 1 .pdf",
        ],
    ),
    "asl": (
        at("asl_alphabet_train/asl_alphabet_train", classes=("A", "B"))
        | {"asl_alphabet_test/asl_alphabet_test": 2},
        {"train": {"A": 3, "B": 2}},
        ["2 images without labels in asl_alphabet_test/: left out; `predict` takes them"],
    ),
    "train test pred": (
        at("train", "test") | {"predict": 3},
        {"train": CD, "test": CD},
        ["3 images without labels in predict/: left out; `predict` takes them"],
    ),
    "wrapped splits": (
        at("archive/train", "archive/test") | {"README.md": "x"},
        {"train": CD, "test": CD},
        ["archive/: the only folder with images, so it is read", "not images: 1 .md"],
    ),
    "wrapped train only": (
        at("data/train"),
        {"train": CD},
        ["data/: the only folder with images, so it is read"],
    ),
    "train with test inside": (
        at("data/train", "data/test", "data/val"),
        {"train": CD, "validation": CD, "test": CD},
        ["data/: the only folder with images, so it is read"],
    ),
}


@pytest.mark.parametrize(("tree", "splits", "notes"), CASES.values(), ids=CASES)
def test_folders_of_splits_are_read_and_the_rest_is_noted(tmp_path, tree, splits, notes):
    assert summarize(plant(tmp_path / "data", tree)) == (splits, notes)
