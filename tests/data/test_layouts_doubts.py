"""Folders whose names or tables contradict class folders are refused, or one is read and named."""

import pytest

from tests.data.making_trees import CD, PNG, at, check_refused, label, plant, summarize

LABELS = label(range(4), "abab")
TWO = ["train", "train", "val", "val"]
AB = {"a": 2, "b": 2}
PARTS = "which may be parts of one dataset, or classes."
FROM = "labels of images/ from labels.csv, column label"
SITES = "must have its labels in class folders or in a table. Received: site"


def put(folder, names):
    """Return a tree of pictures with these names in a folder."""
    return {f"{folder}/{name}.png": PNG for name in names}


READ = {
    "masks in splits, and a table": (
        {"train/images": 4, "train/masks": 4, "val/images": 2, "train.csv": LABELS},
        {"train": AB},
        [
            "2 images without labels in val/: left out; `predict` takes them",
            "labels of train/images/ from train.csv, column label",
            "4 images in train/masks/: not used",
        ],
    ),
    "masks and a table": (
        {"images": 4, "masks": 4, "labels.csv": LABELS},
        {"train": AB},
        [FROM, "4 images in masks/: not used"],
    ),
    "masks beside train, and a table": (
        {"train": 4, "masks": 4, "train.csv": LABELS},
        {"train": AB},
        ["4 images in masks/: not used", "labels of train/ from train.csv, column label"],
    ),
    "a column of splits beside class folders": (
        put("cat", range(2))
        | put("dog", "xy")
        | {"s.csv": label([0, 1, "x", "y"], TWO, "f,split")},
        {"train": {"cat": 2, "dog": 2}},
        ["the column of splits in s.csv is not used with class folders", "not images: 1 .csv"],
    ),
    "documents and a table": (
        {"images": 4, "docs": 2, "labels.csv": LABELS},
        {"train": AB},
        [FROM, "2 images in docs/: not used"],
    ),
    "one of several folders has a table": (
        {"images": 4, "more/x.png": PNG, "labels.csv": LABELS},
        {"train": AB},
        [FROM, "1 image in more/: not used"],
    ),
    "a table that agrees with the folders": (
        put("site_a", range(3)) | put("site_b", range(3, 6)) | {"t.csv": label(range(6), "aaabbb")},
        {"train": {"site_a": 3, "site_b": 3}},
        ["not images: 1 .csv"],
    ),
    "documents beside train": (
        at("train") | {"docs": 2},
        {"train": CD},
        ["2 images in docs/: not used"],
    ),
    "names that systems use": (
        at("") | {"recycled": 3, ".NET": 2, "wandb": 4, "RECYCLER": 1},
        {"train": CD | {"recycled": 3}},
        ["skipped: 1 RECYCLER/, 1 hidden folder .NET/ with 2 images, 1 wandb/ with 4 images"],
    ),
    "a recipe in a class folder": (
        at("") | {"cat/recipe.json": "{}"},
        {"train": CD},
        ["not images: 1 .json"],
    ),
    "class names in two forms of Unicode": (
        {"train/caf\u00e9": 2, "train/dog": 2, "val/cafe\u0301": 1, "val/dog": 1},
        {"train": {"caf\u00e9": 2, "dog": 2}, "validation": {"caf\u00e9": 1, "dog": 1}},
        [],
    ),
    "a few names like those of masks": (
        at("") | {"cat/0_mask.png": PNG},
        {"train": {"cat": 4, "dog": 2}},
        [],
    ),
}
REFUSED = {
    "masks in splits": (
        {f"{split}/{name}": 2 for split in ("train", "val") for name in ("images", "masks")},
        f"data/train must have class folders, or a table of labels. Received: images/, masks/, "
        f"{PARTS}",
    ),
    "labels": ({"train/imgs": 2, "train/labels": 2}, f"Received: imgs/, labels/, {PARTS}"),
    "targets": ({"train/input": 2, "train/target": 2}, f"Received: input/, target/, {PARTS}"),
    "original": ({"original": 2, "masks": 2}, f"Received: masks/, original/, {PARTS}"),
    "ground truth": ({"Original": 2, "Ground Truth": 2}, f"Ground Truth/, Original/, {PARTS}"),
    "two sizes": ({"LR": 2, "HR": 2}, f"Received: HR/, LR/, {PARTS}"),
    "manual": ({"images": 2, "1st_manual": 2}, f"Received: 1st_manual/, images/, {PARTS}"),
    "depth": ({"rgb": 2, "depth": 2}, f"Received: depth/, rgb/, {PARTS}"),
    "an unknown name beside trimaps": ({"scans": 2, "trimaps": 2}, f"scans/, trimaps/, {PARTS}"),
    "one table for two folders": ({"a": 4, "b": 4, "labels.csv": LABELS}, "Received: a/, b/, and"),
    "two folders of images with a table": (
        {"images": 4, "images2": 4, "labels.csv": LABELS},
        "Received: images/, images2/, and data/labels.csv with 2 labels",
    ),
    "one name in two forms of Unicode": (
        {"caf\u00e9": 2, "cafe\u0301": 2, "dog": 2},
        r"Received: 'cafe\u0301' and 'caf\xe9', which are one name",
    ),
    "sites in train": (
        put("train/site0", range(3))
        | put("train/site1", range(3, 6))
        | {"train.csv": label(range(6), "ababab")},
        f"data/train {SITES}0/, site1/, and data/train.csv with 2 labels",
        "move the table out of data. If the table is right, put all images into one folder.",
    ),
    "pure sites": (
        put("site_a", range(3))
        | put("site_b", range(3, 6))
        | put("site_c", range(6, 9))
        | {"labels.csv": label(range(9), "aaabbbaaa")},
        f"data {SITES}_a/, site_b/, site_c/, and data/labels.csv with 2 labels for the images in",
    ),
    "a dataset next to assets": (
        at("data") | {"assets": 2},
        "data must have class folders on one level. Received: images in assets/, and folders of",
        "If the classes are those in data/, give --data data/data. If each folder is a class, put",
    ),
    "a class that contains train": (
        {"train station/london": 2, "train station/paris": 2, "bus station/london": 2, "air/x": 1},
        "Received: train station/ with folders of images, and images in air/, bus station/.",
    ),
    "one class beside train": (at("train") | {"car": 2}, "images in car/. If train/ is a split,"),
    "splits in one class": (
        {"cat/train": 2, "cat/test": 2, "dog/train": 2},
        "Received: data with splits in its class folders: train/, test/ in cat/.",
    ),
    "folds of other classes": (
        at("fold1") | {"fold2/cat": 2},
        "Received: fold1/, fold2/, which are folds or parts of a dataset by their names.",
        "If they are classes, rename them, such as class_fold1.",
    ),
    "flat folds": (
        {f"fold_{i}": 2 for i in (1, 2, 3)},
        "Received: fold_1/, fold_2/, fold_3/, which",
    ),
    "masks by their stems": (
        {f"{c}/{c} ({i}){m}.png": PNG for c in "ab" for i in range(3) for m in ("", "_mask")},
        "Received: 3 of 6 images in a/ are masks by their names, such as a/a (0)_mask",
    ),
    "flat parts of train": (
        {"train_1": 2, "train_2": 2, "train_3": 2},
        "images directly in train_1/, train_2/, train_3/, which may be splits without labels",
    ),
}


@pytest.mark.parametrize(("tree", "splits", "notes"), READ.values(), ids=READ)
def test_what_is_no_class_is_named(tmp_path, tree, splits, notes):
    assert summarize(plant(tmp_path / "data", tree)) == (splits, notes)


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_folders_that_contradict_each_other_are_refused(tmp_path, case):
    check_refused(tmp_path, *case)
