"""The schema of the shards both ways, `dataset.json`, and the measures that it tells."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from vgg_tf.images.colors import colours
from vgg_tf.images.decoding import decode_named
from vgg_tf.records import schema
from vgg_tf.records.collection import Collection, holds_shards, shard_name, shard_paths
from vgg_tf.records.splits import Source, Split
from vgg_tf.records.statistics import Measures, describe, measure


def noise(h, w, seed=0):
    return np.random.default_rng([h, w, seed]).integers(0, 256, (h, w, 3), np.uint8)


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


def source(pictures, **splits):
    """A source whose train split holds these pictures, of classes a and b in turn."""
    contents = [png(picture) for picture in pictures]
    train = Split(
        [f"{i}.png" for i in range(len(contents))], np.arange(len(contents)) % 2, contents
    )
    return Source("zoo", ("a", "b"), {"train": train, **splits}, ("a note",))


# Examples


def test_an_example_has_the_keys_that_the_field_shares():
    example = tf.train.Example.FromString(
        schema.serialize(b"\xff\xd8\xff\0", "JPEG", 3, 4, 1, "newt", "train/newt/ä 1.jpg")
    )
    values = {}
    for key, feature in example.features.feature.items():
        (values[key],) = getattr(feature, feature.WhichOneof("kind")).value
    assert values == {
        "image/encoded": b"\xff\xd8\xff\0",
        "image/format": b"JPEG",
        "image/height": 3,
        "image/width": 4,
        "image/colorspace": b"RGB",
        "image/channels": 3,
        "image/filename": "train/newt/ä 1.jpg".encode(),
        "image/class/label": 1,  # 0-based: the position in the classes
        "image/class/synset": b"newt",
        "image/class/text": b"newt",
    }


def test_an_example_has_the_same_bytes_in_every_process():
    # Protobuf promises that only for sorted keys.
    serialized = schema.serialize(b"abc", "JPEG", 3, 4, 1, "newt", "newt/1.jpg")
    assert serialized == tf.train.Example.FromString(serialized).SerializeToString(
        deterministic=True
    )


def test_parsing_inverts_serialising():
    examples = [(bytes([i, 0, 255 - i]) * i, i * 37) for i in range(20)]
    serialized = [
        schema.serialize(content, "PNG", 1, 1, label, "c", "f") for content, label in examples
    ]
    assert [tuple(value.numpy() for value in schema.parse(one)) for one in serialized] == examples
    inside = tf.data.Dataset.from_tensor_slices(serialized).map(schema.parse)
    assert list(inside.as_numpy_iterator()) == examples


def test_shards_are_named_as_in_the_field():
    assert shard_name("train", 17, 1024) == "train-00017-of-01024"


def test_missing_shards_are_counted_and_the_first_is_named(tmp_path):
    collection = Measures(images=1, sides={1: 1}).collection(
        source([noise(1, 1)]), {"train": describe([0], 2, [1, 1, 1, 1])}
    )
    for i in (0, 2):
        (tmp_path / f"train-0000{i}-of-00004").touch()
    with pytest.raises(
        FileNotFoundError, match=r"2 of 4 train shards are missing, first .*train-00001-of-00004"
    ):
        shard_paths(tmp_path, collection, "train")
    for i in (1, 3):
        (tmp_path / f"train-0000{i}-of-00004").touch()
    expected = [str(tmp_path / f"train-0000{i}-of-00004") for i in range(4)]
    assert shard_paths(tmp_path, collection, "train") == expected


# dataset.json


@pytest.fixture
def collection():
    test = Split(["t.png"], np.array([1]), [png(noise(2, 2))])
    return measure(source([noise(4 + i, 9, i) for i in range(5)], test=test))


def test_dataset_json_comes_back_as_it_was(collection, tmp_path):
    collection.write(tmp_path)
    back = Collection.read(tmp_path)
    assert back == collection
    assert hash(back.classes)  # tuples again, not lists
    assert back.splits == {
        "train": {"images": 5, "per_class": [3, 2], "boxes": 0, "shards": 0, "per_shard": []},
        "test": {"images": 1, "per_class": [0, 1], "boxes": 0, "shards": 0, "per_shard": []},
    }


def test_dataset_json_says_that_labels_begin_at_0(collection, tmp_path):
    collection.write(tmp_path)
    assert json.loads((tmp_path / "dataset.json").read_text())["labels_from"] == 0


def test_an_unknown_split_is_answered_with_those_there_are(collection):
    assert collection.images("test") == 1
    with pytest.raises(ValueError, match=r"zoo has no split 'validation'. It has train, test"):
        collection.images("validation")


def without_mean(values):
    del values["mean_rgb"]


def with_stranger(values):
    values["stranger"] = 1


def of_train(key, value):
    return lambda values: values["splits"]["train"].__setitem__(key, value)


def of_all(key, value):
    return lambda values: values.__setitem__(key, value)


@pytest.mark.parametrize(
    "change",
    [
        without_mean,
        with_stranger,
        of_train("images", "5"),
        of_train("images", -1),
        of_train("boxes", None),
        lambda values: values["splits"]["train"].pop("boxes"),
        of_train("per_class", [5]),
        of_train("per_class", 5),
        of_train("shards", 1),
        of_all("splits", []),
        of_all("classes", [1, 2]),
        of_all("mean_rgb", [1, 2]),
        of_all("mean_rgb", ["1", "2", "3"]),
        of_all("smaller_side", None),
        of_all("bytes_per_image", 0),
    ],
)
def test_a_dataset_json_of_another_form_is_refused(collection, tmp_path, change):
    collection.write(tmp_path)
    values = json.loads((tmp_path / "dataset.json").read_text())
    change(values)
    (tmp_path / "dataset.json").write_text(json.dumps(values))
    with pytest.raises(
        ValueError, match=r"dataset.json is no dataset.json of vgg_tf \(.*writes them anew with one"
    ):
        Collection.read(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"name": "cut of',
        b"[]",
        b"{}",
        b"null",
        b"3",
        b"\xff\0",
    ],
)
def test_a_broken_dataset_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"dataset.json is no dataset.json of vgg_tf \(.*writes them anew with one"
    ):
        Collection.read(tmp_path)


def test_a_folder_holds_shards_where_it_holds_a_dataset_json(tmp_path, monkeypatch):
    assert not holds_shards(tmp_path)
    (tmp_path / "dataset.json").touch()
    assert holds_shards(tmp_path)
    assert holds_shards(str(tmp_path))
    assert not holds_shards(source([noise(1, 1)]))
    # The word means scikit-learn's, whatever lies in the working folder; a path means the folder.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "dataset.json").touch()
    assert not holds_shards("digits")
    assert holds_shards("./digits")


# Measures


def plain_moments(pictures):
    """Mean and covariance where every picture weighs the same, in two passes over float64
    pixels.
    """
    flat = [picture.reshape(-1, 3).astype(float) for picture in pictures]
    mean = np.mean([pixels.mean(0) for pixels in flat], 0)
    return mean, np.mean([(pixels - mean).T @ (pixels - mean) / len(pixels) for pixels in flat], 0)


def added(pictures):
    measures = Measures()
    for picture in pictures:
        measures.add(*colours(picture), min(picture.shape[:2]), len(png(picture)))
    return measures


def test_mean_and_covariance_of_images_of_one_size_are_those_of_all_their_pixels():
    pictures = [noise(12, 17, i) // (i + 1) + 10 * i for i in range(8)]
    collection = measure(source(pictures))
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    np.testing.assert_allclose(collection.mean_rgb, pixels.mean(0), atol=1e-4)
    np.testing.assert_allclose(collection.covariance_rgb, np.cov(pixels.T, ddof=0), atol=1e-2)
    np.testing.assert_allclose(collection.std_rgb, pixels.std(0), atol=1e-4)
    assert collection.statistics_images == 8


def test_images_weigh_the_same_whatever_their_size():
    pictures = [noise(2, 2), noise(40, 60) // 4 + 180, noise(1, 9) // 3]
    mean, covariance = plain_moments(pictures)
    collection = measure(source(pictures))
    np.testing.assert_allclose(collection.mean_rgb, mean, atol=1e-4)
    np.testing.assert_allclose(collection.covariance_rgb, covariance, atol=1e-2)
    # The large one alone would otherwise decide.
    assert (
        np.abs(
            np.concatenate([picture.reshape(-1, 3) for picture in pictures]).mean(0) - mean
        ).min()
        > 30
    )


@pytest.mark.parametrize("greys", [1, 2])
def test_a_large_bright_image_of_few_colours_loses_no_digits(greys):
    # Squares of 254 added up in float32 would err by more than this variance, and below 0 it has no
    # root.
    picture = 254 + noise(200, 4000) % greys
    collection = added([picture]).collection(source([picture]))
    mean, covariance = plain_moments([picture])
    np.testing.assert_allclose(collection.mean_rgb, mean, atol=1e-3)
    np.testing.assert_allclose(collection.covariance_rgb, covariance, atol=1e-3)
    np.testing.assert_allclose(collection.std_rgb, (greys - 1) / 2, atol=1e-3)


def test_sides_and_bytes_are_told_a_picture():
    pictures = [noise(h, w) for h, w in [(4, 9), (5, 7), (20, 6), (8, 8), (30, 40)]]
    collection = measure(source(pictures))
    assert collection.smaller_side == np.median([4, 5, 6, 8, 30])
    assert collection.bytes_per_image == round(np.mean([len(png(picture)) for picture in pictures]))


def test_measures_add_up_shard_by_shard_also_through_json():
    pictures = [noise(5 + i % 3, 7, i) for i in range(9)]
    whole = added(pictures)
    parts = [added(pictures[i::3]) for i in range(3)]
    parts = [Measures.from_json(json.loads(json.dumps(part.to_json()))) for part in parts]
    total = sum(parts, Measures())
    assert (total.images, total.sides, total.bytes) == (whole.images, whole.sides, whole.bytes)
    np.testing.assert_allclose(total.colour, whole.colour, rtol=1e-12)
    np.testing.assert_allclose(total.square, whole.square, rtol=1e-12)
    assert total.collection(source(pictures)) == whole.collection(source(pictures))


def test_only_train_is_measured_and_a_sample_is_spread_evenly():
    pictures = [np.full((2, 2, 3), 10 * i, np.uint8) for i in range(11)]
    white = Split(["w.png"], np.array([0]), [png(np.full((2, 2, 3), 255, np.uint8))])
    assert measure(source(pictures, test=white)).mean_rgb == (50, 50, 50)
    sample = measure(
        source([*pictures[:10], np.full((2, 2, 3), 190, np.uint8)], test=white), sample=3
    )
    assert sample.statistics_images == 3
    np.testing.assert_allclose(
        sample.mean_rgb, (0 + 50 + 190) / 3, atol=1e-4
    )  # first, middle, last


def test_an_unreadable_image_is_named_with_what_is_wrong():
    assert (decode_named(png(noise(3, 4)), "x.png") == noise(3, 4)).all()
    with pytest.raises(ValueError, match=r"^cannot read cat/1.png: the file is empty$"):
        decode_named(b"", "cat/1.png")
    with pytest.raises(ValueError, match=r"^cannot read cat/2.png: Unknown image file format"):
        decode_named(b"Dear diary", "cat/2.png")
    broken = source([noise(3, 3), noise(3, 3)])
    broken.splits["train"].contents[1] = png(noise(9, 9))[:-40]
    with pytest.raises(ValueError, match=r"^cannot read 1.png: Invalid PNG data"):
        measure(broken)
