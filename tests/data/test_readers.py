"""A pass has every image once, in an order fixed by seed and epoch."""

import pytest
import tensorflow as tf

from tests.data.making_passes import (
    PASS,
    TRAIN,
    assert_same,
    by_image,
    gather,
    identities,
    read,
    read_again,
)
from vgg_tf.data import readers
from vgg_tf.data.loading import load_dataset


def test_seed_and_epoch_fix_every_batch_for_any_global_seed(source):
    tf.random.set_seed(1)
    try:
        dataset = load_dataset(source, **PASS, epoch=1)
        assert_same(gather(dataset), read(source, epoch=1))
    finally:
        tf.random.set_seed(None)


def test_the_number_of_threads_and_a_second_reading_change_no_batch(shards):
    narrow = tf.data.Options()
    narrow.threading.private_threadpool_size = 1
    narrow.threading.max_intra_op_parallelism = 1
    dataset = load_dataset(shards, **PASS, epoch=1)
    for again in (dataset, dataset.with_options(narrow)):
        assert_same(gather(again), read(shards, epoch=1))


def test_seed_and_epoch_fix_every_batch_from_a_cache(shards):
    first, second = (read_again(shards, seed=3, epoch=7, cache="pixels") for _ in range(2))
    assert_same(first, second)


@pytest.mark.parametrize("other", [{"epoch": 1}, {"seed": 1}])
def test_another_epoch_or_seed_gives_another_order_and_other_views(source, other):
    (views, labels), (other_views, other_labels) = read(source), read(source, **other)
    assert (identities(views) != identities(other_views)).any()
    assert (labels != other_labels).any()
    differ = (by_image(views) != by_image(other_views)).mean((1, 2, 3)) > 0.05
    assert differ.sum() >= TRAIN - 2  # some views are equal by coincidence


def test_adjacent_seeds_do_not_share_epochs(folder):
    # tf.data takes seeds modulo 2^31 - 1, where 2^32 equals 2. Epoch 2 of seed 0 must differ from
    # epoch 0 of seed 1.
    assert (read(folder, seed=0, epoch=2)[1] != read(folder, seed=1)[1]).any()


def test_a_pass_has_every_image_once_with_its_own_label(source):
    orders = set()
    for epoch in range(2):
        views, labels = read(source, epoch=epoch)
        shown = identities(views)
        assert sorted(shown) == list(range(TRAIN))
        assert (labels == shown % 3).all()
        orders.add(tuple(shown))
    assert len(orders) == 2


@pytest.mark.parametrize(
    ("kind", "options", "n"),
    [("folder", {"batch_size": 5}, 10), ("shards", {"batch_size": 3, "steps": 2}, 6)],
)
def test_no_image_repeats_in_a_pass_and_random_images_are_omitted(request, kind, options, n):
    missing = set()
    for epoch in range(2):
        shown = identities(read(request.getfixturevalue(kind), epoch=epoch, **options)[0])
        assert len(shown) == len(set(shown)) == n
        missing |= {*range(TRAIN)} - {*shown}
    assert len(missing) > TRAIN - n


def test_a_shuffle_buffer_of_one_image_still_gives_every_image_once(shards, monkeypatch):
    # The buffer is limited in bytes, and has at least one image.
    monkeypatch.setattr(readers, "SHUFFLE_BYTES", 1)
    orders = [tuple(identities(read_again(shards, epoch=epoch)[0])) for epoch in range(2)]
    assert [sorted(order) for order in orders] == [list(range(TRAIN))] * 2
    assert len(set(orders)) > 1  # the order of shards changes
