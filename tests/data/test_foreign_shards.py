"""Labels of other writers' shards count from 0; where their base is unclear, it is asked for."""

import shutil

import pytest
import tensorflow as tf

from tests.data.making_shards import example, labels_of, png, shard, slim, slim_folder
from tests.making import noise
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("text", [True, False])
def test_labels_of_slim_and_cloud_tpu_come_out_from_0_with_their_class_names(tmp_path, base, text):
    source = open_source(slim_folder(tmp_path, base, text=text))
    assert source.classes == ("n01", "n02", "n03")
    assert source.texts == (("ant", "bee", "cow") if text else ())
    assert f"labels {base} to {base + 2}: counted from {base}, as they show" in source.notes
    every = labels_of(source) | labels_of(source, "validation")
    assert every == {f"{i}.png": i % 3 for i in range(30)}
    for split in source.splits.values():
        for i, name in enumerate(split.names):
            assert split.read(i) == png(noise(6, 9, int(name.removesuffix(".png"))))


def test_without_names_the_classes_are_numbers(tmp_path):
    assert open_source(slim_folder(tmp_path, classes=())).classes == ("0", "1", "2")


@pytest.mark.parametrize("labels", [(1, 3, 7), (2, 3, 4)])
def test_labels_that_may_count_from_0_or_from_1_must_be_declared(tmp_path, labels):
    shard(tmp_path, "train-00000-of-00001", [slim(i, labels[i % 3]) for i in range(9)])
    with pytest.raises(
        ValueError,
        match=(
            rf"are 3 numbers from {labels[0]} to {labels[2]}: "
            r".* Say --labels-from 0 or --labels-from 1"
        ),
    ):
        open_source(str(tmp_path))
    for base in (0, 1):
        source = open_source(str(tmp_path), Selection(labels_from=base))
        assert len(source.classes) == labels[2] - base + 1
        for label, name in zip(labels, ("n01", "n02", "n03"), strict=True):
            assert source.classes[label - base] == name
        assert any("as declared" in note for note in source.notes)
        between = labels[2] - base + 1 - 3
        assert (f"{between} classes between have no images" in source.notes) == (between > 0)


@pytest.mark.parametrize(
    ("train", "validation"),
    [((1, 2, 3), (0, 1, 2)), ((0, 1, 2), (1, 2, 3)), ((1, 2, 3), (0, 0, 1))],
)
def test_splits_that_count_from_different_numbers_are_refused_with_the_numbers(
    tmp_path, train, validation
):
    for split, labels in (("train", train), ("validation", validation)):
        shard(
            tmp_path,
            f"{split}-00000-of-00001",
            [slim(i, labels[i % 3], classes=()) for i in range(6)],
        )
    ranges = (
        f"those of train {train[0]} to {train[-1]}, those of validation {validation[0]} to "
        f"{validation[-1]}"
    )
    with pytest.raises(
        ValueError,
        match=rf"count from 0 in some splits and from 1 in others: .*{ranges}.*--labels-from 0 or",
    ):
        open_source(str(tmp_path))
    assert (
        open_source(str(tmp_path), Selection(labels_from=0)).splits["validation"].labels.tolist()
        == [*validation] * 2
    )


def test_a_split_that_lacks_classes_counts_as_the_others_do(tmp_path):
    shard(tmp_path, "train-00000-of-00001", [slim(i, i % 3) for i in range(6)])
    shard(tmp_path, "validation-00000-of-00001", [slim(i, i % 3) for i in (1, 2)])
    assert labels_of(open_source(str(tmp_path)), "validation") == {"1.png": 1, "2.png": 2}


def test_where_labels_count_from_1_a_split_of_zeros_has_none(tmp_path):
    slim_folder(tmp_path)
    shard(tmp_path, "test-00000-of-00001", [slim(i, 0, classes=()) for i in range(3)])
    source = open_source(str(tmp_path))
    assert source.classes == ("n01", "n02", "n03")
    assert "the test images have no labels: left out" in source.notes


def test_a_number_of_the_first_class_is_refused_where_the_classes_are_told(ours, pictures_folder):
    for name in (str(ours), str(pictures_folder)):
        with pytest.raises(
            ValueError, match=rf"{name} tells its classes, .*from 0.*. Leave --labels-from 1 away"
        ):
            open_source(name, Selection(labels_from=1))
        assert (
            open_source(name, Selection(labels_from=0)).fingerprint()
            == open_source(name).fingerprint()
        )


def test_our_shards_that_end_between_two_records_are_not_rewritten_and_named(ours, tmp_path):
    shutil.copytree(ours, tmp_path / "ours")
    path = tmp_path / "ours" / "train-00001-of-00003"
    whole = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    shard(tmp_path / "ours", path.name, whole[:-2])
    with pytest.raises(
        ValueError,
        match=r"tells of 27 train images, not 25: train-00001-of-00003 holds 7 instead of 9\.",
    ):
        open_source(str(tmp_path / "ours"))


def test_a_label_below_the_declared_base_is_named_by_shard_and_record_also_behind_an_empty_shard(
    tmp_path,
):
    shard(tmp_path, "train-00000-of-00003", [slim(i, i % 3 + 1) for i in range(6)])
    shard(tmp_path, "train-00001-of-00003", [])
    shard(tmp_path, "train-00002-of-00003", [slim(6, 0), slim(7, 2), slim(8, 3)])
    with pytest.raises(
        ValueError,
        match=(
            r"train-00002-of-00003, record 0, has the label 0, "
            r"out of the range of 1 on. Give another"
        ),
    ):
        open_source(str(tmp_path), Selection(labels_from=1))


def test_a_label_beyond_the_class_list_is_named_by_shard_and_record(ours, tmp_path):
    """The list is that of tensorflow-datasets or our own, which no label can prolong."""
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
                r"00000-of-0000[13], record 4, has the label 3, "
                r"out of the range of 0 to 2. Mend the class list"
            ),
        ):
            open_source(str(tmp_path / folder))


@pytest.mark.parametrize("names", ["train", "validation", "test"])
def test_names_that_some_splits_lack_are_taken_from_the_others(tmp_path, names):
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


def test_classes_of_one_name_stay_apart_and_images_of_one_name_too(tmp_path):
    """ImageNet has two classes called crane, and slim's flowers no file names."""
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
        match=r"train-00000-of-00001, record 6, calls label 1 'n02', others call it 'n01'",
    ):
        open_source(str(tmp_path))


def test_a_record_without_a_label_is_named_and_a_split_without_labels_is_left_out(tmp_path):
    slim_folder(tmp_path)
    shard(tmp_path, "test-00000-of-00001", [slim(i, -1) for i in range(3)])
    source = open_source(str(tmp_path))
    assert set(source.splits) == {"train", "validation"}
    assert "the test images have no labels: left out" in source.notes
    shard(tmp_path, "test-00000-of-00001", [slim(0, 1), slim(1, -1)])
    with pytest.raises(ValueError, match=r"test-00000-of-00001, record 1, has no label"):
        open_source(str(tmp_path))
