"""A word or a folder becomes classes, splits, files and labels."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from vgg_tf.data.opening import open_source, open_tested
from vgg_tf.data.selection import Selection, least_held_out
from vgg_tf.data.writing import write


def fill(root, **counts):
    """Write pictures, `cat=3` into `root/cat/`, `train__cat=3` into `root/train/cat/`; `h` pixels
    high, 20 wide.
    """
    for i, (name, n) in enumerate(counts.items()):
        folder = root.joinpath(*name.split("__"))
        folder.mkdir(parents=True, exist_ok=True)
        for j in range(n):
            Image.new("RGB", (20, 10 + j % 10), (i, j, 0)).save(folder / f"{j:03d}.png")
    return root


def names(source, split):
    return source.splits[split].names


# The digits


@pytest.fixture(scope="module")
def digits():
    return open_source("digits")


def test_the_digits_are_1295_to_train_142_to_validate_and_360_to_test(digits):
    assert {split: len(images) for split, images in digits.splits.items()} == {
        "train": 1295,
        "validation": 142,
        "test": 360,
    }
    assert digits.classes == tuple("0123456789")


def test_the_splits_are_disjoint_and_hold_every_picture_of_scikit_learn_with_its_label(digits):
    theirs = load_digits()
    seen = set()
    for images in digits.splits.values():
        for name, label, content in zip(images.names, images.labels, images.contents, strict=True):
            index = int(name.removesuffix(".png").split("/")[1])
            assert index not in seen
            seen.add(index)
            assert label == theirs.target[index]
            pixels = np.asarray(Image.open(io.BytesIO(content)))
            assert pixels.shape == (8, 8, 3)
            # 0..16 became 0..255, to the nearest level, the same in the three channels.
            assert np.abs(pixels - theirs.images[index][:, :, None] * 255 / 16).max() <= 0.5
    assert seen == set(range(1797))


def test_every_split_has_each_digit_in_its_share(digits):
    everything = np.bincount(load_digits().target)
    for images in digits.splits.values():
        share = everything * len(images) / 1797
        assert np.abs(np.bincount(images.labels) - share).max() <= 1


def test_the_digits_are_the_same_every_time(digits):
    again = open_source("digits")
    assert again.fingerprint() == digits.fingerprint()
    for split, images in digits.splits.items():
        assert again.splits[split].contents == images.contents


# Class folders


def test_folders_are_the_classes_in_alphabetical_order_and_labels_their_positions(tmp_path):
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
def test_train_val_validation_and_test_are_recognised(tmp_path, folder):
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


def test_every_suffix_counts_in_any_case_in_folders_of_any_depth_and_nothing_else(tmp_path):
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


def test_linked_folders_are_followed_but_not_in_a_circle_nor_twice(tmp_path):
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
def test_folders_of_splits_may_be_called_as_shards_are_in_any_case(tmp_path, folders):
    source = open_source(
        str(fill(tmp_path, **{f"{name}__{letter}": 2 for name in folders for letter in "ab"}))
    )
    assert list(source.splits) == ["train", "validation", "test"]
    assert [source.splits[split].names[0] for split in source.splits] == [
        f"{name}/a/000.png" for name in folders
    ]


def test_class_folders_without_images_are_told(tmp_path):
    fill(tmp_path, train__a=1, train__b=1, val__a=1)
    for name in ("train/empty", "train/nothing", "val/b"):
        (tmp_path / name).mkdir()
    assert open_source(str(tmp_path)).notes == (
        "2 folders in train/ hold no images, first empty, nothing",
        "1 folders in val/ hold no images, first b",
    )


def test_a_name_that_is_no_utf_8_is_an_error_that_names_the_file(tmp_path):
    fill(tmp_path, a=2, b=2)
    (tmp_path / "a" / "000.png").rename(tmp_path / "a" / "caf\udce9.png")
    with pytest.raises(
        ValueError, match=r"the name of b'.*/a/caf\\xe9\.png' is no UTF-8\. Rename it"
    ):
        open_source(str(tmp_path))


def test_hidden_class_folders_and_folders_without_images_are_no_classes(tmp_path):
    fill(tmp_path, cat=2, dog=2, **{".trash": 2})
    (tmp_path / "empty").mkdir()
    assert open_source(str(tmp_path)).classes == ("cat", "dog")


def test_images_in_hidden_folders_are_ignored(tmp_path):
    fill(tmp_path, train__a=1, train__b=1, val__a=1, **{"train__a__.ipynb_checkpoints": 1})
    assert names(open_source(str(tmp_path)), "train") == ["train/a/000.png", "train/b/000.png"]


# Validation


def test_without_a_validation_split_a_tenth_of_each_class_is_held_out_always_the_same(tmp_path):
    fill(tmp_path, ant=40, bee=20, cow=3, doe=1)
    source = open_source(str(tmp_path))
    train, validation = source.splits["train"], source.splits["validation"]
    assert np.bincount(validation.labels).tolist() == [4, 2, 1]  # the only doe stays
    assert np.bincount(train.labels).tolist() == [36, 18, 2, 1]
    everything = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    assert set(train.names).isdisjoint(validation.names)
    assert {*train.names, *validation.names} == everything
    # By chance: neither the first nor the last ones.
    assert validation.names[:4] not in (sorted(everything)[:4], sorted(everything)[36:40])
    assert names(open_source(str(tmp_path)), "validation") == validation.names
    assert source.notes == (
        "no validation split: 7 of 64 training images held out, the same share of each class",
    )


def test_a_test_split_does_not_take_part_in_the_hold_out(tmp_path):
    fill(tmp_path, train__a=20, train__b=20, test__a=5, test__b=5)
    source = open_source(str(tmp_path))
    assert {split: len(images) for split, images in source.splits.items()} == {
        "train": 36,
        "validation": 4,
        "test": 10,
    }
    assert all(name.startswith("train/") for name in names(source, "validation"))


def test_another_share_may_be_held_out_or_nothing(tmp_path):
    fill(tmp_path, cat=20, dog=10)
    half = open_source(str(tmp_path), Selection(hold_out=0.5))
    assert np.bincount(half.splits["validation"].labels).tolist() == [10, 5]
    everything = open_source(str(tmp_path), Selection(hold_out=0))
    assert {split: len(images) for split, images in everything.splits.items()} == {"train": 30}
    assert everything.notes == ("no validation split, and nothing held out",)
    with pytest.raises(
        ValueError, match=r"--hold-out is a share, from 0 to below 1\. Received: 1\.0\."
    ):
        Selection(hold_out=1.0)


def test_a_share_to_hold_out_is_refused_beside_a_validation_split_but_not_for_who_reads_one(
    tmp_path,
):
    fill(tmp_path / "val", cat=2, dog=2)
    fill(tmp_path / "train", cat=4, dog=4)
    with pytest.raises(
        ValueError,
        match=r"has a validation split of its own: --hold-out 0 is for those without one\.",
    ):
        open_source(str(tmp_path), Selection(hold_out=0))
    assert (
        len(
            open_source(str(tmp_path), Selection(hold_out=0), only="validation").splits[
                "validation"
            ]
        )
        == 4
    )


def test_shards_are_taken_as_they_were_written(tmp_path):
    fill(tmp_path / "zoo", cat=20, dog=10)
    write(
        open_source(str(tmp_path / "zoo"), Selection(hold_out=0)),
        str(tmp_path / "shards"),
        progress=False,
    )
    images = [
        {
            split: len(part)
            for split, part in open_source(str(tmp_path / "shards"), selection).splits.items()
        }
        for selection in (Selection(), Selection(limit_per_class=5), Selection(hold_out=0.1))
    ]
    assert images == [{"train": 30}, {"train": 10}, {"train": 27, "validation": 3}]


def test_networks_are_tested_on_what_all_of_them_held_out(tmp_path):
    fill(tmp_path, cat=40, dog=20)
    tenth, half = (
        set(names(open_source(str(tmp_path), Selection(hold_out=share)), "validation"))
        for share in (0.1, 0.5)
    )
    assert tenth < half
    assert least_held_out([Selection(hold_out=0.5), Selection()]) == 0.1
    assert least_held_out([Selection(hold_out=0.5), Selection(hold_out=0)]) == 0
    assert least_held_out([Selection(), Selection(classes=("a", "b"))]) is None
    both = [Selection(hold_out=0.5), Selection()]
    assert set(names(open_tested("validation", both, str(tmp_path)), "validation")) == tenth
    # Our own shards are taken as they were written: who says nothing has learned from all of them.
    write(
        open_source(str(tmp_path), Selection(hold_out=0)), str(tmp_path / "shards"), progress=False
    )
    assert "validation" not in open_tested("validation", both, str(tmp_path / "shards")).splits
    assert (
        len(names(open_tested("validation", both[:1], str(tmp_path / "shards")), "validation"))
        == 30
    )


def test_networks_are_tested_on_nothing_that_one_of_them_was_trained_on_where_their_limits_differ(
    tmp_path,
):
    fill(tmp_path, cat=40, dog=20)
    few, own = Selection(limit_per_class=10), str(tmp_path)
    trained_on = set(names(open_source(own, few), "train"))
    held_out = set(names(open_tested("validation", [few], own), "validation"))
    assert len(held_out) == 2
    assert not held_out & trained_on
    assert trained_on & set(names(open_source(own), "validation"))  # another draw
    for selections, data in (([few, Selection()], None), ([few], own)):
        with pytest.raises(
            ValueError,
            match="a --limit-per-class of 0 and 10 others are held out: some of them were trained",
        ):
            open_tested("validation", selections, own, data)
    assert len(names(open_tested("train", [few], own, own), "train")) == 54
    # A validation split of its own is nobody's training images.
    fill(tmp_path / "split", train__cat=20, train__dog=20, val__cat=5, val__dog=5)
    there = str(tmp_path / "split")
    assert (
        len(names(open_tested("validation", [few, Selection()], there, there), "validation")) == 10
    )


def test_what_networks_know_of_their_data_is_kept(tmp_path):
    fill(tmp_path, cat=20, cow=20, dog=20)
    assert open_tested("train", [Selection(prefix="c")], str(tmp_path)).classes == ("cat", "cow")
    assert open_tested("train", [Selection(prefix="c")], str(tmp_path), str(tmp_path)).classes == (
        "cat",
        "cow",
        "dog",
    )


def test_the_word_digits_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(fill(tmp_path, digits__cat=4, digits__dog=4))
    assert open_source("digits").classes == tuple("0123456789")
    for path in ("digits/", "./digits"):
        assert open_source(path).classes == ("cat", "dog")


def test_with_one_picture_a_class_there_is_no_validation_and_a_note_says_so(tmp_path):
    source = open_source(str(fill(tmp_path, a=1, b=1, c=1)))
    assert {split: len(images) for split, images in source.splits.items()} == {"train": 3}
    assert len(source.notes) == 1
    assert "nothing can be held out for validation" in source.notes[0]


# Fingerprints and sizes


def test_a_moved_copy_has_the_same_fingerprint(tmp_path):
    fill(tmp_path / "here", a=5, b=5)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert (
        open_source(str(tmp_path / "here")).fingerprint()
        == open_source(str(tmp_path / "there")).fingerprint()
    )


def rename(root):
    (root / "train" / "a" / "001.png").rename(root / "train" / "a" / "new.png")


def remove(root):
    (root / "train" / "a" / "001.png").unlink()


def relabel(root):
    (root / "train" / "a" / "001.png").rename(root / "train" / "b" / "new.png")


def rename_class(root):
    (root / "train" / "b").rename(root / "train" / "c")


def move_to_test(root):
    (root / "train" / "a" / "001.png").rename(root / "test" / "a" / "001.png")


@pytest.mark.parametrize("change", [rename, remove, relabel, rename_class, move_to_test])
def test_any_change_of_files_labels_classes_or_splits_changes_the_fingerprint(tmp_path, change):
    fill(tmp_path, train__a=5, train__b=5, val__a=1, test__a=1)
    before = open_source(str(tmp_path)).fingerprint()
    change(tmp_path)
    assert open_source(str(tmp_path)).fingerprint() != before


def test_labels_alone_change_the_fingerprint(digits):
    train = digits.splits["train"]
    relabelled = replace(train, labels=np.roll(train.labels, 1))
    assert (
        replace(digits, splits=digits.splits | {"train": relabelled}).fingerprint()
        != digits.fingerprint()
    )


def test_the_smaller_side_is_the_median_over_training_images_that_can_be_read(tmp_path):
    fill(tmp_path, train__a=9, train__b=2, val__a=1)  # sides 10 to 18, 10, 11
    assert open_source(str(tmp_path)).smaller_side() == np.median([*range(10, 19), 10, 11])
    for name in ("000", "001", "002"):
        (tmp_path / "train" / "a" / f"{name}.png").write_bytes(b"no image")
    assert open_source(str(tmp_path)).smaller_side() == int(np.median([*range(13, 19), 10, 11]))


def test_the_smaller_side_is_unknown_where_no_image_can_be_read(tmp_path):
    for path in fill(tmp_path, a=2, b=2).rglob("*.png"):
        path.write_bytes(b"no image")
    assert open_source(str(tmp_path)).smaller_side() is None


def test_the_digits_are_eight_pixels_wide(digits):
    assert digits.smaller_side() == 8


# Faults of the folder


def test_a_missing_folder_is_an_error_that_says_what_to_give(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"No folder '.*nowhere'. Give digits, tfds:NAME, a folder of class folders",
    ):
        open_source(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("counts", [{}, {"a": 3}])
def test_fewer_than_two_classes_are_refused_with_what_was_expected(tmp_path, counts):
    with pytest.raises(
        ValueError,
        match=(
            rf"images in {len(counts)} class folders; "
            r"at least 2 .* Expected <class>/<image> with"
        ),
    ):
        open_source(str(fill(tmp_path, **counts)))


def test_images_that_lie_in_no_class_folder_are_refused(tmp_path):
    fill(tmp_path, train=3)
    with pytest.raises(
        ValueError, match=r"train holds images in 0 class folders.*Expected <class>/<image>"
    ):
        open_source(str(tmp_path))


def test_a_class_that_train_has_not_is_named(tmp_path):
    fill(tmp_path, train__a=1, train__b=1, val__a=1, val__zebra=1)
    with pytest.raises(ValueError, match="val has classes that train has not: zebra"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("folder", ["val", "test"])
def test_a_split_folder_without_images_is_refused_with_a_remedy(tmp_path, folder):
    fill(tmp_path, train__a=1, train__b=1)
    (tmp_path / folder / "a").mkdir(parents=True)
    with pytest.raises(ValueError, match=rf"{folder} holds no images. Remove it, or fill it"):
        open_source(str(tmp_path))


def test_a_test_folder_without_a_train_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has test/ but no train/"):
        open_source(str(fill(tmp_path, test__a=1, test__b=1)))


def test_both_val_and_validation_are_refused(tmp_path):
    fill(tmp_path, train__a=1, train__b=1, val__a=1, validation__a=1)
    with pytest.raises(ValueError, match=r"both val/ and validation/: keep one"):
        open_source(str(tmp_path))
