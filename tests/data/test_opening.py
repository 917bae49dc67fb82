"""A word or a folder is opened; what is held out of it is always the same."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.data.making_pictures import fill, names
from vgg_tf.data.opening import open_source, open_tested
from vgg_tf.data.selection import Selection, find_least_held_out
from vgg_tf.data.writing import write


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
    assert find_least_held_out([Selection(hold_out=0.5), Selection()]) == 0.1
    assert find_least_held_out([Selection(hold_out=0.5), Selection(hold_out=0)]) == 0
    assert find_least_held_out([Selection(), Selection(classes=("a", "b"))]) is None
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


def test_a_missing_folder_is_an_error_that_says_what_to_give(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"No folder '.*nowhere'. Give digits, tfds:NAME, a folder of class folders",
    ):
        open_source(str(tmp_path / "nowhere"))
