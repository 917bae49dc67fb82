"""Labels of third-party shards are read from 0 or 1; ambiguous ones require a flag."""

import shutil

import pytest
import tensorflow as tf

from tests.data.making_shards import example, labels_of, png, shard, slim, slim_folder
from tests.making import noise
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("text", [True, False])
def test_labels_of_slim_and_cloud_tpu_count_from_0_and_keep_their_class_names(tmp_path, base, text):
    source = open_source(slim_folder(tmp_path, base, text=text))
    assert source.classes == ("n01", "n02", "n03")
    assert source.texts == (("ant", "bee", "cow") if text else ())
    assert (
        f"labels {base} to {base + 2}: first class is {base}, found from the labels" in source.notes
    )
    every = labels_of(source) | labels_of(source, "validation")
    assert every == {f"{i}.png": i % 3 for i in range(30)}
    for split in source.splits.values():
        for i, name in enumerate(split.names):
            assert split.read(i) == png(noise(6, 9, int(name.removesuffix(".png"))))


def test_classes_without_names_are_numbered(tmp_path):
    assert open_source(slim_folder(tmp_path, classes=())).classes == ("0", "1", "2")


@pytest.mark.parametrize("labels", [(1, 3, 7), (2, 3, 4)])
def test_ambiguous_labels_require_the_number_of_the_first_class(tmp_path, labels):
    shard(tmp_path, "train-00000-of-00001", [slim(i, labels[i % 3]) for i in range(9)])
    with pytest.raises(
        ValueError,
        match=(
            rf"Received: 3 numbers from {labels[0]} to {labels[2]}\. "
            r"Give --labels-from 0 or --labels-from 1"
        ),
    ):
        open_source(str(tmp_path))
    for base in (0, 1):
        source = open_source(str(tmp_path), Selection(labels_from=base))
        assert len(source.classes) == labels[2] - base + 1
        for label, name in zip(labels, ("n01", "n02", "n03"), strict=True):
            assert source.classes[label - base] == name
        assert any("as given" in note for note in source.notes)
        between = labels[2] - base + 1 - 3
        assert (f"{between} of the classes have no images" in source.notes) == (between > 0)


@pytest.mark.parametrize(
    ("train", "validation"),
    [((1, 2, 3), (0, 1, 2)), ((0, 1, 2), (1, 2, 3)), ((1, 2, 3), (0, 0, 1))],
)
def test_splits_that_count_from_different_numbers_are_refused(tmp_path, train, validation):
    for split, labels in (("train", train), ("validation", validation)):
        shard(
            tmp_path,
            f"{split}-00000-of-00001",
            [slim(i, labels[i % 3], classes=()) for i in range(6)],
        )
    ranges = f"train {train[0]} to {train[-1]}, validation {validation[0]} to {validation[-1]}"
    with pytest.raises(
        ValueError,
        match=rf"must count from the same number\. Received: {ranges}\. .*--labels-from 0 or",
    ):
        open_source(str(tmp_path))
    assert (
        open_source(str(tmp_path), Selection(labels_from=0)).splits["validation"].labels.tolist()
        == [*validation] * 2
    )


def test_a_split_that_lacks_classes_counts_like_the_others(tmp_path):
    shard(tmp_path, "train-00000-of-00001", [slim(i, i % 3) for i in range(6)])
    shard(tmp_path, "validation-00000-of-00001", [slim(i, i % 3) for i in (1, 2)])
    assert labels_of(open_source(str(tmp_path)), "validation") == {"1.png": 1, "2.png": 2}


def test_a_split_of_zeros_has_no_labels_if_labels_count_from_1(tmp_path):
    slim_folder(tmp_path)
    shard(tmp_path, "test-00000-of-00001", [slim(i, 0, classes=()) for i in range(3)])
    source = open_source(str(tmp_path))
    assert source.classes == ("n01", "n02", "n03")
    assert "the test images have no labels: left out" in source.notes


def test_labels_from_is_refused_for_sources_with_class_names(ours, pictures_folder):
    for name in (str(ours), str(pictures_folder)):
        with pytest.raises(
            ValueError,
            match=rf"Received: --labels-from 1 for {name}, which has class names\. Remove the flag",
        ):
            open_source(name, Selection(labels_from=1))
        assert (
            open_source(name, Selection(labels_from=0)).fingerprint()
            == open_source(name).fingerprint()
        )


