"""load_dataset returns batches of static shape, and refuses wrong arguments."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.making_passes import (
    PASS,
    TESTED,
    TRAIN,
    assert_same,
    gather,
    read,
    read_again,
    upright,
)
from tests.making import noise, save
from vgg_tf.data.loading import load_dataset
from vgg_tf.data.opening import open_source
from vgg_tf.images import colors
from vgg_tf.images.processing import process_path
from vgg_tf.records.collection import Collection
from vgg_tf.records.splits import Source, Split
from vgg_tf.writing.write import write


@pytest.mark.parametrize("training", [True, False])
def test_batches_have_static_shapes_uint8_images_and_int32_labels_and_a_known_number(
    folder, shards, training
):
    train = open_source(folder).splits["train"]
    contents = [Path(path).read_bytes() for path in train.contents]
    in_memory = Source(
        "memory", ("ant", "bee", "cow"), {"train": Split(train.names, train.labels, contents)}
    )
    options = (PASS if training else TESTED) | {"batch_size": 5, "training": training}
    for source in (folder, shards, in_memory):
        dataset = load_dataset(source, **options)
        pixels, labels, *mask = dataset.element_spec
        assert pixels == tf.TensorSpec([5, 16, 16, 3], tf.uint8)
        assert labels == tf.TensorSpec([5], tf.int32)
        assert mask == ([] if training else [tf.TensorSpec([5], tf.float32)])
        count = TRAIN // 5 if training else -(-TRAIN // 5)
        assert dataset.cardinality() == count
        views, *_ = (read_again if source is in_memory else read)(source, **options)
        assert len(views) == 5 * count


def test_an_image_has_the_same_view_from_shards_and_from_files(folder, shards):
    one, other = ({view.tobytes() for view in read(source)[0]} for source in (folder, shards))
    assert one == other
    assert len(one) == TRAIN


def test_the_color_shift_uses_the_covariance_of_shards_and_of_imagenet_for_files(folder, shards):
    own = Collection.read(shards).covariance_rgb
    published = tuple(map(tuple, colors.IMAGENET_COVARIANCE.tolist()))
    of_files, of_shards = (read(source, shift=0.1) for source in (folder, shards))
    assert_same(of_files, read(folder, shift=0.1, covariance=published))
    as_in_shards = read(folder, shift=0.1, covariance=own)
    found, expected = ({view.tobytes() for view in views} for views, _ in (of_shards, as_in_shards))
    assert found == expected
    assert len(found) == TRAIN
    assert found != {view.tobytes() for view in of_files[0]}


def test_flip_and_shift_change_the_views(folder):
    assert upright(read(folder, flip=False)[0]).all()
    assert 0 < upright(read(folder)[0]).sum() < TRAIN
    assert (read(folder)[0] != read(folder, shift=0.1)[0]).any()


def test_each_image_has_its_own_random_view(source):
    # Four images per class: one draw per class, or per batch, would mirror all of them or none.
    views, labels = read(source)
    mirrored = [set(upright(views[labels == label]).tolist()) for label in range(3)]
    assert {True, False} in mirrored
    assert any(len(set(upright(batch).tolist())) == 2 for batch in np.split(views, 3))


def test_an_unknown_split_is_refused_with_a_list_of_splits(source):
    with pytest.raises(
        ValueError,
        match=r"has no split 'tset'. It has (train|test|validation)(, (train|test|validation)){2}",
    ):
        load_dataset(source, "tset", **PASS)


def test_more_steps_than_there_are_batches_are_refused(source):
    with pytest.raises(
        ValueError,
        match=(
            r"the 3 full batches of 4 that 12 train images make\. "
            r"Received: 4\. Lower steps or batch_size"
        ),
    ):
        load_dataset(source, **PASS, steps=4)


def test_a_batch_larger_than_the_split_is_refused_in_training(source):
    with pytest.raises(
        ValueError,
        match=(
            r"the 0 full batches of 13 that 12 train images make\. "
            r"Received: 1\. Lower steps or batch_size"
        ),
    ):
        load_dataset(source, **PASS | {"batch_size": 13})


def test_an_unknown_cache_is_refused(folder):
    with pytest.raises(
        ValueError, match=r"cache must be 'none', 'bytes' or 'pixels'\. Received: 'disk'"
    ):
        load_dataset(folder, **PASS, cache="disk")


def test_a_missing_folder_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No folder '.*nowhere'"):
        load_dataset(str(tmp_path / "nowhere"), **PASS)


def test_a_missing_shard_is_reported_before_reading(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    (tmp_path / "shards" / "train-00002-of-00003").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"1 of 3 train shards are missing, first .*train-00002-of-00003"
    ):
        load_dataset(str(tmp_path / "shards"), **PASS)
    load_dataset(str(tmp_path / "shards"), "test", **PASS)  # the test split is complete


def test_process_path_and_records_give_the_same_pixels_for_jpeg_png_and_gray(tmp_path):
    names, saved = ("ant", "bee"), [("jpg", "RGB"), ("png", "RGB"), ("jpg", "L"), ("png", "L")]
    for i, (kind, mode) in enumerate(saved):
        picture = Image.fromarray(noise(30 + i, 40 - i, i)).convert(mode)
        save(tmp_path / "zoo" / "train" / names[i % 2] / f"{i}.{kind}", picture)
    shutil.copytree(
        tmp_path / "zoo" / "train", tmp_path / "zoo" / "val"
    )  # otherwise a part of train is held out
    write(open_source(str(tmp_path / "zoo")), tmp_path / "shards", shards=2, progress=False)
    covariance = Collection.read(tmp_path / "shards").covariance_rgb
    paths = [str(path) for path in (tmp_path / "zoo" / "train").rglob("*.*g")]
    seen = load_dataset(str(tmp_path / "shards"), **PASS | {"shift": 0.1}, epoch=3)
    expected = {(view.tobytes(), label) for view, label in zip(*gather(seen), strict=True)}
    assert len(expected) == 4

    def look(path):
        return process_path(path, names, 16, (16, 24), seed=3, covariance=covariance)

    assert {(view.numpy().tobytes(), int(label)) for view, label in map(look, paths)} == expected
    piped = tf.data.Dataset.from_tensor_slices(paths).map(look)
    assert {(view.tobytes(), label) for view, label in piped.as_numpy_iterator()} == expected


@pytest.mark.parametrize("unused", [{"padding": 16}, {"cutout": -1}, {"shift": -1.0}])
def test_evaluation_ignores_the_numbers_of_random_views(folder, unused):
    options = TESTED | {"training": False} | unused
    assert load_dataset(folder, **options).element_spec[0].dtype == tf.uint8
    with pytest.raises(ValueError, match=r"Received: "):
        load_dataset(folder, **options | {"training": True})
