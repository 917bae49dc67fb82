"""Reading of `dataset.json`, and errors for damaged files and missing shards."""

import json

import numpy as np
import pytest

from tests.records.making import noise, png, source
from vgg_tf.records.collection import Collection, holds_shards, list_shards, make_shard_name
from vgg_tf.records.splits import Split
from vgg_tf.records.statistics import Measures, describe_split, measure


def test_shard_names_have_the_usual_form():
    assert make_shard_name("train", 17, 1024) == "train-00017-of-01024"


def test_the_error_for_missing_shards_has_their_number_and_the_first_name(tmp_path):
    collection = Measures(images=1, sides={1: 1}).make_collection(
        source([noise(1, 1)]), {"train": describe_split([0], 2, [1, 1, 1, 1])}
    )
    for i in (0, 2):
        (tmp_path / f"train-0000{i}-of-00004").touch()
    with pytest.raises(
        FileNotFoundError, match=r"2 of 4 train shards are missing, first .*train-00001-of-00004"
    ):
        list_shards(tmp_path, collection, "train")
    for i in (1, 3):
        (tmp_path / f"train-0000{i}-of-00004").touch()
    expected = [str(tmp_path / f"train-0000{i}-of-00004") for i in range(4)]
    assert list_shards(tmp_path, collection, "train") == expected


@pytest.fixture
def collection():
    test = Split(["t.png"], np.array([1]), [png(noise(2, 2))])
    return measure(source([noise(4 + i, 9, i) for i in range(5)], test=test))


def test_dataset_json_is_read_back_unchanged(collection, tmp_path):
    collection.write(tmp_path)
    back = Collection.read(tmp_path)
    assert back == collection
    assert hash(back.classes)  # tuples again, not lists
    assert back.splits == {
        "train": {"images": 5, "per_class": [3, 2], "boxes": 0, "shards": 0, "per_shard": []},
        "test": {"images": 1, "per_class": [0, 1], "boxes": 0, "shards": 0, "per_shard": []},
    }


def test_dataset_json_stores_that_labels_start_at_0(collection, tmp_path):
    collection.write(tmp_path)
    assert json.loads((tmp_path / "dataset.json").read_text())["labels_from"] == 0


def test_the_error_for_an_unknown_split_lists_the_existing_ones(collection):
    assert collection.count_images("test") == 1
    with pytest.raises(ValueError, match=r"zoo has no split 'validation'. It has train, test"):
        collection.count_images("validation")


def without_mean(values):
    del values["mean_rgb"]


def of_train(key, value):
    return lambda values: values["splits"]["train"].__setitem__(key, value)


def of_all(key, value):
    return lambda values: values.__setitem__(key, value)


@pytest.mark.parametrize(
    "change",
    [
        without_mean,
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
        of_all("bytes_per_image", 10**12),
        of_all("smaller_side", 10**9),
        of_all("mean_rgb", [float("nan")] * 3),
        of_all("covariance_rgb", [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        of_all("seed", -1),
        lambda values: (
            values["splits"]["train"].pop("per_shard") or of_train("shards", 10**7)(values)
        ),
        lambda values: values["splits"].__setitem__("../away", values["splits"]["train"]),
    ],
)
def test_a_dataset_json_with_wrong_values_is_an_error(collection, tmp_path, change):
    collection.write(tmp_path)
    values = json.loads((tmp_path / "dataset.json").read_text())
    change(values)
    (tmp_path / "dataset.json").write_text(json.dumps(values))
    with pytest.raises(
        ValueError,
        match=r"dataset.json must be a dataset.json of vgg_tf\. Received: .*To write them again",
    ):
        Collection.read(tmp_path)


def test_a_dataset_json_of_a_later_version_may_have_more_fields(collection, tmp_path):
    collection.write(tmp_path)
    values = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(values | {"stranger": 1}))
    assert Collection.read(tmp_path) == collection


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b'{"name": "cut of',
        b"[]",
        b"{}",
        b"null",
        b"3",
        b"\xff\0",
    ],
)
def test_the_error_for_a_damaged_dataset_json_names_it(tmp_path, content):
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(
        ValueError,
        match=r"dataset.json must be a dataset.json of vgg_tf\. Received: .*To write them again",
    ):
        Collection.read(tmp_path)


def test_a_folder_with_dataset_json_holds_shards(tmp_path, monkeypatch):
    assert not holds_shards(tmp_path)
    (tmp_path / "dataset.json").touch()
    assert holds_shards(tmp_path)
    assert holds_shards(str(tmp_path))
    assert not holds_shards(source([noise(1, 1)]))
    # `digits` is always the dataset of scikit-learn; `./digits` is a folder.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "dataset.json").touch()
    assert not holds_shards("digits")
    assert holds_shards("./digits")
