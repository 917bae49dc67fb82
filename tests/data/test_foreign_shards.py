"""Shards of other writers give each image once, with its own class, and labels whose base is known;
damage is named.
"""

import itertools
import re
import shutil
import socket
import time
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.making import noise, save
from vgg_tf.data.loading import load_dataset
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.data.writing import write
from vgg_tf.records import integrity, schema
from vgg_tf.records.collection import shard_paths
from vgg_tf.runtime import files

CLASSES = ("n01 ant", "n02 bee", "n03 cow")


def png(picture):
    return tf.io.encode_png(picture).numpy()


def example(**features):
    """A serialised Example: lists of int, float or bytes by key, with `/` written as `__`."""
    built = tf.train.Example()
    for key, values in features.items():
        feature = built.features.feature[key.replace("__", "/")]
        kind = {int: feature.int64_list, float: feature.float_list, bytes: feature.bytes_list}[
            type(values[0])
        ]
        kind.value.extend(values)
    return built.SerializeToString()


def slim(i, label, classes=CLASSES, text=True, boxes=()):
    """As slim writes image `i`; without text as Cloud TPU does. The class is the remainder of i."""
    features = {
        "image__encoded": [png(noise(6, 9, i))],
        "image__class__label": [label],
        "image__filename": [b"%d.png" % i],
    }
    if classes:
        features["image__class__synset"] = [classes[i % 3].split()[0].encode()]
    if text and classes:
        features["image__class__text"] = [classes[i % 3].split()[1].encode()]
    for side, values in zip(
        ("xmin", "ymin", "xmax", "ymax"), zip(*boxes, strict=True), strict=False
    ):
        features[f"image__object__bbox__{side}"] = list(values)
    if boxes:
        features["image__object__bbox__label"] = [label] * len(boxes)
    return example(**features)


def shard(folder, name, examples):
    folder.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / name)) as writer:
        for serialized in examples:
            writer.write(serialized)


def slim_folder(folder, base=1, n=30, shards=3, **options):
    for k in range(shards):
        examples = [slim(i, i % 3 + base, **options) for i in range(k, n, shards)]
        shard(folder, f"train-{k:05d}-of-{shards:05d}", examples)
    return str(folder)


def labels_of(source, split="train"):
    return {
        name: int(label)
        for name, label in zip(source.splits[split].names, source.splits[split].labels, strict=True)
    }


# Labels


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


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """The images of `slim_folder` as our shards, three of train."""
    root = tmp_path_factory.mktemp("ours")
    write(open_source(slim_folder(root / "slim")), root / "ours", shards=3, progress=False)
    return root / "ours"


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


# Files


@pytest.mark.parametrize(
    "pattern",
    [
        "flowers_{}_{:05d}-of-{:05d}.tfrecord",
        "{}-{:05d}-of-{:05d}",
        "my.set-{}.tfrecord-{:05d}-of-{:05d}",
    ],
)
def test_names_of_the_fields_writers_are_known(tmp_path, pattern):
    for k in range(2):
        shard(tmp_path, pattern.format("train", k, 2), [slim(i, i % 3) for i in range(k, 24, 2)])
    shard(tmp_path, pattern.format("validation", 0, 1), [slim(i, i % 3) for i in range(24, 30)])
    source = open_source(str(tmp_path))
    assert {split: len(images) for split, images in source.splits.items()} == {
        "train": 24,
        "validation": 6,
    }


def test_shards_may_lie_in_a_folder_a_split(tmp_path):
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
    with pytest.raises(ValueError, match="holds train shards of two sets"):
        open_source(str(tmp_path))


