"""The stages of each network are those of sections 3.1 and 4.1."""

import pytest

from vgg_tf.paper.stages import Stage, list_stages


@pytest.mark.parametrize("arch", ["vgg13", "vgg16c", "vgg16", "vgg19"])
def test_b_to_e_start_from_a_then_384_from_256_then_the_range_from_384(arch):
    assert list_stages(arch) == [
        Stage("vgg11", "paper", (256, 256), ""),
        Stage(arch, "paper", (256, 256), "paper"),
        Stage(arch, "paper384", (384, 384), "all-matching"),
        Stage(arch, "paper-jitter", (256, 512), "all-matching"),
    ]


def test_a_network_with_batch_normalization_starts_from_an_a_with_it():
    assert [stage.arch for stage in list_stages("vgg19_bn")] == [
        "vgg11_bn",
        "vgg19_bn",
        "vgg19_bn",
        "vgg19_bn",
    ]


@pytest.mark.parametrize("arch", ["vgg11", "vgg11_lrn", "vgg11_bn"])
def test_a_and_a_lrn_start_from_random_weights(arch):
    assert [(stage.arch, stage.layers) for stage in list_stages(arch)] == [
        (arch, ""),
        (arch, "all-matching"),
        (arch, "all-matching"),
    ]


def test_smaller_crops_have_scales_in_proportion():
    # 32 * 256 / 224 = 36.6, 32 * 384 / 224 = 54.9, 32 * 512 / 224 = 73.1.
    assert [stage.scale for stage in list_stages("vgg16", 32)] == [
        (37, 37),
        (37, 37),
        (55, 55),
        (37, 73),
    ]
