"""Folders that could mean two things, or have no labels, are refused with the remedy."""

import pytest

from tests.data.making_trees import PNG, at, check_refused, label, plant, summarize

LABELS = label(range(4), "abab")
FLAT = "If they are classes, put all class folders into a new folder train/."
RENAME = "If they are classes, rename these folders, such as images_class."
COLUMN = "call the column label, and remove other columns of labels."
CASES = {
    "two vals": (at("train", "val", "validation"), "Received: val/ and validation/. Keep one"),
    "two trains": (at("train_1", "train_2"), "Received: train_1/ and train_2/. Keep one"),
    "one split in two cases": (at("train", "Train"), "Received: Train/ and train/. Keep one"),
    "dev and val": (at("train", "dev", "val"), "Received: dev/ and val/. Keep one"),
    "flat train and test": ({"train": 3, "test": 2}, "directly in train/, test/,", FLAT),
    "flat train, test and bus": ({"train": 3, "test": 2, "bus": 2}, "in train/, test/,", FLAT),
    "flat test, val and car": ({"car": 1, "test": 2, "val": 3}, "in val/, test/,", FLAT),
    "CycleGAN": (
        {"trainA": 2, "trainB": 2, "testA": 1, "testB": 1},
        "directly in trainA/, trainB/, testA/, testB/",
    ),
    "masks next to images": (
        {"train": 3, "train_masks": 3, "test": 2},
        "directly in train/, train_masks/, test/, which may be splits without labels, or classes",
    ),
    "YOLO": (
        {"images/train": 3, "images/val": 2, "labels/train/0.txt": "0 .5 .5 1 1"},
        "data/images must have class folders, or a table of labels. Received: images directly in",
    ),
    "only a submission": (
        {"train": 4, "test": 3, "sample_submission.csv": LABELS},
        "add class folders in them, or a table train.csv with the columns image and label",
    ),
    "train as class and as split": (
        {"train/steam": 2, "train/diesel": 2, "car": 2, "bus": 1},
        "Received: train/ with folders of images, and images in bus/, car/.",
        "If train/ is a split, give --data data/train. If it is a class, put all",
    ),
    "validation without train": (
        at("val"),
        "data must have a train/ folder. Received: val/ without train/. Add train/",
    ),
    "a class valid with folders": (
        at("valid") | {"invalid": 3},
        "Received: valid/ without train/.",
        "If it is a class like invalid/, put all class folders into a new folder train/.",
    ),
    "flat train, labeled test": (
        {"train": 3} | at("test"),
        "data/train must have at least 2 class folders with images. Received: 0.",
        "or add a table train.csv with the columns image and label.",
    ),
    "flat train": ({"train": 3}, "train must have at least 2 class folders", "Received: 0. Store"),
    "empty": ({}, "data must have at least 2 class folders with images. Received: 0. Store"),
    "one class": ({"cat": 3}, "data must have at least 2 class folders with images. Received: 1."),
    "one class in splits": ({"train/cat": 3, "test/cat": 1}, "data/train must", "Received: 1."),
    "only texts": ({"cat/a.txt": "x", "dog/a.txt": "x"}, "Received: 0.", "not images: 2 .txt."),
    "a class without train": (
        at("train") | {"test/fox": 1, "test/cat": 1},
        "Every class of data/test must have images in data/train. Received: fox.",
    ),
    "plant village": (
        at("color", "grayscale", "segmented"),
        "Received: cat/, dog/ in color/ and grayscale/ of data, as in folds or copies",
        "give one of the folders: --data data/color. Otherwise rename these folders.",
    ),
    "wrapped plant village": (
        at("plant village/color", "plant village/grayscale"),
        "in color/ and grayscale/ of data/plant village",
        "--data 'data/plant village/color'. Otherwise",
    ),
    "folds": (at("fold1", "fold2"), "cat/, dog/ in fold1/ and fold2/", "--data data/fold1."),
    "years": (at("2019", "2020"), "cat/, dog/ in 2019/ and 2020/", "--data data/2019."),
    "doubled folds": (at("a/data", "b/data"), "in a/ and b/ of data", "--data data/a/data."),
    "folds in train": (
        at("train/fold1", "train/fold2", "test"),
        "cat/, dog/ in fold1/ and fold2/ of data/train",
    ),
    "splits in classes": (
        {"cat/train": 2, "cat/test": 1, "dog/train": 2, "dog/test": 1},
        "Received: data with splits in its class folders: train/, test/ in cat/.",
        "Move the images to data/train/cat and the like.",
    ),
    "fruits-360 in two sizes": (
        at("small/f/Training", "small/f/Test", "large/f/Training", "large/f/Test"),
        "Received: large/, which has splits of its own, next to small/. Give --data data/large/f.",
    ),
    "a dataset next to figures": (
        at("set/train", "set/test") | {"figures": 2, "docs": 1},
        "Received: set/, which has splits of its own, next to docs/, figures/.",
    ),
    "a table of other labels": (
        {"part_1": 4, "labels.csv": label(range(8), "abababab")}
        | {f"part_2/{i}.png": PNG for i in range(4, 8)},
        "Received: part_1/, part_2/, and data/labels.csv with 2 labels for the images in",
        "If the folders are classes, move the table out of data. If the table is right, put all",
    ),
    "images and masks": ({"images": 3, "masks": 3}, "Received: images/, masks/, which may", RENAME),
    "NIH chest X-rays": (
        {"images_001/images": 3, "images_002/images": 3, "Data_Entry.csv": "Image Index,Labels\n"},
        "images_001/, images_002/, which may be parts of one dataset, or classes.",
    ),
    "partitions are not labels": (
        {"img/img": 4, "list_eval_partition.csv": label(range(4), "0012", "image_id,partition")},
        "data must have at least 2 class folders with images. Received: 1.",
    ),
    "two datasets": (
        at("rps", "rps-test-set"),
        "Received: rps-test-set/ without train/.",
    ),
    "too few rows": (
        {"train": 10, "train.csv": label(range(8), "abababab")},
        "Found: train.csv names 8 of 10 images in train/; not images: 1 .csv.",
    ),
    "unclear column": (
        {"train": 2, "train.csv": "id,age,sex\n0,3,f\n1,3,m\n"},
        "train.csv must have one column of labels, which is called label, class, category,",
        "Received: age, sex.",
        COLUMN,
    ),
    "one column for each class": (
        {"train": 2, "train.csv": "id,rust,scab\n0,1,0\n1,1,0\n"},
        "Received: rust, scab.",
        COLUMN,
    ),
    "values that are not classes": (
        {"train": 4, "train_masks.csv": label(range(4), "1234", "img,rle")},
        "Received: rle with 4 values in 4 rows.",
    ),
    "tables that disagree": (
        {"train": 4, "train.csv": LABELS, "labels.csv": label(range(4), "aabb")},
        "Received: a in data/labels.csv and b in data/train.csv for 1.png. Move one table",
    ),
    "two labels": (
        {"train": 4, "train.csv": f"{LABELS}0.png,b\n"},
        "train.csv must have one label for each picture. Received: a and b for 0.png.",
    ),
    "one label": (
        {"train": 4, "train.csv": label(range(4), "aaaa")},
        "train.csv must have labels of at least 2 classes. Received: a in the column label.",
    ),
    "an unknown label in test": (
        {"train": 4, "test": 2, "train.csv": LABELS, "test.csv": label(range(2), "ac")},
        "Every class of data/test.csv must have images in data/train. Received: c.",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_folder_is_refused_with_the_reason_and_the_remedy(tmp_path, case):
    check_refused(tmp_path, *case)


@pytest.mark.parametrize(
    ("tree", "classes"),
    [
        ({"train": 3, "test": 2}, ("test", "train")),
        ({"train/steam": 2, "train/diesel": 2, "car": 2, "bus": 1}, ("bus", "car", "train")),
        ({"valid/a": 2, "valid/b": 2, "invalid": 3}, ("invalid", "valid")),
    ],
)
def test_the_remedy_for_classes_with_doubtful_names_works(tmp_path, tree, classes):
    with pytest.raises(ValueError, match="put all class folders into a new folder train/"):
        summarize(plant(tmp_path / "data", tree))
    moved = plant(tmp_path / "moved", {f"train/{name}": n for name, n in tree.items()})
    assert tuple(summarize(moved)[0]["train"]) == classes
