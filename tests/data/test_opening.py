"""Sources are opened by name or folder, and held-out images are always the same."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.data.making_pictures import fill, names
from vgg_tf.data.opening import open_source, open_tested
from vgg_tf.data.selection import Selection, find_least_held_out
from vgg_tf.writing.write import write


@pytest.fixture(scope="module")
def digits():
    return open_source("digits")


def test_digits_has_1295_train_142_validation_and_360_test_images(digits):
    assert {split: len(images) for split, images in digits.splits.items()} == {
        "train": 1295,
        "validation": 142,
        "test": 360,
    }
    assert digits.classes == tuple("0123456789")


def test_splits_of_digits_are_disjoint_and_have_all_images_of_scikit_learn(digits):
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
            # 0 to 16 are rescaled to 0 to 255 and rounded, the same in all channels.
            assert np.abs(pixels - theirs.images[index][:, :, None] * 255 / 16).max() <= 0.5
    assert seen == set(range(1797))


def test_every_split_has_the_same_share_of_each_digit(digits):
    everything = np.bincount(load_digits().target)
    for images in digits.splits.values():
        share = everything * len(images) / 1797
        assert np.abs(np.bincount(images.labels) - share).max() <= 1


def test_the_digits_are_the_same_every_time(digits):
    again = open_source("digits")
    assert again.fingerprint() == digits.fingerprint()
    for split, images in digits.splits.items():
        assert again.splits[split].contents == images.contents


def test_a_fixed_tenth_of_each_class_is_held_out_without_a_validation_split(tmp_path):
    fill(tmp_path, ant=40, bee=20, cow=3, doe=1)
    source = open_source(str(tmp_path))
    train, validation = source.splits["train"], source.splits["validation"]
    assert np.bincount(validation.labels).tolist() == [4, 2, 1]  # the only doe stays in train
    assert np.bincount(train.labels).tolist() == [36, 18, 2, 1]
    everything = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    assert set(train.names).isdisjoint(validation.names)
    assert {*train.names, *validation.names} == everything
    # Drawn at random: neither the first nor the last ones.
    assert validation.names[:4] not in (sorted(everything)[:4], sorted(everything)[36:40])
    assert names(open_source(str(tmp_path)), "validation") == validation.names
    assert source.notes == (
        "no validation split: 7 of 64 training images held out, the same share of each class",
    )


def test_test_images_are_not_held_out(tmp_path):
    fill(tmp_path, train__a=20, train__b=20, test__a=5, test__b=5)
    source = open_source(str(tmp_path))
    assert {split: len(images) for split, images in source.splits.items()} == {
        "train": 36,
        "validation": 4,
        "test": 10,
    }
    assert all(name.startswith("train/") for name in names(source, "validation"))


def test_another_share_or_none_may_be_held_out(tmp_path):
    fill(tmp_path, cat=20, dog=10)
    half = open_source(str(tmp_path), Selection(hold_out=0.5))
    assert np.bincount(half.splits["validation"].labels).tolist() == [10, 5]
    everything = open_source(str(tmp_path), Selection(hold_out=0))
    assert {split: len(images) for split, images in everything.splits.items()} == {"train": 30}
    assert everything.notes == ("no validation split, and nothing held out",)
    with pytest.raises(
        ValueError, match=r"--hold-out must be a share from 0 to below 1\. Received: 1\.0\."
    ):
        Selection(hold_out=1.0)


def test_hold_out_is_refused_with_a_validation_split_unless_one_split_is_read(
    tmp_path,
):
    fill(tmp_path / "val", cat=2, dog=2)
    fill(tmp_path / "train", cat=4, dog=4)
    with pytest.raises(
        ValueError,
        match=r"without a validation split\. Received: --hold-out 0 for .*, which has one\.",
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


def test_our_own_shards_keep_their_splits(tmp_path):
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


def test_networks_are_tested_on_images_that_all_of_them_held_out(tmp_path):
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
    # Our own shards keep their splits: a selection without hold_out is trained on all of them.
    write(
        open_source(str(tmp_path), Selection(hold_out=0)), str(tmp_path / "shards"), progress=False
    )
    assert "validation" not in open_tested("validation", both, str(tmp_path / "shards")).splits
    assert (
        len(names(open_tested("validation", both[:1], str(tmp_path / "shards")), "validation"))
        == 30
    )


def test_networks_with_different_limits_are_not_tested_on_images_of_their_training(
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
            match=r"must have the same --limit-per-class\. Received: 0 and 10\. Test on",
        ):
            open_tested("validation", selections, own, data)
    assert len(names(open_tested("train", [few], own, own), "train")) == 54
    # Nobody trains on the images of a validation split that the source has.
    fill(tmp_path / "split", train__cat=20, train__dog=20, val__cat=5, val__dog=5)
    there = str(tmp_path / "split")
    assert (
        len(names(open_tested("validation", [few, Selection()], there, there), "validation")) == 10
    )


def test_networks_are_tested_on_their_selection_unless_other_data_are_given(tmp_path):
    fill(tmp_path, cat=20, cow=20, dog=20)
    assert open_tested("train", [Selection(prefix="c")], str(tmp_path)).classes == ("cat", "cow")
    assert open_tested("train", [Selection(prefix="c")], str(tmp_path), str(tmp_path)).classes == (
        "cat",
        "cow",
        "dog",
    )


def test_digits_is_not_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(fill(tmp_path, digits__cat=4, digits__dog=4))
    assert open_source("digits").classes == tuple("0123456789")
    for path in ("digits/", "./digits"):
        assert open_source(path).classes == ("cat", "dog")


def test_one_image_per_class_leaves_no_validation_split_and_adds_a_note(tmp_path):
    source = open_source(str(fill(tmp_path, a=1, b=1, c=1)))
    assert {split: len(images) for split, images in source.splits.items()} == {"train": 3}
    assert len(source.notes) == 1
    assert "nothing can be held out for validation" in source.notes[0]


def test_a_missing_folder_is_an_error_with_the_kinds_of_sources(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"No folder '.*nowhere'. Give digits, tfds:NAME, a folder of class folders",
    ):
        open_source(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("d/ant/000.png", r"file: d/ant/000\.png\. .* shards: d/ant or d\. Unpack"),
        ("d/train.tfrecord", r"file: d/train\.tfrecord\. .* shards: d\. Unpack"),
        ("x.zip", r"file: x\.zip\. .* shards\. Unpack"),
    ],
)
def test_a_file_is_answered_with_its_folder(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(fill(tmp_path, d__ant=1))
    (tmp_path / "d" / "train.tfrecord").write_bytes(b"x")
    (tmp_path / "x.zip").write_bytes(b"x")
    with pytest.raises(NotADirectoryError, match=f"must be a folder. Received a {words}"):
        open_source(name)
