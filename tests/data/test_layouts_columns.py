"""The columns of tables are distinguished: labels, splits, folds; missing and damaged cells."""

import pytest

from tests.data.making_trees import PNG, check_refused, label, plant, summarize

LABELS = label(range(4), "abab")
AB = {"a": 2, "b": 2}
ONE = {"a": 1, "b": 1}
FROM = "labels of images/ from labels.csv, column label"
TRAIN = "labels of train/ from train.csv, column label"
LEFT = "2 images without labels in test/: left out; `predict` takes them"


def make(values, header):
    return {"images": len(values), "labels.csv": label(range(len(values)), values, header)}


READ = {
    "is_valid": (
        make(["a,False", "b,False", "a,False", "b,False", "a,True", "b,True"], "f,label,is_valid"),
        {"train": AB, "validation": ONE},
        [FROM, "splits from labels.csv: 4 train, 2 validation"],
    ),
    "splits": (
        make(["a,train", "b,Train", "a,train", "b,train", "a,test", "b,"], "f,label,usage"),
        {"train": AB, "test": {"a": 1}},
        [
            FROM,
            "1 image without a split in labels.csv: left out",
            "splits from labels.csv: 4 train, 1 test",
        ],
    ),
    "folds": (
        make(["a,0", "b,0", "a,1", "b,1"], "f,label,fold"),
        {"train": AB},
        [f"{FROM} (column fold is not used)"],
    ),
    "labels in two cases": (
        {"train": 4, "train.csv": label(range(4), "aAba")},
        {"train": {"A": 1, "a": 2, "b": 1}},
        [TRAIN, "labels that differ only in case are several classes: A and a"],
    ),
    "missing labels": (
        {"train": 7, "train.csv": label(range(7), ["a", "b", "NaN", "null", "", "a", "b"])},
        {"train": AB},
        [f"{TRAIN}; 3 images without a label: left out"],
    ),
    "file names in two forms of Unicode": (
        {f"train/{n}.png": PNG for n in ("\u00e9", "x", "y", "z")}
        | {"train.csv": label(["e\u0301", "x", "y", "z"], "abab")},
        {"train": AB},
        [TRAIN],
    ),
    "samples of a submission": (
        {"train": 4, "test": 2, "train.csv": LABELS, "sample_sub.csv": label(range(2), "ab")},
        {"train": AB},
        [LEFT, TRAIN, "not images: 1 .csv"],
    ),
    "a test table of one value": (
        {"train": 4, "test": 2, "train.csv": LABELS, "test.csv": label(range(2), "aa")},
        {"train": AB},
        [LEFT, TRAIN, "test.csv has only the label a, so it is not used", "not images: 1 .csv"],
    ),
}
REFUSED = {
    **{
        f"only {header}": (
            make([*[first] * 4, *[second] * 2], f"image,{header}"),
            "Received: 1.",
            "Found: labels.csv has no column of labels",
        )
        for header, first, second in (
            ("phase", "train", "test"),
            ("mode", "train", "val"),
            ("kind", "training", "testing"),
            ("is_valid", "False", "True"),
            ("cv", "0", "1"),
        )
    },
    "a comma without quotes": (
        {"train": 4, "train.csv": LABELS.replace("1.png,b", "1.png,b, x")},
        "data/train.csv must have 2 cells in each line. Received: 3 in line 3: 1.png, b, x.",
    ),
    "no split is train": (
        make(["a,val", "b,val", "a,test", "b,test"], "f,label,split"),
        "must have rows of train in its column of splits. Received: validation, test.",
    ),
    "other pictures": (
        {"images": 6, "labels.csv": label("pq", "ab")},
        "labels.csv names 0 of 6 images in images/; its first value is 'p.png'",
    ),
}


@pytest.mark.parametrize(("tree", "splits", "notes"), READ.values(), ids=READ)
def test_columns_are_read_by_what_they_are(tmp_path, tree, splits, notes):
    assert summarize(plant(tmp_path / "data", tree)) == (splits, notes)


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_tables_without_clear_labels_are_refused(tmp_path, case):
    check_refused(tmp_path, *case)
