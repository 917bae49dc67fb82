"""Files are read by their content, and what is not read is counted."""

import os

import pytest

from tests.data.making_annotated import upload
from tests.data.making_trees import CD, JPG, TIFF, WEBP, at, plant, summarize
from vgg_tf.layouts.folders import find_pictures, list_images, open_class_folders

CASES = {
    "L5 webp": (
        at("") | {f"{c}/w{i}.webp": WEBP for c in ("cat", "fox") for i in range(2)},
        {"train": {"cat": 5, "dog": 2, "fox": 2}},
        [],
    ),
    "L6 jfif": (
        at("") | {f"fox/{i}.JFIF": JPG for i in range(2)},
        {"train": {"cat": 3, "dog": 2, "fox": 2}},
        [],
    ),
    "no suffix": (
        at("")
        | {
            "cat/a": JPG,
            "cat/b.dat": b"\x89PNG\r\n\x1a\n" + bytes(9),
            "dog/c.img": WEBP,
            "dog/d.jpg_large": b"GIF89a" + bytes(10),
        },
        {"train": {"cat": 5, "dog": 4}},
        [],
    ),
    "other kinds": (
        at("")
        | {
            "cat/a.tif": TIFF,
            "cat/b.tiff": TIFF,
            "dog/notes.txt": "BMW,1",
            "dog/x.heic": b"\0\0\0\x18ftypheic" + bytes(9),
            "README": "x",
            "labels.csv": "a,b\n1,2\n",
        },
        {"train": CD},
        [
            "not images: 2 TIFF images (convert them), 1 file without a suffix, 1 .csv, 1 .txt, "
            "1 HEIC image (convert it)"
        ],
    ),
    "a class of other kinds only": (
        at("") | {"fox/a.tif": TIFF},
        {"train": CD},
        ["1 folder without images in data/: fox", "not images: 1 TIFF image (convert it)"],
    ),
    "L7 folders of a NAS": (
        at("")
        | {
            "cat/@eaDir/0.png/T.png": JPG,
            "dog/@eaDir/0.png/T.png": JPG,
            "@eaDir/a.png": JPG,
            "#recycle/cat": 2,
            "cat/Thumbs.db": "x",
            "dog/._0.png": "x",
            ".DS_Store": "x",
        },
        {"train": CD},
        ["skipped: 3 @eaDir/, 1 #recycle/, 1 .DS_Store, 1 ._*, 1 Thumbs.db"],
    ),
    "litter folders": (
        at("")
        | {
            f"{n}/cat": 1
            for n in (
                "__MACOSX",
                "System Volume Information",
                "$RECYCLE.BIN",
                "lost+found",
                "@tmp",
                "@Recycle",
                ".ipynb_checkpoints",
                "__pycache__",
                ".thumbnails",
            )
        },
        {"train": CD},
        [
            "skipped: 1 $RECYCLE.BIN/, 1 .ipynb_checkpoints/, 1 @Recycle/, 1 @tmp/, "
            "1 System Volume Information/, 1 __MACOSX/, 1 __pycache__/, 1 hidden folder, "
            "1 lost+found/"
        ],
    ),
    "runs": (
        at("")
        | {
            "runs/a/recipe.json": "{}",
            "runs/a/last.safetensors": "",
            "runs/a/history.png": JPG,
            "runs/curves.png": JPG,
            "report/report.json": "{}",
            "report/report.html": "",
            "report/f.png": JPG,
        },
        {"train": CD},
        ["skipped: 1 report of a test, 1 run folder"],
    ),
    "run folder": (
        at("") | {"v/recipe.json": "{}", "v/log.csv": "", "v/a.png": JPG},
        {"train": CD},
        ["skipped: 1 run folder"],
    ),
}


@pytest.mark.parametrize(("tree", "splits", "notes"), CASES.values(), ids=CASES)
def test_images_are_found_by_content_and_the_rest_is_counted(tmp_path, tree, splits, notes):
    assert summarize(plant(tmp_path / "data", tree)) == (splits, notes)


def test_a_picture_is_searched_as_in_a_source(tmp_path):
    root = plant(
        tmp_path / "data",
        {
            "cat/0.JPG": JPG,
            "cat/1": WEBP,
            "cat/a.tif": TIFF,
            "cat/@eaDir/0.JPG/THUMB.jpg": JPG,
            "runs/a/recipe.json": "{}",
            "runs/a/model.keras": "",
            "runs/a/history.png": JPG,
            "Thumbs.db": "x",
        },
    )
    assert find_pictures([str(root)]) == [f"{root}/cat/0.JPG", f"{root}/cat/1"]
    # What the user names is read, whatever it is.
    run = f"{root}/runs/a"
    assert find_pictures([run]) == [f"{run}/history.png"]


def test_a_folder_without_pictures_is_named_with_what_it_has(tmp_path):
    root = plant(tmp_path / "data", {"a.tif": TIFF, "b.txt": "x", "c.txt": "x"})
    with pytest.raises(
        FileNotFoundError, match=r"data\. Check the path; it has 2 \.txt, 1 TIFF image"
    ):
        find_pictures([str(root)])


def test_a_pipe_is_not_opened(tmp_path):
    root = plant(tmp_path / "data", at(""))
    os.mkfifo(root / "cat" / "pipe")
    assert summarize(root) == ({"train": CD}, ["not images: 1 file without a suffix"])


def test_pipes_and_broken_links_with_suffixes_are_counted(tmp_path):
    root = plant(tmp_path / "data", at(""))
    os.mkfifo(root / "cat" / "pipe.png")
    (root / "dog" / "link.csv").symlink_to(tmp_path / "nothing")
    assert summarize(root) == ({"train": CD}, ["skipped: 1 broken link, 1 pipe or device"])
    (root / "dog" / "link.jpg").symlink_to(tmp_path / "nothing")  # its reader names it
    assert "dog/link.jpg" in list_images(str(root))


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    root = plant(tmp_path / "data", at(""))
    scan = os.scandir

    def refuse(folder):
        if str(folder).endswith("/dog"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)  # root may list any folder
    with pytest.raises(PermissionError, match=r"Received: .*/dog, .*Change it with chmod u\+rx"):
        summarize(root)


def test_a_class_folder_must_be_utf_8(tmp_path):
    root = plant(tmp_path / "data", at(""))
    os.rename(root / "dog", os.fsencode(root) + b"/d\xff")
    with pytest.raises(ValueError, match=r"must be UTF-8. Received: b'd\\xff'"):
        summarize(root)


def test_classes_that_are_not_taken_are_not_read(tmp_path):
    root = plant(tmp_path / "data", at("") | {"fox/a.txt": "x", "fox/b": JPG})
    source = open_class_folders(str(root), lambda name: name != "fox")
    assert source.classes == ("cat", "dog", "fox")
    assert len(source.splits["train"]) == 5
    assert source.notes == ()


def test_on_a_remote_file_system_suffixes_count(tmp_path):
    tree = at("train") | {"train/cat/a": JPG, "train/dog/b.webp": WEBP, "test/@eaDir/a.png": JPG}
    root = plant(tmp_path / "data", tree)
    remote = f"ram://{tmp_path.name}/data"
    upload(root, remote)
    source = open_class_folders(remote, lambda _: True)
    assert source.notes == (
        "no images in test/: left out",
        "not images: 1 file without a suffix",
        "skipped: 1 @eaDir/",
    )
    assert source.splits["train"].names == [
        *(f"train/cat/{i}.png" for i in range(3)),
        *(f"train/dog/{i}.png" for i in range(2)),
        "train/dog/b.webp",
    ]
    assert find_pictures([remote]) == source.splits["train"].contents
