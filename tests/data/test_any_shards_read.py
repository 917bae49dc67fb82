"""Compressed shards with other keys go through training, evaluation, `write` and `show`."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.making_shards import drawn, example, png
from tests.making import noise
from vgg_tf.data.examples import read_examples
from vgg_tf.data.loading import load_dataset
from vgg_tf.data.opening import open_source, open_tested
from vgg_tf.data.selection import Selection
from vgg_tf.writing.write import write

N = 24


@pytest.fixture
def packed(tmp_path):
    """Return a folder of a gzip, a zlib and a plain shard of `N` images of three classes."""
    (tmp_path / "packed").mkdir()
    for k, kind in enumerate(("GZIP", "ZLIB", "")):
        with tf.io.TFRecordWriter(str(tmp_path / "packed" / f"{k}.tfrec"), kind) as writer:
            for i in range(k, N, 3):
                writer.write(example(photo=[png(noise(6, 9, i))], kind=[i % 3], name=[b"%d" % i]))
    return str(tmp_path / "packed")


def views(numbers):
    return {noise(6, 9, i)[:, 1:7].tobytes(): i % 3 for i in numbers}


def test_compressed_shards_are_read_in_order_and_shuffled(packed):
    source = open_source(packed, Selection(hold_out=0.25))
    train, validation = (
        [int(name) for name in source.splits[split].names] for split in ("train", "validation")
    )
    assert sorted(train + validation) == list(range(N))
    dataset = load_dataset(source, "validation", batch_size=4, size=6, scale=6)
    assert drawn(dataset) == views(validation)
    dataset = load_dataset(source, "train", batch_size=6, size=6, scale=6, flip=False)
    labels = np.concatenate([batch[1] for batch in dataset.take(3).as_numpy_iterator()])
    assert np.bincount(labels, minlength=3).tolist() == [6, 6, 6]


def test_compressed_shards_are_written_shown_and_tested(packed, tmp_path):
    source = open_source(packed)
    collection = write(source, tmp_path / "ours", progress=False)
    assert {name: values["images"] for name, values in collection.splits.items()} == {
        "train": 21,
        "validation": 3,
    }
    ours = open_source(str(tmp_path / "ours"))
    for split, images in source.splits.items():
        there = {name: images.read(i) for i, name in enumerate(images.names)}
        again = ours.splits[split]
        assert there == {name: again.read(i) for i, name in enumerate(again.names)}
    shown = list(read_examples(packed, n=3))
    assert [one.encoded for one in shown] == [png(noise(6, 9, int(one.name))) for one in shown]
    assert all(one.where.startswith(packed) for one in shown)
    tested = open_tested("test", [Selection()], "digits", packed)
    dataset = load_dataset(tested, "test", batch_size=5, size=6, scale=6)
    assert drawn(dataset) == views(range(N))
