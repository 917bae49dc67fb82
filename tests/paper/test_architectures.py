"""ARCHITECTURES has the networks of Table 1, and find_width returns the width of filters."""

import numpy as np
import pytest

from vgg_tf.paper.architectures import ARCHITECTURES, count_filters, find_architecture, find_width


def test_the_table_has_the_six_networks_and_their_batch_norm_variants():
    assert list(ARCHITECTURES) == [
        "vgg11",
        "vgg11_lrn",
        "vgg11_bn",
        "vgg13",
        "vgg13_bn",
        "vgg16c",
        "vgg16c_bn",
        "vgg16",
        "vgg16_bn",
        "vgg19",
        "vgg19_bn",
    ]
    assert [
        ARCHITECTURES[name].weight_layers for name in ("vgg11", "vgg13", "vgg16c", "vgg16", "vgg19")
    ] == [
        11,
        13,
        16,
        16,
        19,
    ]
    assert [
        ARCHITECTURES[name].column
        for name in ("vgg11", "vgg11_lrn", "vgg13", "vgg16c", "vgg16", "vgg19")
    ] == [
        "A",
        "A-LRN",
        "B",
        "C",
        "D",
        "E",
    ]


def test_an_unknown_architecture_raises_an_error_that_lists_the_known_ones():
    with pytest.raises(
        ValueError,
        match=r"Unknown architecture 'vgg17'. Expected one of: vgg11, vgg11_lrn, .*vgg19_bn",
    ):
        find_architecture("vgg17")


def test_find_width_inverts_count_filters():
    # The exact numbers are 19.2, 38.4, 76.8, 153.6 and 153.6. A width that gives 154 of 512 gives
    # more than 76.5 of 256, so never 76.
    assert count_filters(0.3) == (19, 38, 77, 154, 154)
    with pytest.raises(
        ValueError, match=r"512, 512 times one width\. Received: 19, 38, 76, 154, 154"
    ):
        find_width((19, 38, 76, 154, 154))
    # Multiples of 1/1024 give halves, which Python rounds to even numbers.
    for width in [n / 1024 for n in range(1, 1537)] + np.linspace(0.02, 1.5, 3000).tolist():
        assert count_filters(find_width(count_filters(width))) == count_filters(width), width
    for n in range(1, 97):
        assert find_width(count_filters(n / 64)) == n / 64
