"""The check of one batch gives each initializer the verdict that theory predicts."""

import math
import re

import keras
import numpy as np
import pytest

from tests.making import shallow
from vgg_tf.models.initializers import INITIALIZERS, find_initialization
from vgg_tf.models.vgg import build_vgg
from vgg_tf.training.model import compile_scores, drop_softmax
from vgg_tf.training.probe import LOSS_LIMIT, load_photographs, measure_throughput, probe


def net(arch="vgg11", **options):
    return build_vgg(
        arch,
        **{"input_shape": (64, 64, 3), "classes": 10, "width": 0.25, "head_width": 64, "seed": 1}
        | options,
    )


def chain(*kernels, **options):
    """Build a network with these kernels in its first blocks, and none in the others."""
    with shallow((*kernels, *[()] * (5 - len(kernels)))):
        return net(options.pop("arch", "shallow"), **options)


@pytest.fixture(scope="module")
def pixels():
    return load_photographs(64)


@pytest.fixture(scope="module")
def small_pixels():
    return load_photographs(32)


def test_the_photographs_are_eight_different_views_of_the_size(pixels):
    assert pixels.shape == (8, 64, 64, 3)
    assert pixels.dtype == np.uint8
    assert len({view.tobytes() for view in pixels}) == 8


def test_scales_and_loss_match_those_of_the_layers_outputs(pixels):
    # Expected: each layer's output from a model of its own in training mode, the loss from Keras.
    model, labels = chain((3,), (3,), arch="shallow_bn", dropout=0.0), np.arange(8) % 10
    found = probe(model, pixels, labels)
    for name, layer in (
        ("normalize", "normalize"),
        ("block2_conv1", "block2_relu1"),
        ("fc1", "fc1"),
    ):
        out = keras.Model(model.input, model.get_layer(layer).output)(pixels, training=True).numpy()
        assert found.scales[name] == pytest.approx(np.sqrt((out**2).mean()), rel=1e-4)
    scores = keras.Model(model.input, model.get_layer("predictions").output)(pixels, training=True)
    loss = keras.losses.sparse_categorical_crossentropy(labels, scores, from_logits=True)
    assert found.loss == pytest.approx(float(np.mean(loss)), rel=1e-5)
    assert found.logits == pytest.approx(np.std(scores), rel=1e-4)
    assert found.guessing == math.log(10)
    kernels = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    assert list(found.scales) == ["normalize", *kernels]


def test_the_check_changes_no_moments_no_dropout_rate_and_no_seeds(pixels):
    model = chain((3,), arch="shallow_bn")
    before = [variable.numpy() for variable in model.variables]
    first = probe(model, pixels)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(before, (variable.numpy() for variable in model.variables), strict=True)
    )
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [
        0.5,
        0.5,
    ]
    assert probe(model, pixels) == first


@pytest.mark.parametrize("arch", ["vgg11_bn", "vgg19_bn"])
def test_batch_normalization_uses_the_moments_of_the_batch_as_in_training(pixels, arch):
    # With a fresh network's moments of 0 and 1, the input's scale of 80 would reach the logits.
    # The loss would be in the hundreds.
    found = probe(net(arch), pixels)
    assert not found.fatal
    assert found.scales["block5_conv1"] == pytest.approx(0.7, abs=0.1), (
        "half a Gaussian of variance 1 passes a ReLU"
    )


def test_the_check_uses_only_eight_images(pixels):
    model = chain((3,))
    more = np.concatenate([pixels, np.zeros_like(pixels)])
    assert probe(model, more).scales == probe(model, pixels).scales


@pytest.mark.parametrize(("std", "gain"), [(0.1, 4.8), (0.01, 0.48)])
def test_a_gaussian_scales_the_signal_by_std_times_the_root_of_half_the_inputs(pixels, std, gain):
    # He et al. 2015: sqrt(4608 / 2) * 0.1 = 4.8 for 512 channels. In a map of 8 x 8, (3 - 2 / 8)^2
    # of 9 inputs are not padding.
    name = {0.1: "paper", 0.01: "gaussian"}[std]
    scales = probe(
        chain((3,), (3,), (3,), (3, 3, 3), width=1.0, head_width=16, initializer=name), pixels
    ).scales
    inside = (3 - 2 / 8) / 3
    assert scales["block4_conv3"] / scales["block4_conv2"] == pytest.approx(gain * inside, rel=0.1)