def test_missing_shards_two_sets_and_other_formats_are_refused_by_name(tmp_path):
    slim_folder(tmp_path / "a")
    (tmp_path / "a" / "train-00001-of-00003").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"1 of 3 train shards in .*a are missing: 1, beside train-00000-of-00003. Fetch them",
    ):
        open_source(str(tmp_path / "a"))
    slim_folder(tmp_path / "b")
    slim_folder(tmp_path / "b", shards=2)
    with pytest.raises(ValueError, match=r"b holds train shards of two sets"):
        open_source(str(tmp_path / "b"))
    shard(tmp_path / "c", "mnist-train.array_record-00000-of-00001", [])
    with pytest.raises(
        ValueError,
        match=(
            r"array_record-00000-of-00001 is no TFRecord file. "
            r"Prepare the set anew with file_format"
        ),
    ):
        open_source(str(tmp_path / "c"))
    shard(tmp_path / "d", "train-00000-of-00001", [])
    with pytest.raises(
        ValueError, match=r"train-00000-of-00001 and the 0 beside it hold no records"
    ):
        open_source(str(tmp_path / "d"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("flowers_train_00000-of-00001.tfrecord", "pets_train_00000-of-00001.tfrecord"),
        ("train-00000-of-00001", "mnist-train.tfrecord-00000-of-00001"),
        ("val-00000-of-00001", "validation-00000-of-00001"),
    ],
)
def test_two_sets_with_equally_many_shards_are_two_sets(tmp_path, one, other):
    if "train" not in one:
        slim_folder(tmp_path)
    for name, numbers in ((one, range(50, 62)), (other, range(70, 82))):
        shard(tmp_path, name, [slim(i, i % 3 + 1) for i in numbers])
    with pytest.raises(ValueError, match="shards of two sets"):
        open_source(str(tmp_path))


def test_empty_shards_among_others_cost_nothing(tmp_path):
    slim_folder(tmp_path, n=16, shards=4)
    shard(tmp_path, "train-00000-of-00004", [])  # the first tells whose keys they are
    shard(tmp_path, "train-00002-of-00004", [])
    source = open_source(str(tmp_path))
    expected = {f"{i}.png": i % 3 for k in (1, 3) for i in range(k, 16, 4)}
    assert labels_of(source) | labels_of(source, "validation") == expected
    views = drawn(load_dataset(source, "train", training=False, batch_size=3, size=4, scale=4))
    assert sorted(views.values()) == sorted(source.splits["train"].labels.tolist())


@pytest.mark.parametrize(
    ("at", "record"),
    [
        ((0, 0), b"\xff\xff no Example"),
        ((1, 3), b"\xff\xff no Example"),
        ((1, 3), example(image__encoded=[b"x"], image__class__label=[1, 2])),
        ((1, 3), example(image__encoded=[b"x"], image__class__label=[b"1"])),
        ((2, 0), example(image__encoded=[b"x"], image__class__text=[b"ant"])),
    ],
    ids=["no Example first", "no Example", "two labels", "a label in words", "no label"],
)
def test_a_record_whose_label_cannot_be_read_is_named(tmp_path, at, record):
    slim_folder(tmp_path, n=15)
    k, index = at
    whole = list(
        tf.data.TFRecordDataset(str(tmp_path / f"train-{k:05d}-of-00003")).as_numpy_iterator()
    )
    shard(tmp_path, f"train-{k:05d}-of-00003", [*whole[:index], record, *whole[index:]])
    with pytest.raises(ValueError, match=rf"train-0000{k}-of-00003, record {index}\b"):
        open_source(str(tmp_path))


def damage(path, at, cut=False):
    content = bytearray(path.read_bytes())
    if cut:
        content = content[:at]
    else:
        content[at] ^= 1
    path.write_bytes(content)


@pytest.fixture
def lengths(tmp_path):
    slim_folder(tmp_path, shards=1, n=6)
    return [
        len(record) + 16
        for record in tf.data.TFRecordDataset(
            str(tmp_path / "train-00000-of-00001")
        ).as_numpy_iterator()
    ]


