"""Passes from a cache, and views made a batch at a time, equal plain passes."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.data.making_passes import PASS, TESTED, TRAIN, by_image, gather, identities, read
from tests.making import noise, save
from vgg_tf.data.loading import load_dataset, load_epochs
from vgg_tf.data.selection import Selection


@pytest.mark.parametrize("cache", ["bytes", "pixels"])
def test_cached_passes_equal_uncached_passes_and_read_the_files_once(folder, tmp_path, cache):
    expected = [by_image(read(folder, epoch=epoch)[0]) for epoch in range(2)]
    # A cache after a random step would repeat the views of the first epoch.
    assert (expected[0] != expected[1]).any((1, 2, 3)).sum() >= TRAIN - 2
    shutil.copytree(folder, tmp_path / "zoo")
    one = load_epochs(str(tmp_path / "zoo"), cache=cache, **PASS)
    for epoch in range(2):
        views, labels = gather(one(epoch))
        difference = np.abs(by_image(views).astype(int) - expected[epoch])
        # A decoded window of a JPEG differs by one level where a value is close to a half.
        assert difference.max() <= (1 if cache == "pixels" else 0)
        assert (labels == identities(views) % 3).all()
        shutil.rmtree(tmp_path / "zoo", ignore_errors=True)


def test_views_made_a_batch_at_a_time_equal_views_made_one_by_one(tmp_path):
    """All images but one have the size of the crop.

    They are PNG files, whose pixels do not depend on the decoded window.
    """
    for i in range(12):
        save(tmp_path / "zoo" / "train" / "ab"[i % 2] / f"{i}.png", noise(16 + 4 * (i == 5), 16, i))
    options = {
        "batch_size": 4,
        "size": 16,
        "scale": 16,
        "shift": 0,
        "padding": 3,
        "cutout": 6,
        "epoch": 3,
        "seed": 9,
    }
    options |= {"selection": Selection(hold_out=0)}

    def found(cache, processes):
        parts = [
            load_dataset(str(tmp_path / "zoo"), cache=cache, part=(i, processes), **options)
            for i in range(processes)
        ]
        assert all(part.cardinality() == 3 for part in parts)
        return sorted(
            (int(label), view.tobytes())
            for part in parts
            for view, label in zip(*gather(part), strict=True)
        )

    expected = found("none", 1)
    assert len(set(expected)) == 12
    assert found("pixels", 1) == found("pixels", 2) == expected


def test_without_a_cache_the_files_are_read_in_every_pass(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "zoo")
    dataset = load_dataset(str(tmp_path / "zoo"), "test", **TESTED)
    gather(dataset)
    shutil.rmtree(tmp_path / "zoo")
    with pytest.raises(tf.errors.NotFoundError, match=r"zoo/test"):
        gather(dataset)
