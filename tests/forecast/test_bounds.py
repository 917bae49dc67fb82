"""The search finds the largest batch in few compilations, and the table matches a calculation."""

import numpy as np
import pytest

from tests.making import cells_of
from vgg_tf.forecast.bounds import (
    GIB,
    Bounds,
    Step,
    choose_next_batch,
    compute_whole_sides,
    estimate_largest_batch,
    parse_topologies,
)
from vgg_tf.forecast.bounds_table import format_table
from vgg_tf.forecast.host import Host
from vgg_tf.paper.recipes import Recipe


def compiler(tried, jump_above=10**9):
    """Return a fake compiler for 8 devices of 16 GiB that appends its batches to `tried`.

    A device needs 1 GiB of weights, 10 MiB per image, and 4 GiB more above a batch.
    """

    def compiled(batch):
        tried.append(batch)
        temporaries = batch // 8 * 10 * 2**20 + (4 * GIB if batch > jump_above else 0)
        fits = GIB + temporaries <= 16 * GIB
        return Step(8, batch, temporaries + GIB * fits, 16 * GIB, 1.0 * fits, 1.0 * fits, 0.0)

    return compiled


def searched(compiled, batch):
    """Return the largest batch that the search finds to fit; None if none fits."""
    steps = []
    while batch:
        steps.append(compiled(batch))
        batch = choose_next_batch(steps)
    return max((step.batch for step in steps if step.fits), default=None)


def test_the_largest_batch_fills_the_memory_in_multiples_of_eight_per_device():
    # 1000 + 5 * batch = 21000 at a batch of 4000, which is 62.5 times 64.
    assert (
        estimate_largest_batch(
            *(Step(8, batch, 1000 + 5 * batch, 21000, 1.0, 1.0, 0.0) for batch in (512, 1024))
        )
        == 3968
    )


@pytest.mark.parametrize("batch", [8, 256, 512, 4096])
def test_three_compilations_find_the_largest_batch_if_memory_is_linear(batch):
    tried = []
    # 15 GiB of images of 10 MiB: 1,536 per device.
    assert searched(compiler(tried), batch) == 12288
    assert len(tried) == 3


@pytest.mark.parametrize("batch", [6400, 8192, 12288, 12352, 16384, 65536, 2**20])
def test_the_search_from_a_batch_too_large_is_short_and_finds_three_quarters(
    batch,
):
    tried = []
    assert 0.75 * 12288 <= searched(compiler(tried), batch) <= 12288
    assert len([batch for batch in tried if batch <= 12288]) <= 3  # these take long
    assert len(tried) <= 16


def test_the_largest_batch_was_compiled_and_fits_even_if_memory_is_not_linear():
    tried = []
    # With 4 GiB more above 5,000 images, 11 GiB hold 9,011 images. Linear extrapolation gives
    # 12,288, as above.
    found = searched(compiler(tried, jump_above=5000), 512)
    assert tried[:3] == [512, 1024, 12288]
    assert found in tried
    assert found <= 9011
    assert len(tried) == 4


def test_the_search_ends_if_eight_images_per_device_do_not_fit():
    tried = []

    def compiled(batch):
        tried.append(batch)
        return Step(8, batch, 100 * GIB, 16 * GIB, 0.0, 0.0, 0.0)

    assert searched(compiled, 2**20) is None
    assert len(tried) < 10


def test_a_step_refused_by_xla_does_not_fit_even_if_the_rounded_sizes_are_equal():
    assert not Step(8, 64, 16 * GIB, 16 * GIB, 0.0, 0.0, 0.0).fits


def test_the_table_matches_a_calculation_by_hand():
    def step(devices, batch, gib, available, flops=0.0, traffic=0.0):
        return Step(devices, batch, int(gib * GIB), int(available * GIB), flops, traffic, 1.0)

    # 0.1 s at 197 TFLOP/s, 0.05 s at 819 GB/s: 10,000 images/s, so an epoch of 36 M takes an hour.
    kaggle = step(8, 1000, 6, 15.75, 19.7e12, 40.95e9)
    # 0.1 s at 918 TFLOP/s, 0.2 s at 1,640 GB/s.
    memory_bound = step(4, 1000, 7.5, 31.25, 91.8e12, 328e9)
    # Half the batch in 0.125 s at 61.5 TFLOP/s per core: 4,000 images/s.
    half = step(8, 500, 10, 15.5, 7.6875e12, 1e9)
    # 2,000 crops in 0.1 s; 500 whole images in 0.05 s, or none where they do not fit.
    crops = step(8, 2000, 1, 15.75, 19.7e12, 1e9)
    dense = step(8, 500, 2, 15.75, 9.85e12, 1e9)
    common = {"arch": "vgg16", "host": Host(300.0, 2)}

    def bounds(name, asked, largest, crops=crops, dense=dense):
        return Bounds(name, asked, largest, 10, 36_000_000, crops=crops, dense=dense, **common)

    none = step(8, 500, 2000, 15.25)
    rows = [
        bounds("v5e:2x4", kaggle, step(8, 2560, 15.5, 15.75, 1.0, 1.0)),
        bounds("v6e:2x2", memory_bound, memory_bound, dense=none),
        bounds("v3:2x2", step(8, 1000, 20, 15.5), half),
        bounds("v4:2x2x1", step(8, 1000, 2000, 15.25), None),
    ]
    refused = "GiB for temporaries alone: does not fit"
    heading, *cells = cells_of(format_table(rows))
    assert [i for i, name in enumerate(heading) if "bound, not measured" in name] == [
        *(9, 10, 12, 13, 14, 15)
    ]
    words = {4: "1,000", 6: "dense tests", 11: "150 images/s", 12: "10 epochs", 13: "20 hours"}
    assert [i for i, word in words.items() if word not in heading[i]] == []
    fits = ["1.00 GiB: fits", "2.00 GiB: fits, 500 images"]
    kaggle_row = "v5e:2x4|8|15.75|6.00 GiB: fits|2,560|157.6|100|10,000|67|10.0|0.50|20,000|10,000"
    memory_row = "v6e:2x2|4|31.25|7.50 GiB: fits|1,000|367.2|200|5,000|34|20.0|-|93,198|-"
    half_row = f"v3:2x2|8|15.50|20.00 {refused}|500|123.0|125 for 500|4,000|27|25.0|-|6,244|3,122"
    none_row = f"v4:2x2x1|8|15.25|2000.00 {refused}|{'|'.join('-' * 9)}"
    tests = [fits, [fits[0], f"2000.00 {refused}, 500 images"], fits, fits]
    expected = [line.split("|") for line in (kaggle_row, memory_row, half_row, none_row)]
    assert cells == [
        ["vgg16", *row[:4], *more, *row[4:]] for row, more in zip(expected, tests, strict=True)
    ]


def test_the_sides_of_a_whole_image_are_those_of_a_dense_test():
    rescaling = pytest.importorskip("vgg_tf.images.rescaling")
    for low in (224, 256, 384, 500):
        found = compute_whole_sides(Recipe(test_scale=low))
        image = rescaling.rescale(np.zeros((600, 800, 3), np.uint8), low, 32)
        assert found == image.shape[:2], low


def test_a_name_given_twice_is_compiled_once():
    assert parse_topologies("v3:2x2, v5e:2x4,v3:2x2", 256) == ["v3:2x2", "v5e:2x4"]
