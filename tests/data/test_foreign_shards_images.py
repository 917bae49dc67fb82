"""Third-party shards give each image once, with its label and its pixels."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.data.making_shards import drawn, example, labels_of, png, shard, slim, slim_folder
from tests.making import noise, save
from vgg_tf.data.loading import load_dataset
from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.records import schema
from vgg_tf.records.collection import list_shards
from vgg_tf.writing.write import write


def test_empty_shards_do_not_change_the_images(tmp_path):
    slim_folder(tmp_path, n=16, shards=4)
    shard(tmp_path, "train-00000-of-00004", [])  # the first one decides the form of all records
    shard(tmp_path, "train-00002-of-00004", [])
    source = open_source(str(tmp_path))
    expected = {f"{i}.png": i % 3 for k in (1, 3) for i in range(k, 16, 4)}
    assert labels_of(source) | labels_of(source, "validation") == expected
    views = drawn(load_dataset(source, "train", training=False, batch_size=3, size=4, scale=4))
    assert sorted(views.values()) == sorted(source.splits["train"].labels.tolist())


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same 18 train and 6 validation images, in class folders and in shards of TF-Slim."""
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
    """Return the record of image `i` of the class folders, in the form of TF-Slim."""
    (path,) = root.glob(f"files/*/*/{i}.png")
    synset = path.parent.name
    return example(
        image__encoded=[path.read_bytes()],
        image__class__label=[int(synset[1:])],
        image__class__synset=[synset.encode()],
        image__filename=[path.name.encode()],
    )


def of_files(root, source):
    """Return the same images as a source of shards, in its order, from the class folders."""
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
def test_shards_and_files_give_the_same_pixels_and_labels(both, selection, parts):
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


@pytest.mark.slow
def test_train_and_held_out_images_of_shards_are_disjoint_and_complete(both, tmp_path):
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


def test_classes_without_train_images_are_refused(tmp_path):
    shard(tmp_path, "train-00000-of-00001", [slim(i, i % 2, classes=()) for i in range(8)])
    shard(tmp_path, "validation-00000-of-00001", [slim(i, i % 4, classes=()) for i in range(8, 16)])
    with pytest.raises(ValueError, match="train"):
        load_dataset(str(tmp_path), batch_size=1, size=4, selection=Selection(classes=("2", "3")))


def test_selecting_all_images_of_our_shards_changes_no_pixel(ours):
    # 1 s: two pipelines.
    views = drawn(load_dataset(str(ours), selection=Selection(limit_per_class=1000), **VIEW))
    assert len(views) == 27
    assert views == drawn(load_dataset(str(ours), **VIEW))


def test_third_party_shards_keep_images_and_boxes_when_written_as_our_own(
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
        for path in list_shards(tmp_path / "ours", collection, split):
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
