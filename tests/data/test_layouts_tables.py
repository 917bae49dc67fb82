"""Labels are read from tables next to flat folders of images."""

import pytest

from tests.data.making_trees import label, plant, summarize

LABELS = label(range(4), "abab")
BOTH = label(
    [*(f"train/{i}" for i in range(4)), "val/0", "val/1", "val/9"], "abababb", "path,label"
)

CASES = {
    "dog-breed": (
        {
            "train": 4,
            "test": 3,
            "labels.csv": label(range(4), "abab", "id,breed", ""),
            "sample_submission.csv": "id,a\n0,0.1\n",
        },
        {"train": {"a": 2, "b": 2}},
        [
            "3 images without labels in test/: left out; `predict` takes them",
            "labels of train/ from labels.csv, column breed",
            "not images: 1 .csv",
        ],
    ),
    "cassava": (
        {
            "train_images": 4,
            "test_images": 1,
            "train.csv": label(range(4), ["3", "10", "3", "10"], "image_id,label"),
            "sample_submission.csv": "image_id,label\n0.png,4\n",
            "map.json": "{}",
        },
        {"train": {"10": 2, "3": 2}},
        [
            "1 image without labels in test_images/: left out; `predict` takes them",
            "labels of train_images/ from train.csv, column label",
            "not images: 1 .csv, 1 .json",
        ],
    ),
    "tiny-imagenet": (
        {
            "train/n01/images": 2,
            "train/n01/n01_boxes.txt": "0.png\t0\t0\t1\t1\n1.png\t1\t1\t2\t2\n",
            "train/n02/images": 2,
            "val/images": 3,
            "val/val_annotations.txt": "".join(
                f"{i}.png\tn0{1 + i % 2}\t0\t0\t9\t9\n" for i in range(3)
            ),
            "test/images": 2,
            "wnids.txt": "n01\nn02\n",
            "words.txt": "n01\tcat\nn02\tdog\n",
        },
        {"train": {"n01": 2, "n02": 2}, "validation": {"n01": 2, "n02": 1}},
        [
            "2 images without labels in test/: left out; `predict` takes them",
            "labels of val/images/ from val_annotations.txt",
            "not images: 3 .txt",
        ],
    ),
    "table in the folder": (
        {"train": 4, "train/train.csv": LABELS},
        {"train": {"a": 2, "b": 2}},
        ["labels of train/ from train.csv, column label"],
    ),
    "table in root, folder images": (
        {"images": 4, "labels.csv": LABELS},
        {"train": {"a": 2, "b": 2}},
        ["labels of images/ from labels.csv, column label"],
    ),
    "wrapped images": (
        {"archive/images": 4, "archive/labels.csv": LABELS},
        {"train": {"a": 2, "b": 2}},
        [
            "archive/: the only folder with images, so it is read",
            "labels of archive/images/ from labels.csv, column label",
        ],
    ),
    "images at root": (
        {"": 4, "labels.csv": LABELS},
        {"train": {"a": 2, "b": 2}},
        ["labels of data/ from labels.csv, column label"],
    ),
    "images at root with test": (
        {"": 4, "labels.csv": LABELS, "test": 3},
        {"train": {"a": 2, "b": 2}},
        [
            "3 images without labels in test/: left out; `predict` takes them",
            "labels of data/ from labels.csv, column label",
        ],
    ),
    "train.csv test.csv": (
        {"train": 4, "test": 2, "train.csv": LABELS, "test.csv": label(range(2), "ba")},
        {"train": {"a": 2, "b": 2}, "test": {"a": 1, "b": 1}},
        [
            "labels of train/ from train.csv, column label",
            "labels of test/ from test.csv, column label",
        ],
    ),
    "test.csv without labels": (
        {"train": 4, "test": 2, "train.csv": LABELS, "test.csv": "image,width\n0.png,3\n1.png,4\n"},
        {"train": {"a": 2, "b": 2}},
        [
            "2 images without labels in test/: left out; `predict` takes them",
            "labels of train/ from train.csv, column label",
            "not images: 1 .csv",
        ],
    ),
    "GTSRB": (
        {
            "Train/0": 2,
            "Train/1": 2,
            "Test": 3,
            "Test.csv": "Width,Height,ClassId,Path\n"
            + "".join(f"3{i},29,{i % 2},Test/{i}.png\n" for i in range(3)),
            "Train.csv": "Width,Height,ClassId,Path\n3,3,0,Train/0/0.png\n",
        },
        {"train": {"0": 2, "1": 2}, "test": {"0": 2, "1": 1}},
        ["labels of Test/ from Test.csv, column ClassId", "not images: 1 .csv"],
    ),
    "rows without": (
        {"train": 10, "train.csv": label(range(12), "abababababab")},
        {"train": {"a": 5, "b": 5}},
        [
            "labels of train/ from train.csv, column label",
            "2 rows of train.csv without an image",
        ],
    ),
    "images without label": (
        {"train": 10, "train.csv": label(range(9), "ababababa")},
        {"train": {"a": 5, "b": 4}},
        ["labels of train/ from train.csv, column label; 1 image without a label: left out"],
    ),
    "label column among others": (
        {"train": 4, "train.csv": "id,age,species\n0,3,a\n1,4,b\n2,3,a\n3,9,b\n"},
        {"train": {"a": 2, "b": 2}},
        ["labels of train/ from train.csv, column species"],
    ),
    "id and name of class": (
        {
            "train": 4,
            "train.csv": "file,label,class_name\n0.png,0,a\n1.png,1,b\n2.png,0,a\n3.png,1,b\n",
        },
        {"train": {"a": 2, "b": 2}},
        ["labels of train/ from train.csv, column class_name"],
    ),
    "pandas index": (
        {
            "train": 4,
            "train.csv": ",name,kind\n"
            + "".join(f"{i + 7},{i}.png,{'ab'[i % 2]}\n" for i in range(4)),
        },
        {"train": {"a": 2, "b": 2}},
        ["labels of train/ from train.csv, column kind"],
    ),
    "tables agree": (
        {"train": 4, "train.csv": LABELS, "labels.csv": LABELS},
        {"train": {"a": 2, "b": 2}},
        ["labels of train/ from labels.csv, column label", "not images: 1 .csv"],
    ),
    "tabs and bom": (
        {
            "train": 4,
            "train.tsv": "\ufeffname\tcategory\n"
            + "".join(f"train/{i}.png\t{'ab'[i % 2]}\n" for i in range(4)),
        },
        {"train": {"a": 2, "b": 2}},
        ["labels of train/ from train.tsv, column category"],
    ),
    "semicolons": (
        {"train": 4, "train.csv": LABELS.replace(",", ";")},
        {"train": {"a": 2, "b": 2}},
        ["labels of train/ from train.csv, column label"],
    ),
    "text with spaces": (
        {"train": 4, "train.txt": "".join(f"{i}.png {'ab'[i % 2]}\n" for i in range(4))},
        {"train": {"a": 2, "b": 2}},
        ["labels of train/ from train.txt"],
    ),
}
CASES |= {
    "one table for two splits": (
        {"train": 4, "val": 2, "labels.csv": BOTH},
        {"train": {"a": 2, "b": 2}, "validation": {"a": 1, "b": 1}},
        [
            "labels of train/ from labels.csv, column label",
            "labels of val/ from labels.csv, column label",
            "1 row of labels.csv without an image",
        ],
    ),
    "a column of splits": (
        {"img/img": 4, "labels.csv": label(range(4), ["a,x", "b,x", "a,y", "b,y"], "id,kind,fold")},
        {"train": {"a": 2, "b": 2}},
        ["labels of img/img/ from labels.csv, column kind (column fold is not used)"],
    ),
    "paths of another machine": (
        {"train": 2, "train.csv": "path,label\nC:\\x\\train\\0.jpg,a\n/in/train/1.png,b\n"},
        {"train": {"a": 1, "b": 1}},
        ["labels of train/ from train.csv, column label"],
    ),
    "labels of validation are classes of train": (
        {"train/cat": 3, "train/dog": 2, "val": 2, "val_labels.txt": "0.png cat\n1.png dog\n"},
        {"train": {"cat": 3, "dog": 2}, "validation": {"cat": 1, "dog": 1}},
        ["labels of val/ from val_labels.txt"],
    ),
    "numbers that are not classes of train": (
        {"train/cat": 3, "train/dog": 2, "val": 2, "val.txt": "0.png 0\n1.png 1\n"},
        {"train": {"cat": 3, "dog": 2}},
        [
            "2 images without labels in val/: left out; `predict` takes them",
            "not images: 1 .txt",
        ],
    ),
    "a row without a label": (
        {"train": 10, "train.csv": label(range(10), [*"ababababa", ""])},
        {"train": {"a": 5, "b": 4}},
        ["labels of train/ from train.csv, column label; 1 image without a label: left out"],
    ),
}


@pytest.mark.parametrize(("tree", "splits", "notes"), CASES.values(), ids=CASES)
def test_labels_of_flat_folders_are_read_from_tables(tmp_path, tree, splits, notes):
    assert summarize(plant(tmp_path / "data", tree)) == (splits, notes)
