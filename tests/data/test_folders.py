"""Class folders become classes and splits, or an error says what was expected."""

import numpy as np
import pytest

from tests.data.making_pictures import fill, names
from vgg_tf.data.opening import open_source


def test_classes_are_the_folders_in_alphabetical_order(tmp_path):
    fill(tmp_path, newt=2, cat=3, dog=1, validation__cat=1)
    fill(tmp_path / "train", newt=2, cat=3, dog=1)
    source = open_source(str(tmp_path))
    assert source.classes == ("cat", "dog", "newt")
    train = source.splits["train"]
    assert train.names == [
        "train/cat/000.png",
        "train/cat/001.png",
        "train/cat/002.png",
        "train/dog/000.png",
        "train/newt/000.png",
        "train/newt/001.png",
    ]
    assert train.labels.tolist() == [0, 0, 0, 1, 2, 2]
    assert train.labels.dtype == np.int64
    for name, content in zip(train.names, train.contents, strict=True):
        assert tmp_path.joinpath(name).samefile(content)


@pytest.mark.parametrize("folder", ["val", "validation"])
def test_train_val_validation_and_test_folders_become_splits(tmp_path, folder):
    fill(tmp_path, train__a=4, train__b=4, test__b=3, **{f"{folder}__a": 2})
    source = open_source(str(tmp_path))
    assert {split: len(images) for split, images in source.splits.items()} == {
        "train": 8,
        "validation": 2,
        "test": 3,
    }
    assert names(source, "validation") == [f"{folder}/a/000.png", f"{folder}/a/001.png"]
    assert source.splits["test"].labels.tolist() == [1, 1, 1]
    assert source.notes == ()


def test_image_suffixes_count_in_any_case_and_at_any_depth(tmp_path):
    fill(tmp_path, train__a=1, train__b=1, val__a=1)
    folder = tmp_path / "train" / "a"
    (folder / "deep" / "deeper").mkdir(parents=True)
    kept = ["deep/1.JPG", "deep/deeper/2.jpeg", "3.bmp", "4.Gif"]
    for name in [*kept, "notes.txt", "5.png.part", ".6.png", "._7.jpg", "Thumbs.db"]:
        (folder / name).write_bytes(b"")
    source = open_source(str(tmp_path))
    assert set(names(source, "train")) == {f"train/a/{name}" for name in [*kept, "000.png"]} | {
        "train/b/000.png"
    }


def test_linked_folders_are_followed_once_and_not_in_cycles(tmp_path):
    fill(tmp_path / "elsewhere", more=2, b=1)
    fill(tmp_path / "in", train__a=1, val__a=1)
    a = tmp_path / "in" / "train" / "a"
    (tmp_path / "in" / "train" / "b").symlink_to(tmp_path / "elsewhere" / "b")
    for name, target in {
        "linked": tmp_path / "elsewhere" / "more",
        "again": a,
        "up": a.parent,
        "zz": a / "linked",
    }.items():
        (a / name).symlink_to(target)
    expected = [
        "train/a/000.png",
        "train/a/linked/000.png",
        "train/a/linked/001.png",
        "train/b/000.png",
    ]
    assert names(open_source(str(tmp_path / "in")), "train") == expected


@pytest.mark.parametrize("folders", [("Train", "VAL", "Test"), ("train", "valid", "test")])
def test_folders_of_splits_may_have_the_names_of_splits_in_shards_in_any_case(tmp_path, folders):
    source = open_source(
        str(fill(tmp_path, **{f"{name}__{letter}": 2 for name in folders for letter in "ab"}))
    )
    assert list(source.splits) == ["train", "validation", "test"]
    assert [source.splits[split].names[0] for split in source.splits] == [
        f"{name}/a/000.png" for name in folders
    ]


def test_class_folders_without_images_are_noted(tmp_path):
    fill(tmp_path, train__a=1, train__b=1, val__a=1)
    for name in ("train/empty", "train/nothing", "val/b"):
        (tmp_path / name).mkdir()
    assert open_source(str(tmp_path)).notes == (
        "2 folders without images in train/: empty, nothing",
        "1 folder without images in val/: b",
    )


def test_a_file_name_that_is_not_utf_8_is_reported(tmp_path):
    fill(tmp_path, a=2, b=2)
    (tmp_path / "a" / "000.png").rename(tmp_path / "a" / "caf\udce9.png")
    with pytest.raises(
        ValueError, match=r"must be UTF-8\. Received: b'.*/a/caf\\xe9\.png'\. Rename the file"
    ):
        open_source(str(tmp_path))


def test_hidden_and_empty_folders_are_not_classes(tmp_path):
    fill(tmp_path, cat=2, dog=2, **{".trash": 2})
    (tmp_path / "empty").mkdir()
    assert open_source(str(tmp_path)).classes == ("cat", "dog")


def test_images_in_hidden_folders_are_ignored(tmp_path):
    fill(tmp_path, train__a=1, train__b=1, val__a=1, **{"train__a__.ipynb_checkpoints": 1})
    assert names(open_source(str(tmp_path)), "train") == ["train/a/000.png", "train/b/000.png"]


@pytest.mark.parametrize("counts", [{}, {"a": 3}])
def test_fewer_than_two_class_folders_are_refused(tmp_path, counts):
    with pytest.raises(
        ValueError,
        match=(
            r"at least 2 class folders with images\. "
            rf"Received: {len(counts)}\. Store the images as <class>/<image> with"
        ),
    ):
        open_source(str(fill(tmp_path, **counts)))


def test_images_outside_class_folders_are_refused(tmp_path):
    fill(tmp_path, train=3)
    with pytest.raises(
        ValueError, match=r"train must have .* Received: 0\. Store the images as <class>/<image>"
    ):
        open_source(str(tmp_path))


def test_a_class_without_a_train_folder_is_reported(tmp_path):
    fill(tmp_path, train__a=1, train__b=1, val__a=1, val__zebra=1)
    with pytest.raises(
        ValueError, match=r"class of .*val must have images in .*train\. Received: zebra\."
    ):
        open_source(str(tmp_path))


@pytest.mark.parametrize("folder", ["val", "test"])
def test_a_split_folder_without_images_is_left_out_with_a_note(tmp_path, folder):
    fill(tmp_path, train__a=1, train__b=1)
    (tmp_path / folder / "a").mkdir(parents=True)
    assert open_source(str(tmp_path)).notes[0] == f"no images in {folder}/: left out"


def test_a_test_folder_without_a_train_folder_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"must have a train/ folder\. Received: test/ without train/"
    ):
        open_source(str(fill(tmp_path, test__a=1, test__b=1)))


def test_both_val_and_validation_are_refused(tmp_path):
    fill(tmp_path, train__a=1, train__b=1, val__a=1, validation__a=1)
    with pytest.raises(ValueError, match=r"Received: val/ and validation/\. Keep one"):
        open_source(str(tmp_path))