@pytest.mark.parametrize(
    ("initializer", "std", "verdict", "fatal"),
    [
        ("paper", None, r"explodes at block[34]_conv\d: first loss", True),
        ("gaussian", None, r"vanishes at block1_conv2: logits of std", False),
        ("glorot", None, "ok: first loss 2", False),
        ("he", None, "logits too large", True),
        ("he", (58.0, 57.0, 57.0), "(ok|large loss)", False),
        ("torchvision", None, "ok", False),
        ("auto", None, "ok", False),
        ("auto", (58.0, 57.0, 57.0), "(ok|large loss)", False),
    ],
)
def test_each_initializer_gets_the_verdict_of_theory_and_practice(
    small_pixels, initializer, std, verdict, fatal
):
    # Half the width and a head of 512, as the effect depends on the number of inputs.
    shape = {"input_shape": (32, 32, 3), "width": 0.5, "head_width": 512}
    found = probe(net("vgg13", **shape, initializer=initializer, std=std), small_pixels)
    assert found.fatal == fatal == (found.loss > LOSS_LIMIT)
    assert re.match(verdict, found.verdict), found.verdict


def test_the_verdict_on_nan_names_the_first_layer_with_it(pixels):
    model = chain((3,), (3,), (3,))
    layer = model.get_layer("block3_conv1")
    layer.kernel.assign(np.full(layer.kernel.shape, np.nan))
    found = probe(model, pixels)
    assert found.fatal
    assert found.verdict == "NaN or infinity from block3_conv1 on"


def test_kernels_have_the_std_that_the_paper_and_torchvision_state():
    # Section 3.1: variance 1e-2. torchvision: 2 / (9 * outputs) for convolutions. Tolerance: at
    # least 147,456 draws.
    for name, expected in (
        ("paper", 0.1),
        ("gaussian", 0.01),
        ("torchvision", math.sqrt(2 / (9 * 128))),
    ):
        kernel = (
            chain((3,), (3, 3), width=1.0, initializer=name, seed=0)
            .get_layer("block2_conv2")
            .kernel.numpy()
        )
        assert kernel.std() == pytest.approx(expected, rel=0.02)
        assert abs(kernel.mean()) < 0.01 * expected


def test_a_named_initializer_sets_every_kernel_also_of_the_last_layer():
    model = chain((3,), initializer="paper", width=1.0, head_width=512, classes=100)
    assert model.get_layer("predictions").kernel.numpy().std() == pytest.approx(0.1, rel=0.02)
    assert model.get_layer("fc2").kernel.numpy().std() == pytest.approx(0.1, rel=0.02)
    assert all(not layer.bias.numpy().any() for layer in model.layers if hasattr(layer, "kernel"))


def test_the_error_of_an_unknown_initializer_lists_the_known_ones():
    with pytest.raises(
        ValueError,
        match=r"one of: auto, paper, gaussian, glorot, he, torchvision, dirac, or the name of a",
    ):
        find_initialization("magic", standardized=False)
    assert all(row.source for row in INITIALIZERS.values())


def test_throughput_counts_the_images_after_the_first_step_until_the_time_is_up(pixels):
    scores = drop_softmax(chain((3,)))
    compile_scores(scores)
    asked = []

    def batches():
        for i in range(1000):
            asked.append(i)
            yield pixels, np.zeros(8, np.int32)

    speed = measure_throughput(scores, batches(), seconds=0.2)
    assert 3 <= len(asked) < 1000
    # All steps but the first are in the measured time; the last one may exceed it.
    assert 8 * (len(asked) - 1) / speed >= 0.2
