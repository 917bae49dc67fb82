"""Shards of vgg_tf are opened from dataset.json, and scanned only for single images."""

import numpy as np
import pytest

from tests.data.making_pictures import fill
from vgg_tf.data import foreign_shards, loading
from vgg_tf.data.opening import open_source, open_tested
from vgg_tf.data.selection import Selection
from vgg_tf.records.statistics import measure
from vgg_tf.writing.write import write


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    fill(folder / "pictures", train__ant=6, train__bee=6, test__ant=3, test__bee=3)
    source = open_source(str(folder / "pictures"))
    write(source, folder / "shards", progress=False)
    return source, str(folder / "shards")


@pytest.fixture
def unscanned(monkeypatch):
    """Fail if records are scanned."""
    monkeypatch.setattr(foreign_shards, "scan_shards", lambda *_: pytest.fail("scanned"))


def test_counts_sizes_colors_and_batches_need_no_scan(shards, unscanned):
    written, folder = shards
    source = open_source(folder)
    assert source.classes == written.classes
    assert source.count_per_class() == written.count_per_class()
    assert {split: source.count_images(split) for split in source.splits} == {
        split: len(images) for split, images in written.splits.items()
    }
    assert measure(source) is source.collection
    assert source.measure_smaller_side() == written.measure_smaller_side()
    assert len(loading.load_dataset(source, "test", batch_size=4, size=32)) == 2


def test_single_images_are_those_that_were_written(shards):
    written, folder = shards
    source = open_source(folder)
    for split, images in written.splits.items():
        found = source.splits[split]
        order = np.argsort(found.names)
        assert [found.names[i] for i in order] == sorted(images.names)
        by_name = dict(zip(images.names, range(len(images)), strict=True))
        for i in order:
            j = by_name[found.names[i]]
            assert found.labels[i] == images.labels[j]
            assert found.read(i) == images.read(j)


def test_a_selection_of_shards_has_no_collection_but_their_colors(shards):
    _, folder = shards
    chosen = open_source(folder, Selection(limit_per_class=2))
    assert chosen.collection is None
    assert chosen.covariance == open_source(folder).covariance
    assert chosen.count_per_class()["train"] == [2, 2]


def test_all_images_of_another_folder_without_splits_are_tested(shards, tmp_path):
    _, folder = shards
    fill(tmp_path / "other", ant=9, bee=9)
    source = open_tested("test", [Selection()], folder, str(tmp_path / "other"))
    assert list(source.splits) == ["test"]
    assert source.count_per_class() == {"test": [9, 9]}
    assert "no splits: all 18 labeled images are tested" in source.notes
    train = open_tested("train", [Selection()], folder, str(tmp_path / "other"))
    assert train.count_images("train") + train.count_images("validation") == 18
    # The folder of the training itself is not tested as a whole.
    again = open_tested("test", [Selection()], str(tmp_path / "other"), str(tmp_path / "other"))
    assert "test" not in again.splits