@pytest.mark.parametrize(
    ("record", "at", "cut", "what"),
    [
        (2, 40, False, "its checksum is wrong"),
        (2, -1, False, "its checksum is wrong"),
        (3, 1, False, "cut off or overwritten"),  # the length: nothing behind it can be found
        (3, 9, False, "cut off or overwritten"),  # the checksum of the length
        (4, 60, True, "cut off: the file ends"),
        (4, 5, True, "cut off or overwritten"),  # in a header, which TensorFlow takes for the end
    ],
)
def test_damage_is_named_by_shard_and_record(tmp_path, lengths, record, at, cut, what):
    path = tmp_path / "train-00000-of-00001"
    assert integrity.damages(str(path)) == []
    start = list(itertools.accumulate(lengths, initial=0))
    damage(path, start[record] + at if at >= 0 else start[record + 1] + at, cut)
    ((found, told),) = integrity.damages(str(path))
    assert (found, told[: len(what)]) == (record, what)
    with pytest.raises(
        ValueError,
        match=(
            r"cannot be read; fetch or write them anew:\n"
            rf"  .*00000-of-00001, record {record}: {what}"
        ),
    ):
        open_source(str(tmp_path))


def test_all_damaged_records_of_all_shards_are_named_and_the_others_are_where_the_reader_finds_them(
    tmp_path,
):
    slim_folder(tmp_path, n=15)
    expected = {0: [], 1: [0, 2, 4], 2: [3]}
    for k, damaged in expected.items():
        path = tmp_path / f"train-{k:05d}-of-00003"
        whole = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        start = list(itertools.accumulate((len(record) + 16 for record in whole), initial=0))
        for index in damaged:
            damage(
                path, start[index] + 12 + 20 * (index == 2)
            )  # the first byte of the data, or one within
        walked = list(integrity.walk(str(path)))
        assert [record.index for record, what in walked if what] == damaged
        assert [record for record, _ in walked] == [
            schema.Record(str(path), i, start[i] + 12, len(serialized))
            for i, serialized in enumerate(whole)
        ]
        for (record, what), serialized in zip(walked, whole, strict=True):
            assert (files.read(str(path), record.offset, record.length) == serialized) == (
                what is None
            )
    with pytest.raises(ValueError, match="cannot be read") as error:
        open_source(str(tmp_path))
    named = re.findall(
        r"train-0000(\d)-of-00003, record (\d): its checksum is wrong", str(error.value)
    )
    assert named == [("1", "0"), ("1", "2"), ("1", "4"), ("2", "3")]


# What a record says


def test_unpacking_tells_what_a_record_says_and_what_it_does_not():
    boxes = [(0.125, 0.25, 0.5, 1.0), (0.0, 0.5, 0.25, 0.75)]
    told = schema.unpack(slim(4, 2, boxes=boxes))
    assert told[:-1] == (png(noise(6, 9, 4)), 2, "4.png", "n02", "bee", "", -1, -1)
    assert told.boxes.corners.tolist() == [list(box) for box in boxes]
    assert told.boxes.names == ["", ""]  # the image's own class
    bare = schema.unpack(example(image__encoded=[b"x"]))
    assert bare[:-1] == (b"x", -1, "", "", "", "", -1, -1)
    assert bare.boxes.corners.shape == (0, 4)
    assert bare.boxes.names == []


def test_boxes_are_called_by_their_words_else_by_their_numbers_else_by_the_class():
    corners = {
        f"image__object__bbox__{side}": [0.0, 0.5] if side[1:] == "min" else [0.5, 1.0]
        for side in ("xmin", "ymin", "xmax", "ymax")
    }
    image = {"image__encoded": [b"x"], "image__class__label": [7]} | corners
    labels, words = (
        {"image__object__bbox__label": [7, 3]},
        {"image__object__class__text": [b"bee", b"cow"]},
    )
    assert schema.unpack(example(**image)).boxes.names == ["", ""]
    assert schema.unpack(example(**image, **labels)).boxes.names == ["", "label 3"]
    assert schema.unpack(example(**image, **labels, **words)).boxes.names == ["bee", "cow"]
    bare = {"image__encoded": [b"x"], "image__class__label": [7]}
    of_none = {"image__object__bbox__label": [5], "image__object__class__text": [b"bee"]}
    assert schema.unpack(example(**bare, **of_none)).boxes.names == []
    with pytest.raises(ValueError, match="it has 2 boxes, and 3 of their labels or coordinates"):
        schema.unpack(example(**image, image__object__bbox__label=[7, 3, 1]))


