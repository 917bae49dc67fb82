"""Third-party shards are found by their names, and missing ones are reported."""

import pytest

from tests.data.making_shards import shard, slim, slim_folder
from vgg_tf.data.opening import open_source


@pytest.mark.parametrize(
    "pattern",
    [
        "flowers_{}_{:05d}-of-{:05d}.tfrecord",
        "{}-{:05d}-of-{:05d}",
        "my.set-{}.tfrecord-{:05d}-of-{:05d}",
    ],
)
def test_shard_names_of_common_writers_are_found(tmp_path, pattern):
    for k in range(2):
        shard(tmp_path, pattern.format("train", k, 2), [slim(i, i % 3) for i in range(k, 24, 2)])
    shard(tmp_path, pattern.format("validation", 0, 1), [slim(i, i % 3) for i in range(24, 30)])
    source = open_source(str(tmp_path))
    assert {split: len(images) for split, images in source.splits.items()} == {
        "train": 24,
        "validation": 6,
    }


def test_shards_may_be_in_one_folder_per_split(tmp_path):
    slim_folder(tmp_path / "train")
    shard(
        tmp_path / "validation", "validation-00000-of-00001", [slim(i, i % 3 + 1) for i in range(6)]
    )
    source = open_source(str(tmp_path))
    assert {split: len(images) for split, images in source.splits.items()} == {
        "train": 30,
        "validation": 6,
    }
    slim_folder(tmp_path)
    with pytest.raises(ValueError, match=r"must have one set of train shards\. Received two: "):
        open_source(str(tmp_path))


def test_missing_shards_two_sets_and_other_formats_are_refused(tmp_path):
    slim_folder(tmp_path / "a")
    (tmp_path / "a" / "train-00001-of-00003").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"a must have all 3 train shards\. .*00000-of-00003 without the numbers 1 \(1 miss",
    ):
        open_source(str(tmp_path / "a"))
    slim_folder(tmp_path / "b")
    slim_folder(tmp_path / "b", shards=2)
    with pytest.raises(ValueError, match=r"b must have one set of train shards\."):
        open_source(str(tmp_path / "b"))
    shard(tmp_path / "c", "mnist-train.array_record-00000-of-00001", [])
    with pytest.raises(
        ValueError,
        match=(
            r"must be TFRecord files\. Received: .*array_record-00000-of-00001\. "
            r"Prepare the dataset again with file_format"
        ),
    ):
        open_source(str(tmp_path / "c"))
    shard(tmp_path / "d", "train-00000-of-00001", [])
    with pytest.raises(ValueError, match=r"1 shards without records, first .*train-00000-of-00001"):
        open_source(str(tmp_path / "d"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("flowers_train_00000-of-00001.tfrecord", "pets_train_00000-of-00001.tfrecord"),
        ("train-00000-of-00001", "mnist-train.tfrecord-00000-of-00001"),
        ("val-00000-of-00001", "validation-00000-of-00001"),
    ],
)
def test_two_sets_with_the_same_number_of_shards_are_refused(tmp_path, one, other):
    if "train" not in one:
        slim_folder(tmp_path)
    for name, numbers in ((one, range(50, 62)), (other, range(70, 82))):
        shard(tmp_path, name, [slim(i, i % 3 + 1) for i in numbers])
    with pytest.raises(ValueError, match=r"must have one set of .* shards\."):
        open_source(str(tmp_path))
