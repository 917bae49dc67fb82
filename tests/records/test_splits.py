"""The fingerprint and the smaller side of a source."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.data.making_pictures import fill
from vgg_tf.data.opening import open_source


@pytest.fixture(scope="module")
def digits():
    return open_source("digits")


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
def test_changes_of_files_labels_classes_or_splits_change_the_fingerprint(tmp_path, change):
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


def test_the_smaller_side_is_the_median_of_readable_training_images(tmp_path):
    fill(tmp_path, train__a=9, train__b=2, val__a=1)  # sides 10 to 18, 10, 11
    assert open_source(str(tmp_path)).measure_smaller_side() == np.median([*range(10, 19), 10, 11])
    for name in ("000", "001", "002"):
        (tmp_path / "train" / "a" / f"{name}.png").write_bytes(b"no image")
    assert open_source(str(tmp_path)).measure_smaller_side() == int(
        np.median([*range(13, 19), 10, 11])
    )


def test_the_smaller_side_is_none_if_no_image_is_readable(tmp_path):
    for path in fill(tmp_path, a=2, b=2).rglob("*.png"):
        path.write_bytes(b"no image")
    assert open_source(str(tmp_path)).measure_smaller_side() is None


def test_the_smaller_side_of_the_digits_is_8_pixels(digits):
    assert digits.measure_smaller_side() == 8
