"""Evaluation has every image once, in order, and a mask marks the padding."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.data.making_passes import (
    PASS,
    TEST,
    TESTED,
    TRAIN,
    assert_same,
    gather,
    identities,
    read,
    read_again,
)
from vgg_tf.data.loading import load_dataset, load_epochs
from vgg_tf.data.opening import open_source
from vgg_tf.images import decoding
from vgg_tf.images.rescaling import make_center_view
from vgg_tf.records.splits import Source


@pytest.mark.parametrize("batch_size", [1, 3, TEST + 1])
def test_evaluation_shows_every_image_once_in_order_and_pads_with_black(folder, batch_size):
    pixels, labels, mask = read(folder, "test", batch_size=batch_size)
    assert len(pixels) == len(labels) == len(mask) == -(-TEST // batch_size) * batch_size
    assert mask.tolist() == [1.0] * TEST + [0.0] * (len(mask) - TEST)
    test = open_source(folder).splits["test"]
    assert labels[:TEST].tolist() == test.labels.tolist()
    for view, path in zip(pixels, test.contents, strict=False):
        np.testing.assert_array_equal(
            view, make_center_view(decoding.decode(tf.io.read_file(path)), 16, 18)
        )
    assert not pixels[TEST:].any()
    assert np.average(labels, weights=mask) == test.labels.mean()


def test_a_split_may_have_one_image(folder):
    source = open_source(folder)
    one = Source("one", source.classes, {"train": source.splits["train"].take([0])})
    pixels, labels, mask = read_again(one, training=False, **TESTED | {"batch_size": 1})
    assert (len(pixels), mask.tolist()) == (1, [1.0])
    assert identities(pixels) % 3 == labels


def test_a_mean_weighted_by_the_mask_counts_each_image_once_from_a_cache(shards):
    one = load_epochs(shards, "test", cache="pixels", **TESTED | {"batch_size": 3})
    passes = [gather(one(epoch)) for epoch in range(2)]
    assert_same(*passes)  # nothing is random
    pixels, labels, mask = passes[0]
    shown = identities(pixels)
    assert sorted(shown[mask == 1]) == list(range(TEST))
    assert (labels == shown % 3)[mask == 1].all()
    assert np.average(shown, weights=mask) == np.mean(range(TEST))


def test_training_images_can_be_evaluated_and_test_images_trained_on(shards):
    pixels, labels, mask = read(shards, training=False, **TESTED | {"batch_size": 5})
    shown = identities(pixels)
    assert sorted(shown[mask == 1]) == list(range(TRAIN))
    assert (labels == shown % 3)[mask == 1].all()
    assert np.average(shown, weights=mask) == np.mean(range(TRAIN))
    views, _ = read(shards, "test", training=True, **PASS | {"batch_size": 5})
    assert sorted(identities(views)) == list(range(TEST))


def test_evaluation_uses_the_middle_of_a_scale_range_and_by_default_256_for_224(
    folder,
):
    expected = read(folder, "test", scale=18)
    assert_same(read(folder, "test", scale=(16, 21)), expected)
    assert_same(read(folder, "test", scale=None), expected)
    assert (read(folder, "test", scale=19)[0] != expected[0]).any()


def test_evaluation_fails_if_there_are_more_images_than_in_dataset_json(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    path = tmp_path / "shards" / "dataset.json"
    facts = json.loads(path.read_text())
    facts["splits"]["test"]["images"] -= 1
    path.write_text(json.dumps(facts))
    with pytest.raises(tf.errors.FailedPreconditionError):
        gather(load_dataset(str(tmp_path / "shards"), "test", **TESTED | {"batch_size": 1}))
