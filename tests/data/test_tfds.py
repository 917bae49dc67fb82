"""TensorFlow Datasets are opened by name, or an error says what to do."""

import socket
import time

import pytest
import tensorflow as tf

from tests.data.making_shards import drawn, labels_of, png
from tests.making import noise
from vgg_tf.data.loading import load_dataset
from vgg_tf.data.opening import open_source
from vgg_tf.records import schema
from vgg_tf.records.collection import list_shards
from vgg_tf.writing.write import write


@pytest.fixture
def tfds(tmp_path, monkeypatch):
    """TensorFlow Datasets with a data folder of the test and without a network."""
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
    """Define a dataset with the images `noise(6, 9, i)` of the numbers `i` in `splits`."""

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
    """Return `{pixels: label}` of all images of all splits."""
    return {
        tf.io.decode_png(split.read(i)).numpy().tobytes(): int(label)
        for split in source.splits.values()
        for i, label in enumerate(split.labels)
    }


@pytest.mark.filterwarnings("ignore")  # warnings of TensorFlow Datasets
def test_a_prepared_dataset_is_read_by_name_and_by_folder(tfds, tmp_path):
    # 1 s: TensorFlow Datasets is imported and prepares the data.
    names = tfds.features.ClassLabel(
        names=["cow", "ant", "bee", "doe"]
    )  # not sorted, and doe has no images
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
    }  # the center crop of 9 columns


@pytest.mark.filterwarnings("ignore")
def test_a_split_without_labels_is_left_out_and_one_with_some_labels_is_refused(tfds, tmp_path):
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
def test_file_names_and_boxes_of_records_are_kept(tfds, tmp_path):
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
        for path in list_shards(tmp_path / "ours", collection, split):
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
def test_labels_of_tensorflow_datasets_count_from_0_even_if_class_0_is_empty(tfds):
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
def test_a_mocked_dataset_is_read_into_memory(tfds):
    with tfds.testing.mock_data(num_examples=20):
        source = open_source("tfds:mnist")
        expected = {
            example["image"].tobytes(): int(example["label"])
            for split in ("train", "test")
            for example in tfds.load("mnist", split=split).as_numpy_iterator()
        }
    assert source.classes == tuple("0123456789")
    assert source.count_images("test") == 20
    assert source.count_images("train") + source.count_images("validation") == 20
    assert pixels(source) == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (
            {"train": [-1] * 6, "test": [0, 1, 2] * 2},
            "tfds:mnist must have a train split with labels. Received splits: ",
        ),
        (
            {"train": [0, 1, 2] * 2, "test": [0, 1, -1] * 2},
            "Every test image of tfds:mnist must have a label. Received: image 2 without",
        ),
    ],
)
def test_missing_labels_of_a_dataset_in_memory_are_reported(tfds, labels, what):
    def examples(self, split, **options):
        return tf.data.Dataset.from_tensor_slices(
            {"image": [png(noise(6, 9, i)) for i in range(6)], "label": labels[split]}
        )

    with tfds.testing.mock_data(as_dataset_fn=examples), pytest.raises(ValueError, match=what):
        open_source("tfds:mnist")


@pytest.mark.filterwarnings("ignore")
def test_a_split_without_labels_in_memory_is_left_out_with_a_note(tfds):
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
        ("no_such_set", "TensorFlow Datasets has no 'no_such_set'"),
        ("", "A name must follow tfds:. Received: 'tfds:'. Try tfds:mnist"),
        ("voc/2007", "tfds:voc/2007 must have the features image and label. Received: "),
        ("mnist:9.9.9", "mnist:9.9.9"),
        ("mnist/no_config", "mnist/no_config"),
        ("imagenet2012", "tfds:imagenet2012"),  # must be downloaded by hand
    ],
)
def test_an_unusable_dataset_of_tensorflow_datasets_is_refused_by_name(tfds, name, what):
    with pytest.raises((ValueError, OSError), match=what):
        open_source(f"tfds:{name}")


@pytest.mark.filterwarnings("ignore")
def test_a_missing_dataset_without_a_network_is_one_line_within_20_seconds(tfds):
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


@pytest.mark.parametrize("name", ["huggingface:mnist", "kaggle:me/cats"])
def test_datasets_of_other_collections_are_refused_in_one_line(name):
    with pytest.raises(ValueError, match=r"TensorFlow Datasets itself\. Received: \w+:") as error:
        open_source(f"tfds:{name}")
    assert "\n" not in str(error.value)
