"""Shards of other writers give each image once, with its own class, and labels whose base is known; damage is named."""

import itertools
import os

import numpy as np
import pytest
import requests
import tensorflow as tf
from PIL import Image

from tests.test_write import noise, save
from tfrecords_tools.write import write
from vgg_tf import records
from vgg_tf.datasets import load_dataset
from vgg_tf.selection import Selection
from vgg_tf.sources import open_source

CLASSES = ("n01 ant", "n02 bee", "n03 cow")


def png(picture):
    return tf.io.encode_png(picture).numpy()


def example(**features):
    """A serialised Example: lists of int, float or bytes by key, with `/` written as `__`."""
    built = tf.train.Example()
    for key, values in features.items():
        feature = built.features.feature[key.replace("__", "/")]
        kind = {int: feature.int64_list, float: feature.float_list, bytes: feature.bytes_list}[type(values[0])]
        kind.value.extend(values)
    return built.SerializeToString()


def slim(i, label, classes=CLASSES, text=True, boxes=()):
    """As slim writes image `i`; without text as Cloud TPU does. The class is the remainder of i."""
    features = {"image__encoded": [png(noise(6, 9, i))], "image__class__label": [label], "image__filename": [b"%d.png" % i]}
    if classes:
        features["image__class__synset"] = [classes[i % 3].split()[0].encode()]
    if text and classes:
        features["image__class__text"] = [classes[i % 3].split()[1].encode()]
    for side, values in zip(("xmin", "ymin", "xmax", "ymax"), zip(*boxes, strict=True), strict=False):
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
    return {name: int(label) for name, label in zip(source.splits[split].names, source.splits[split].labels, strict=True)}


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
        ValueError, match=rf"are 3 numbers from {labels[0]} to {labels[2]}: .* Say --labels-from 0 or --labels-from 1"
    ):
        open_source(str(tmp_path))
    for base in (0, 1):
        source = open_source(str(tmp_path), Selection(labels_from=base))
        assert len(source.classes) == labels[2] - base + 1
        for label, name in zip(labels, ("n01", "n02", "n03"), strict=True):
            assert source.classes[label - base] == name
        assert any("as declared" in note for note in source.notes)


def test_a_label_below_the_declared_base_is_named_by_shard_and_record(tmp_path):
    slim_folder(tmp_path, base=0)
    with pytest.raises(
        ValueError, match=r"train-00000-of-00003, record 0, has the label 0, out of the range of 1 on. Give another"
    ):
        open_source(str(tmp_path), Selection(labels_from=1))


def test_two_names_for_one_label_are_refused(tmp_path):
    shard(tmp_path, "train-00000-of-00001", [*(slim(i, i % 3 + 1) for i in range(6)), slim(7, 1)])
    with pytest.raises(ValueError, match=r"record \d, calls label 1 'n0[12]', others call it 'n0[12]'"):
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
    "pattern", ["flowers_{}_{:05d}-of-{:05d}.tfrecord", "{}-{:05d}-of-{:05d}", "my.set-{}.tfrecord-{:05d}-of-{:05d}"]
)
def test_names_of_the_fields_writers_are_known(tmp_path, pattern):
    for k in range(2):
        shard(tmp_path, pattern.format("train", k, 2), [slim(i, i % 3) for i in range(k, 24, 2)])
    shard(tmp_path, pattern.format("validation", 0, 1), [slim(i, i % 3) for i in range(24, 30)])
    source = open_source(str(tmp_path))
    assert {split: len(images) for split, images in source.splits.items()} == {"train": 24, "validation": 6}


def test_missing_shards_two_sets_and_other_formats_are_refused_by_name(tmp_path):
    slim_folder(tmp_path / "a")
    (tmp_path / "a" / "train-00001-of-00003").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"1 of 3 train shards in .*a are missing: 1, beside train-00000-of-00003. Fetch them"
    ):
        open_source(str(tmp_path / "a"))
    slim_folder(tmp_path / "b")
    slim_folder(tmp_path / "b", shards=2)
    with pytest.raises(ValueError, match=r"b holds train shards of two sets"):
        open_source(str(tmp_path / "b"))
    shard(tmp_path / "c", "mnist-train.array_record-00000-of-00001", [])
    with pytest.raises(
        ValueError, match=r"array_record-00000-of-00001 is no TFRecord file. Prepare the set anew with file_format"
    ):
        open_source(str(tmp_path / "c"))
    shard(tmp_path / "d", "train-00000-of-00001", [])
    with pytest.raises(ValueError, match=r"train-00000-of-00001 and the 0 beside it hold no records"):
        open_source(str(tmp_path / "d"))


def test_an_empty_shard_among_others_costs_nothing(tmp_path):
    slim_folder(tmp_path, n=12, shards=2)
    shard(tmp_path, "train-00001-of-00002", [])
    source = open_source(str(tmp_path))
    assert set(labels_of(source) | labels_of(source, "validation")) == {f"{i}.png" for i in range(0, 12, 2)}


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
    return [len(record) + 16 for record in tf.data.TFRecordDataset(str(tmp_path / "train-00000-of-00001")).as_numpy_iterator()]


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
    assert records.damages(str(path)) == []
    start = list(itertools.accumulate(lengths, initial=0))
    damage(path, start[record] + at if at >= 0 else start[record + 1] + at, cut)
    ((found, told),) = records.damages(str(path))
    assert (found, told[: len(what)]) == (record, what)
    if not (cut and at < 12):  # which TensorFlow does not notice; verify counts
        with pytest.raises(
            ValueError, match=rf"cannot be read; fetch or write them anew:\n  .*00000-of-00001, record {record}: {what}"
        ):
            open_source(str(tmp_path))


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