def test_what_is_no_record_of_an_image_is_told_with_its_place(tmp_path):
    for serialized, what in (
        (b"\xff\xff", "it is no tf.train.Example"),
        (
            example(image__class__label=[1]),
            "it has no feature image/encoded, only image/class/label",
        ),
    ):
        with pytest.raises(ValueError, match=what):
            schema.unpack(serialized)
        shard(tmp_path, "shard", [slim(0, 1), serialized])
        (_, (record, wrong)) = integrity.walk(str(tmp_path / "shard"))
        assert wrong is None
        with pytest.raises(ValueError, match=rf"shard, record 1: {what}"):
            record.read()


# Reading


def drawn(dataset):
    """`{bytes of the view: label}` of all batches; of evaluation those that count."""
    found = {}
    for batch in dataset.as_numpy_iterator():
        for k, view in enumerate(batch[0]):
            if len(batch) == 2 or batch[2][k]:
                assert view.tobytes() not in found
                found[view.tobytes()] = int(batch[1][k])
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same 18 images to train and 6 to validate, in class folders and in shards of slim."""
    root = tmp_path_factory.mktemp("both")
    for i in range(24):
        save(
            root / "files" / ("train" if i < 18 else "val") / f"n0{i % 3 + 1}" / f"{i}.png",
            noise(6, 9, i),
        )
    for k in range(4):
        shard(root / "shards", f"train-{k:05d}-of-00004", [read(root, i) for i in range(k, 18, 4)])
    for k in range(2):
        shard(
            root / "shards",
            f"validation-{k:05d}-of-00002",
            [read(root, i) for i in range(18 + k, 24, 2)],
        )
    return root


def read(root, i):
    """Image `i` of the class folders as slim writes it."""
    (path,) = root.glob(f"files/*/*/{i}.png")
    synset = path.parent.name
    return example(
        image__encoded=[path.read_bytes()],
        image__class__label=[int(synset[1:])],
        image__class__synset=[synset.encode()],
        image__filename=[path.name.encode()],
    )


def of_files(root, source):
    """The images of a source of shards, in its order, as they lie in class folders: of the shards
    the names alone are used.
    """
    found = open_source(str(root / "files"), Selection(classes=source.classes))
    splits = {}
    for split, wanted in source.splits.items():
        place = {name.split("/")[-1]: i for i, name in enumerate(found.splits[split].names)}
        splits[split] = found.splits[split].take([place[name] for name in wanted.names])
    return replace(found, splits=splits)


VIEW = {"batch_size": 1, "size": 4, "scale": (4, 6), "seed": 3, "epoch": 2}
SOME = Selection(classes=("n01", "n03"), limit_per_class=4)


@pytest.mark.parametrize(
    ("selection", "parts"),
    [
        (Selection(), [("train", True, 18, ""), ("validation", False, 6, "")]),
        (SOME, [("train", False, 8, "pixels"), ("validation", True, 4, "bytes")]),
    ],
    ids=["all", "some"],
)
def test_every_image_comes_once_with_the_label_and_the_pixels_it_has_from_files_also_from_a_cache(
    both, selection, parts
):
    # 2 s: four to six pipelines.
    folder = str(both / "shards")
    source = open_source(folder, selection)
    in_files = of_files(both, source)
    for split, training, n, cache in parts:
        views = drawn(load_dataset(folder, split, training=training, selection=selection, **VIEW))
        assert len(views) == n
        assert views == drawn(load_dataset(in_files, split, training=training, **VIEW))
        if cache:
            assert views == drawn(
                load_dataset(source, split, training=training, cache=cache, **VIEW)
            )


def test_what_is_held_out_of_the_shards_is_not_trained_on_and_nothing_is_lost(both, tmp_path):
    # 2 s: six pipelines.
    for path in both.glob("shards/train-*"):
        shutil.copy(path, tmp_path)
    every = drawn(load_dataset(str(both / "files"), "train", training=False, **VIEW))
    for selection, n, held in ((Selection(), 18, 3), (SOME, 8, 2)):
        train, validation = (
            drawn(load_dataset(str(tmp_path), split, training=False, selection=selection, **VIEW))
            for split in ("train", "validation")
        )
        assert (len(train), len(validation)) == (n - held, held)
        assert train.keys().isdisjoint(validation)
        place = [int(name[1:]) - 1 for name in selection.classes] or range(3)
        assert {
            view: place[label] for view, label in (train | validation).items()
        }.items() <= every.items()
    assert (
        drawn(
            load_dataset(
                str(tmp_path), "train", training=False, selection=SOME, **VIEW | {"epoch": 5}
            )
        )
        == train
    )


def test_classes_without_a_training_image_are_told(tmp_path):
    shard(tmp_path, "train-00000-of-00001", [slim(i, i % 2, classes=()) for i in range(8)])
    shard(tmp_path, "validation-00000-of-00001", [slim(i, i % 4, classes=()) for i in range(8, 16)])
    with pytest.raises(ValueError, match="train"):
        load_dataset(str(tmp_path), batch_size=1, size=4, selection=Selection(classes=("2", "3")))


def test_a_selection_of_everything_in_our_shards_changes_no_pixel(ours):
    # 1 s: two pipelines.
    views = drawn(load_dataset(str(ours), selection=Selection(limit_per_class=1000), **VIEW))
    assert len(views) == 27
    assert views == drawn(load_dataset(str(ours), **VIEW))


def test_copied_into_our_shards_images_and_boxes_are_what_they_were_and_a_part_can_be_taken(
    tmp_path,
):
    # 1 s: two sets are written.
    boxes = [(0.125, 0.25, 0.5, 1.0), (0.0, 0.0, 0.25, 0.25)]
    source = open_source(slim_folder(tmp_path / "slim", boxes=boxes))
    collection = write(source, tmp_path / "ours", progress=False)
    assert collection.classes == ("n01", "n02", "n03")
    assert collection.texts == ("ant", "bee", "cow")
    assert sum(values["boxes"] for values in collection.splits.values()) == 60
    seen = set()
    for split in collection.splits:
        for path in shard_paths(tmp_path / "ours", collection, split):
            for serialized in tf.data.TFRecordDataset(path).as_numpy_iterator():
                fields = schema.unpack(serialized)
                i = int(fields.filename.removesuffix(".png"))
                seen.add(i)
                assert fields.encoded == png(noise(6, 9, i))
                assert (fields.label, fields.text) == (i % 3, ("ant", "bee", "cow")[i % 3])
                np.testing.assert_array_equal(fields.boxes.corners, np.array(boxes, np.float32))
                assert fields.boxes.names == [fields.class_name] * 2
    assert seen == set(range(30))
    part = open_source(str(tmp_path / "ours"), Selection(classes=("n02", "n03"), limit_per_class=4))
    assert part.classes == ("n02", "n03")
    assert part.texts == ("bee", "cow")
    again = write(part, tmp_path / "part", progress=False)
    assert again.splits["train"]["per_class"] == [4, 4]
    assert again.splits["train"]["boxes"] == 16


# tensorflow-datasets


@pytest.fixture
def tfds(tmp_path, monkeypatch):
    """tensorflow-datasets whose data lie in a folder of the test, on a machine that reaches no
    other.
    """
    tfds = pytest.importorskip("tensorflow_datasets")
    from tensorflow_datasets.core import constants

    def unreachable(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(constants, "DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    return tfds


def builder(tfds, name, label, splits, label_of, more=None, more_of=lambda i: {}):
    """Define a set of tensorflow-datasets: images `noise(6, 9, i)` of the numbers `i` in
    `splits`.
    """

    def info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": label,
            **(more or {}),
        }
        features = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(
            builder=self, features=features, supervised_keys=("image", "label")
        )

    def examples(self, numbers):
        for i in numbers:
            yield i, {"image": noise(6, 9, i), "label": label_of(i), **more_of(i)}

    def generators(self, manager):
        return {split: examples(self, numbers) for split, numbers in splits.items()}

    body = {
        "VERSION": tfds.core.Version("1.0.0"),
        "_info": info,
        "_split_generators": generators,
        "_generate_examples": examples,
    }
    type(name, (tfds.core.GeneratorBasedBuilder,), body | {"__module__": __name__})


def pixels(source):
    """`{pixels: label}` of all images of all splits."""
    return {
        tf.io.decode_png(split.read(i)).numpy().tobytes(): int(label)
        for split in source.splits.values()
        for i, label in enumerate(split.labels)
    }


@pytest.mark.filterwarnings("ignore")  # tensorflow-datasets' own
def test_a_prepared_set_is_read_by_its_name_and_by_its_folder(tfds, tmp_path):
    # 1 s: tensorflow-datasets is imported and prepares.
    names = tfds.features.ClassLabel(
        names=["cow", "ant", "bee", "doe"]
    )  # in no order, and there is no doe
    builder(tfds, "VggTfTiny", names, {"train": range(30), "test": range(30, 36)}, lambda i: i % 3)
    by_name = open_source("tfds:vgg_tf_tiny")
    by_folder = open_source(str(tmp_path / "tfds" / "vgg_tf_tiny" / "1.0.0"))
    for source in (by_name, by_folder):
        assert source.classes == ("cow", "ant", "bee", "doe")
        assert {split: len(images) for split, images in source.splits.items()} == {
            "train": 27,
            "validation": 3,
            "test": 6,
        }
        assert pixels(source) == {noise(6, 9, i).tobytes(): i % 3 for i in range(36)}
    assert by_name.fingerprint() == by_folder.fingerprint()
    views = drawn(load_dataset(by_name, "test", batch_size=4, size=6, scale=6))
    assert views == {
        noise(6, 9, i)[:, 1:7].tobytes(): i % 3 for i in range(30, 36)
    }  # of 9 columns the 6 in the middle


@pytest.mark.filterwarnings("ignore")
def test_a_test_split_without_labels_is_left_out_with_a_note_and_half_a_one_is_refused(
    tfds, tmp_path
):
    names = tfds.features.ClassLabel(names=["ant", "bee", "cow"])
    splits = {"train": range(18), "validation": range(18, 24), "test": range(24, 30)}
    builder(tfds, "VggTfBlind", names, splits, lambda i: i % 3 if i < 24 else -1)
    builder(tfds, "VggTfHalf", names, splits, lambda i: i % 3 if i != 26 else -1)
    source = open_source("tfds:vgg_tf_blind")
    assert {split: len(images) for split, images in source.splits.items()} == {
        "train": 18,
        "validation": 6,
    }
    assert source.notes == ("the test images have no labels: left out",)
    assert pixels(source) == {noise(6, 9, i).tobytes(): i % 3 for i in range(24)}
    with pytest.raises(
        ValueError, match=r"vgg_tf_half-test.tfrecord-00000-of-00001, record \d, has no label"
    ):
        open_source("tfds:vgg_tf_half")


@pytest.mark.filterwarnings("ignore")
def test_file_names_and_the_box_that_their_record_has_are_taken_over(tfds, tmp_path):
    more = {"bbox": tfds.features.BBoxFeature(), "file_name": tfds.features.Text()}
    box = tfds.features.BBox(ymin=0.125, xmin=0.25, ymax=0.5, xmax=0.75)
    names = tfds.features.ClassLabel(names=["ant", "bee", "cow"])
    builder(
        tfds,
        "VggTfBoxed",
        names,
        {"train": range(12)},
        lambda i: i % 3,
        more,
        lambda i: {"bbox": box, "file_name": f"p{i}.png"},
    )
    source = open_source("tfds:vgg_tf_boxed")
    assert labels_of(source) | labels_of(source, "validation") == {
        f"p{i}.png": i % 3 for i in range(12)
    }
    collection = write(source, tmp_path / "ours", progress=False)
    for split in collection.splits:
        for path in shard_paths(tmp_path / "ours", collection, split):
            for serialized in tf.data.TFRecordDataset(path).as_numpy_iterator():
                fields = schema.unpack(serialized)
                assert fields.boxes.corners.tolist() == [[0.25, 0.125, 0.75, 0.5]]
                assert (
                    fields.boxes.names
                    == [fields.class_name]
                    == [("ant", "bee", "cow")[fields.label]]
                )
    assert sum(values["boxes"] for values in collection.splits.values()) == 12


@pytest.mark.filterwarnings("ignore")
def test_labels_of_tensorflow_datasets_count_from_0_also_where_class_0_is_empty_and_nameless(tfds):
    builder(
        tfds,
        "VggTfNameless",
        tfds.features.ClassLabel(num_classes=4),
        {"train": range(30)},
        lambda i: i % 3 + 1,
    )
    source = open_source("tfds:vgg_tf_nameless")
    assert source.classes == ("0", "1", "2", "3")
    assert pixels(source) == {noise(6, 9, i).tobytes(): i % 3 + 1 for i in range(30)}


@pytest.mark.filterwarnings("ignore")
def test_a_mocked_set_is_read_into_memory(tfds):
    with tfds.testing.mock_data(num_examples=20):
        source = open_source("tfds:mnist")
        expected = {
            example["image"].tobytes(): int(example["label"])
            for split in ("train", "test")
            for example in tfds.load("mnist", split=split).as_numpy_iterator()
        }
    assert source.classes == tuple("0123456789")
    assert source.images("test") == 20
    assert source.images("train") + source.images("validation") == 20
    assert pixels(source) == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (
            {"train": [-1] * 6, "test": [0, 1, 2] * 2},
            "tfds:mnist has no train split with labels, only ",
        ),
        (
            {"train": [0, 1, 2] * 2, "test": [0, 1, -1] * 2},
            "tfds:mnist, test, image 2 has no label",
        ),
    ],
)
def test_in_memory_too_labels_that_lack_are_told(tfds, labels, what):
    def examples(self, split, **options):
        return tf.data.Dataset.from_tensor_slices(
            {"image": [png(noise(6, 9, i)) for i in range(6)], "label": labels[split]}
        )

    with tfds.testing.mock_data(as_dataset_fn=examples), pytest.raises(ValueError, match=what):
        open_source("tfds:mnist")


@pytest.mark.filterwarnings("ignore")
def test_in_memory_too_a_split_without_labels_is_left_out_with_a_note(tfds):
    def examples(self, split, **options):
        labels = [0, 1, 2, 0, 1, 2] if split == "train" else [-1] * 6
        return tf.data.Dataset.from_tensor_slices(
            {"image": [png(noise(6, 9, i)) for i in range(6)], "label": labels}
        )

    with tfds.testing.mock_data(as_dataset_fn=examples):
        source = open_source("tfds:mnist")
    assert set(source.splits) == {"train", "validation"}
    assert "the test images have no labels: left out" in source.notes


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("no_such_set", "tensorflow-datasets has no 'no_such_set'"),
        ("", "tfds: is followed by the name of a set, as in tfds:mnist"),
        ("voc/2007", "tfds:voc/2007 has no image with one label, only"),
        ("mnist:9.9.9", "mnist:9.9.9"),
        ("mnist/no_config", "mnist/no_config"),
        ("imagenet2012", "tfds:imagenet2012"),  # which must be fetched by hand
    ],
)
def test_what_tensorflow_datasets_cannot_give_is_told_by_its_name(tfds, name, what):
    with pytest.raises((ValueError, OSError), match=what):
        open_source(f"tfds:{name}")


@pytest.mark.filterwarnings("ignore")
def test_without_a_network_a_set_that_is_not_there_is_a_clear_line_within_20_seconds(tfds):
    from tensorflow_datasets.core.download import downloader

    retries, start = downloader.MAX_RETRIES, time.monotonic()
    with pytest.raises(
        ConnectionError,
        match=(
            r"^tfds:mnist is not prepared in .*tfds/mnist "
            r"and cannot be downloaded .*set TFDS_DATA_DIR"
        ),
    ) as error:
        open_source("tfds:mnist")
    assert time.monotonic() - start < 20
    assert "\n" not in str(error.value)
    assert retries == downloader.MAX_RETRIES