def test_our_shards_that_lack_records_at_their_end_are_reported(ours, tmp_path):
    shutil.copytree(ours, tmp_path / "ours")
    path = tmp_path / "ours" / "train-00001-of-00003"
    whole = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    shard(tmp_path / "ours", path.name, whole[:-2])
    with pytest.raises(
        ValueError,
        match=r"must have the 27 images of .* Received: 25 \(train-00001-of-00003 has 7 inst",
    ):
        _ = open_source(str(tmp_path / "ours")).splits["train"]


def test_a_label_below_labels_from_is_reported_with_shard_and_record(
    tmp_path,
):
    shard(tmp_path, "train-00000-of-00003", [slim(i, i % 3 + 1) for i in range(6)])
    shard(tmp_path, "train-00001-of-00003", [])
    shard(tmp_path, "train-00002-of-00003", [slim(6, 0), slim(7, 2), slim(8, 3)])
    with pytest.raises(
        ValueError,
        match=(
            r"train-00002-of-00003, record 0, must have a label of at least 1\. "
            r"Received: 0\. Give another"
        ),
    ):
        open_source(str(tmp_path), Selection(labels_from=1))


def test_a_label_beyond_the_class_list_is_reported_with_shard_and_record(ours, tmp_path):
    """TensorFlow Datasets and our own shards have fixed lists of classes."""
    pictures = [
        example(image=[png(noise(6, 9, i))], label=[label])
        for i, label in enumerate([0, 1, 2, 1, 3, 0])
    ]
    shard(tmp_path / "theirs", "tiny-train.tfrecord-00000-of-00001", pictures)
    (tmp_path / "theirs" / "label.labels.txt").write_text("ant\nbee\ncow\n")
    shutil.copytree(ours, tmp_path / "ours")
    path = tmp_path / "ours" / "train-00000-of-00003"
    whole = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    shard(tmp_path / "ours", path.name, [*whole[:4], slim(99, 3), *whole[4:]])
    for folder in ("theirs", "ours"):
        with pytest.raises(
            ValueError,
            match=(
                r"00000-of-0000[13], record 4, must have a label from 0 to 2\. "
                r"Received: 3\. Fix the class list"
            ),
        ):
            _ = open_source(str(tmp_path / folder)).splits["train"]


@pytest.mark.parametrize("names", ["train", "validation", "test"])
def test_class_names_missing_in_one_split_come_from_the_others(tmp_path, names):
    splits = ("train", "validation", "test")
    texts = splits[splits.index(names) - 1]
    for split in splits:
        options = {"classes": ()} if split == names else {"text": split != texts}
        shard(
            tmp_path, f"{split}-00000-of-00001", [slim(i, i % 3 + 1, **options) for i in range(6)]
        )
    source = open_source(str(tmp_path))
    assert source.classes == ("n01", "n02", "n03")
    assert source.texts == ("ant", "bee", "cow")


def test_classes_and_images_with_the_same_name_stay_separate(tmp_path):
    """ImageNet has two classes named crane, and the flowers of TF-Slim have no file names."""
    cranes = [
        example(
            image__encoded=[png(noise(6, 9, i))],
            image__class__label=[i % 3],
            image__class__text=[[b"crane", b"ant"][i % 3 == 1]],
        )
        for i in range(9)
    ]
    shard(tmp_path, "flowers_train_00000-of-00001.tfrecord", cranes)
    source = open_source(str(tmp_path))
    assert source.classes == ("0 crane", "1 ant", "2 crane")
    every = labels_of(source) | labels_of(source, "validation")
    assert len(every) == 9
    for split in source.splits.values():
        for i, label in enumerate(split.labels):
            (number,) = [k for k in range(9) if split.read(i) == png(noise(6, 9, k))]
            assert label == number % 3


def test_two_names_for_one_label_are_refused(tmp_path):
    shard(tmp_path, "train-00000-of-00001", [*(slim(i, i % 3 + 1) for i in range(6)), slim(7, 1)])
    with pytest.raises(
        ValueError,
        match=(
            r"Label 1 must have one name\. "
            r"Received: 'n01', and 'n02' in .*train-00000-of-00001, record 6\."
        ),
    ):
        open_source(str(tmp_path))


def test_a_record_without_a_label_is_refused_and_a_split_without_labels_is_left_out(tmp_path):
    slim_folder(tmp_path)
    shard(tmp_path, "test-00000-of-00001", [slim(i, -1) for i in range(3)])
    source = open_source(str(tmp_path))
    assert set(source.splits) == {"train", "validation"}
    assert "the test images have no labels: left out" in source.notes
    shard(tmp_path, "test-00000-of-00001", [slim(0, 1), slim(1, -1)])
    with pytest.raises(ValueError, match=r"test-00000-of-00001, record 1, has no label"):
        open_source(str(tmp_path))