@pytest.mark.parametrize("selection", [Selection(), Selection(classes=("n01", "n03"), limit_per_class=7)])
def test_every_image_of_each_split_comes_once_with_the_pixels_it_has_from_files(tmp_path, selection):
    for i in range(30):
        save(tmp_path / "files" / f"n0{i % 3 + 1}" / f"{i}.png", noise(6, 9, i))
    shards, in_files = open_source(slim_folder(tmp_path / "shards"), selection), open_source(str(tmp_path / "files"), selection)
    of_file = {
        os.path.basename(name): content
        for split in in_files.splits.values()
        for name, content in zip(split.names, split.contents, strict=True)
    }
    assert sum(map(len, shards.splits.values())) == sum(map(len, in_files.splits.values())) == (14 if selection else 30)
    common = {"batch_size": 1, "size": 4, "scale": (4, 6), "seed": 3}
    seen = {}
    for split in ("train", "validation"):
        for epoch, cache in ((0, "none"), (1, "none"), (1, "bytes")):
            views = drawn(load_dataset(shards, split, training=True, epoch=epoch, cache=cache, **common))
            assert sorted(views.values()) == sorted(shards.splits[split].labels.tolist())
        for view, label in drawn(load_dataset(shards, split, training=False, **common)).items():
            seen[view] = label
    expected = {}
    for name, content in of_file.items():
        if name in {name for split in shards.splits.values() for name in split.names}:
            pixels = tf.constant(np.asarray(Image.open(content).convert("RGB")))
            from vgg_tf.images import center_view

            expected[center_view(pixels, 4, 5).numpy().tobytes()] = int(name.removesuffix(".png")) % 3
    if selection:
        expected = {view: {0: 0, 2: 1}[label] for view, label in expected.items()}
        assert set(seen.values()) == {0, 1}
        assert all(seen[view] == label for view, label in expected.items())
    else:
        assert seen == expected


def test_copied_into_our_shards_images_and_boxes_are_what_they_were_and_a_part_can_be_taken_of_those(tmp_path):
    boxes = [(0.125, 0.25, 0.5, 1.0), (0.0, 0.0, 0.25, 0.25)]
    source = open_source(slim_folder(tmp_path / "slim", boxes=boxes))
    collection = write(source, tmp_path / "ours", progress=False)
    assert collection.classes == ("n01", "n02", "n03")
    assert collection.texts == ("ant", "bee", "cow")
    assert sum(values["boxes"] for values in collection.splits.values()) == 60
    seen = set()
    for split in collection.splits:
        for path in records.shard_paths(tmp_path / "ours", collection, split):
            for serialized in tf.data.TFRecordDataset(path).as_numpy_iterator():
                fields = records.unpack(serialized)
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
    """tensorflow-datasets whose data lie in a folder of the test and whose downloads fail."""
    tfds = pytest.importorskip("tensorflow_datasets")
    from tensorflow_datasets.core import constants

    monkeypatch.setattr(constants, "DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tfds


@pytest.mark.filterwarnings("ignore")  # tensorflow-datasets' own
def test_a_prepared_set_is_read_by_its_name_and_by_its_folder(tfds, tmp_path):
    class VggTfTiny(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            image, label = tfds.features.Image(shape=(None, None, 3)), tfds.features.ClassLabel(names=["ant", "bee", "cow"])
            features = tfds.features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "label"))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(range(30)), "test": self._generate_examples(range(30, 36))}

        def _generate_examples(self, numbers):
            for i in numbers:
                yield i, {"image": noise(6, 9, i), "label": i % 3}

    by_name = open_source("tfds:vgg_tf_tiny")
    by_folder = open_source(str(tmp_path / "tfds" / "vgg_tf_tiny" / "1.0.0"))
    for source in (by_name, by_folder):
        assert source.classes == ("ant", "bee", "cow")
        assert {split: len(images) for split, images in source.splits.items()} == {"train": 27, "validation": 3, "test": 6}
        found = {}
        for split in source.splits.values():
            for i in range(len(split)):
                found[tf.io.decode_png(split.read(i)).numpy().tobytes()] = int(split.labels[i])
        assert found == {noise(6, 9, i).tobytes(): i % 3 for i in range(36)}
    assert by_name.fingerprint() == by_folder.fingerprint()
    views = drawn(load_dataset(by_name, "test", batch_size=4, size=6, scale=6))
    assert sorted(views.values()) == [0, 0, 1, 1, 2, 2]


@pytest.mark.filterwarnings("ignore")
def test_a_mocked_set_is_read_into_memory(tfds):
    with tfds.testing.mock_data(num_examples=20):
        source = open_source("tfds:mnist")
    assert source.classes == tuple("0123456789")
    assert source.images("test") == 20
    assert source.images("train") + source.images("validation") == 20
    assert tf.io.decode_png(source.splits["test"].read(0)).shape == (28, 28, 1)


@pytest.mark.filterwarnings("ignore")
def test_what_tensorflow_datasets_cannot_give_is_one_line(tfds):
    with pytest.raises(ValueError, match="tensorflow-datasets has no 'no_such_set'"):
        open_source("tfds:no_such_set")
    with pytest.raises(ValueError, match="tfds:voc/2007 has no image with one label, only"):
        open_source("tfds:voc/2007")


@pytest.mark.filterwarnings("ignore")
def test_without_a_network_a_set_that_is_not_there_is_a_clear_line_within_seconds(tfds, monkeypatch):
    def unreachable(*args, **kwargs):
        raise requests.exceptions.ConnectionError("no route to host")

    monkeypatch.setattr(requests.Session, "get", unreachable)
    with pytest.raises(
        ConnectionError, match=r"tfds:mnist is not prepared in .*tfds/mnist and cannot be downloaded \(no route"
    ):
        open_source("tfds:mnist")
