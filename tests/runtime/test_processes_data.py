"""Several processes share the images of a pass, and count every image of a test once."""

from pathlib import Path

import numpy as np
import pytest

from tests.runtime.making_processes import TEST, TRAIN
from vgg_tf.data.loading import load_dataset
from vgg_tf.data.selection import Selection


@pytest.fixture(scope="module")
def files(shards):
    """Return the folder of the same images as files."""
    return str(Path(shards).parent / "files")


def columns(source, n, epoch=0, **options):
    """Return the batches of a pass in `n` processes: for each, a list of batches of arrays."""
    common = {
        "batch_size": 6,
        "size": 16,
        "scale": 16,
        "seed": 3,
        "epoch": epoch,
        "shift": 0,
        "flip": False,
    }
    parts = [load_dataset(source, part=(i, n), **common | options) for i in range(n)]
    return [[tuple(map(np.asarray, batch)) for batch in part] for part in parts]


@pytest.mark.parametrize("cache", ["none", "pixels"])
def test_several_processes_together_read_the_rows_of_one_process(shards, files, cache):
    source = shards if cache == "pixels" else files
    (alone,) = columns(source, 1, epoch=2, cache=cache)
    together = columns(source, 3, epoch=2, cache=cache)
    assert {len(part) for part in together} == {len(alone)} == {TRAIN // 6}
    for batch, *shares in zip(alone, *together, strict=True):
        for whole, *rows in zip(batch, *shares, strict=True):
            assert {len(row) for row in rows} == {2}
            np.testing.assert_array_equal(np.concatenate(rows), whole)


@pytest.mark.parametrize(
    ("classes", "images"), [((), TRAIN), (("ant", "cow"), 25)]
)  # a selection reads the labels from a table
@pytest.mark.parametrize("n", [3, pytest.param(7, marks=pytest.mark.slow)])
def test_each_process_reads_its_own_shards_and_all_have_the_same_number_of_batches(
    shards, n, classes, images
):
    options = {"selection": Selection(classes=classes), "batch_size": 2 * n}
    together = columns(shards, n, **options)
    assert {len(part) for part in together} == {images // (2 * n)}
    seen = [{view.tobytes() for images, _ in part for view in images} for part in together]
    assert len(set.union(*seen)) == images // (2 * n) * 2 * n  # no image is in two processes
    other = [
        {view.tobytes() for images, _ in part for view in images}
        for part in columns(shards, n, epoch=1, **options)
    ]
    for i, views in enumerate(other):  # nor does it move to another process in another epoch
        assert not views & set.union(*(set(), *seen[:i], *seen[i + 1 :]))


@pytest.mark.parametrize("kind", ["files", "shards"])
def test_a_test_by_several_processes_counts_every_image_once(request, kind):
    source = request.getfixturevalue(kind)
    (alone,) = columns(source, 1, split="test")
    expected = sorted(view.tobytes() for images, _, mask in alone for view in images[mask > 0])
    assert len(expected) == TEST
    together = columns(source, 3, split="test")
    assert {len(part) for part in together} == {len(alone)}
    assert (
        sorted(
            view.tobytes()
            for part in together
            for images, _, mask in part
            for view in images[mask > 0]
        )
        == expected
    )


def test_batches_and_splits_that_the_processes_cannot_share_are_refused(shards):
    with pytest.raises(ValueError, match=r"a multiple of the 5 processes .* Received: 6\. Try 10"):
        columns(shards, 5)
    with pytest.raises(ValueError, match=r"each of 20 processes. Received: 16 images"):
        load_dataset(shards, "test", batch_size=20, size=16, part=(0, 20))
