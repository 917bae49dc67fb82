"""Passes with RandAugment, and passes whose batches are mixed."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.data.making_passes import PASS, TESTED, TRAIN, assert_same, gather, read, read_again
from vgg_tf.data.drawings import draw_view_steps
from vgg_tf.data.loading import load_dataset, load_epochs
from vgg_tf.images.augmentation import Mix, View
from vgg_tf.images.mixing import mix_batch
from vgg_tf.images.processing import process_path
from vgg_tf.images.rand_augment import OPERATIONS, draw_operations

MIXED = {"mixup": 0.4, "cutmix": 1.0}


def test_process_path_and_a_pass_have_the_same_views_with_rand_augment(folder):
    views, _ = read_again(folder, epoch=3, rand_augment=6.0)
    plain, _ = read_again(folder, epoch=3)
    assert (views != plain).any((1, 2, 3)).sum() > TRAIN / 2
    paths = sorted(map(str, Path(folder, "train").rglob("*.*g")))
    names = sorted({Path(path).parent.name for path in paths})
    made = {
        process_path(path, names, 16, (16, 24), seed=3, shift=0, rand_augment=6.0)[0]
        .numpy()
        .tobytes()
        for path in paths
    }
    assert {view.tobytes() for view in views} <= made
    cached, _ = read_again(folder, epoch=3, rand_augment=6.0, cache="bytes")
    np.testing.assert_array_equal(cached, views)


@pytest.mark.parametrize("cache", ["none", "pixels"])
def test_a_mixed_pass_is_the_plain_pass_mixed_batch_by_batch(folder, cache):
    images, labels = read(folder, epoch=2, seed=5, cache=cache)
    mixed, both = read_again(folder, epoch=2, seed=5, cache=cache, **MIXED)
    for i in range(TRAIN // 4):
        some = slice(4 * i, 4 * i + 4)
        seed = tf.constant([2 + (5 << 32), i], tf.int64)
        seed = tf.random.fold_in(seed, tf.constant(0, tf.int64))  # the process
        expected = mix_batch(images[some], labels[some], seed, Mix(**MIXED))
        np.testing.assert_array_equal(mixed[some], expected[0])
        np.testing.assert_array_equal(both[some], expected[1])


def test_all_passes_have_their_own_mixtures_again_and_again(folder):
    one = load_epochs(folder, **PASS, **MIXED)
    images, labels = one(0).element_spec
    assert (images.shape, images.dtype) == ((4, 16, 16, 3), tf.uint8)
    assert (labels.shape, labels.dtype) == ((4, 3), tf.float32)
    passes = [gather(one(epoch)) for epoch in range(2)]
    counted = load_dataset(folder, **PASS, **MIXED)
    for expected in passes:
        assert_same(gather(counted), expected)
    assert len({share for _, labels in passes for share in labels[:, 2]}) == 2 * TRAIN


def test_processes_mix_their_parts_of_a_batch(folder):
    shares = []
    for process in range(2):
        options = {"cache": "bytes", "part": (process, 2)}
        _, plain = read_again(folder, **options)
        _, labels = read_again(folder, **options, **MIXED)
        np.testing.assert_array_equal(labels[:, 0], plain)
        # Two images a batch: each is the partner of the other.
        np.testing.assert_array_equal(labels[:, 1], plain.reshape(-1, 2)[:, ::-1].ravel())
        shares.append(labels[:, 2].tolist())
    assert not set(shares[0]) & set(shares[1])


@pytest.mark.parametrize("unused", [{"mixup": -1.0}, {"cutmix": 1.0}, {"rand_augment": 11.0}])
def test_evaluation_ignores_augmentations(folder, unused):
    batches = load_dataset(folder, "test", **TESTED, **unused)
    assert batches.element_spec[1] == tf.TensorSpec([4], tf.int32)


@pytest.mark.parametrize("wrong", [{"mixup": -1.0}, {"cutmix": float("nan")}, {"rand_augment": 11}])
def test_augmentations_out_of_range_are_refused(folder, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"{name} must be .* Received: {value}\. Try"):
        load_dataset(folder, **PASS, **wrong)


def test_the_steps_of_a_view_name_the_operations(folder):
    (picture, *_) = sorted(Path(folder, "train").rglob("*.png"))
    figure = draw_view_steps(str(picture), View(16, (16, 24), rand_augment=5, cutout=3), 7)
    titles = " ".join(axes.get_title() for axes in figure.axes)
    numbers, _ = draw_operations([7, 0])
    names = ", ".join(list(OPERATIONS)[number].replace("_", " ") for number in numbers)
    assert "RandAugment" in titles
    assert names in titles.replace("\n", " ")
