"""Class folders are read, also wrapped ones and those with names of splits."""

import pytest

from tests.data.making_trees import CD, JPG, at, plant, summarize

DEEP = "class folders have folders inside, each is read as one class"
CASES = {
    "one dataset of class folders": (at(""), {"train": CD}, []),
    "class folders with deep images": (
        {"cat/a/b": 1, "dog": 2},
        {"train": {"cat": 1, "dog": 2}},
        [],
    ),
    "deep images of one repeated name": (
        {"cat/images": 1, "dog/images": 2},
        {"train": {"cat": 1, "dog": 2}},
        [],
    ),
    "nested names differ": (
        {"cat/a": 1, "cat/b": 1, "dog/c": 1, "dog/d": 1},
        {"train": {"cat": 2, "dog": 2}},
        [f"{DEEP}: cat/ (a, b), dog/ (c, d)"],
    ),
    "datasets as classes": (
        at("flowers", classes=("rose", "tulip")) | at("cars", classes=("bmw", "vw")),
        {"train": {"cars": 5, "flowers": 5}},
        [f"{DEEP}: cars/ (bmw, vw), flowers/ (rose, tulip)"],
    ),
    "deep and flat class folders in train": (
        at("train/cat", classes=("persian", "siamese")) | {"train/dog": 2},
        {"train": {"cat": 5, "dog": 2}},
        [f"{DEEP}: cat/ (persian, siamese)"],
    ),
    "L8 valid and invalid": (
        at("", classes=("invalid", "valid")),
        {"train": {"invalid": 3, "valid": 2}},
        [],
    ),
    "car train bus": (
        {"car": 1, "train": 2, "bus": 3},
        {"train": {"bus": 3, "car": 1, "train": 2}},
        [],
    ),
    "bullet_train class": (
        {"bullet_train": 2, "tram": 2, "bus": 2},
        {"train": {"bullet_train": 2, "bus": 2, "tram": 2}},
        [],
    ),
    "L9 labeled only": (at(""), {"train": CD}, []),
    "L10 dollars": (
        {"$1_$2": 2, "_five$": 2, "10$": 2},
        {"train": {"$1_$2": 2, "10$": 2, "_five$": 2}},
        [],
    ),
    "L11 brackets and percent": (
        at("data [x] 100%"),
        {"train": CD},
        ["data [x] 100%/: the only folder with images, so it is read"],
    ),
    "empty class": (at("") | {"fox": 0}, {"train": CD}, ["1 folder without images in data/: fox"]),
    "wrapped": (
        at("archive"),
        {"train": CD},
        ["archive/: the only folder with images, so it is read"],
    ),
    "wrapped twice": (
        at("archive/data"),
        {"train": CD},
        ["archive/data/: the only folder with images, so it is read"],
    ),
    "wrapped thrice": (
        at("a/b/c"),
        {"train": CD},
        ["a/b/c/: the only folder with images, so it is read"],
    ),
    "PetImages": (
        at("PetImages") | {"PetImages/cat/Thumbs.db": "x", "readme[1].txt": "x"},
        {"train": CD},
        [
            "PetImages/: the only folder with images, so it is read",
            "not images: 1 .txt",
            "skipped: 1 Thumbs.db",
        ],
    ),
    "caltech-101": (
        {
            "101_ObjectCategories/BACKGROUND_Google": 2,
            "101_ObjectCategories/ant": 2,
            "101_ObjectCategories/bee": 2,
        },
        {"train": {"BACKGROUND_Google": 2, "ant": 2, "bee": 2}},
        ["101_ObjectCategories/: the only folder with images, so it is read"],
    ),
    "flowers copy": (
        at("") | at("flowers"),
        {"train": CD},
        ["5 images in flowers/: folders with the names of the classes, not used"],
    ),
    "loose image": (
        at("") | {"sample.png": JPG},
        {"train": CD},
        ["1 image directly in data/, outside class folders: left out"],
    ),
    "table beside class folders": (
        at("") | {"labels.csv": "image,label\n0.png,x\n"},
        {"train": CD},
        ["not images: 1 .csv"],
    ),
}


@pytest.mark.parametrize(("tree", "splits", "notes"), CASES.values(), ids=CASES)
def test_class_folders_are_read_and_the_rest_is_noted(tmp_path, tree, splits, notes):
    assert summarize(plant(tmp_path / "data", tree)) == (splits, notes)
