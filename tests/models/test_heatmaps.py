"""Heatmaps, features and receptive fields equal those computed by hand or by differences."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.making import QUICK, shallow
from tests.models.making_networks import IMAGE
from vgg_tf import build_vgg
from vgg_tf.models import heatmaps
from vgg_tf.models.heatmaps import (
    compute_features,
    compute_heat,
    find_receptive_field,
    read_filters,
)


def two_layers(kernel, weights):
    """Return a network: a 1x1 convolution to two channels, global mean, logits of two classes."""
    x = inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(
        inputs, keras.layers.Dense(2, use_bias=False, activation="softmax", name="scores")(x)
    )
    model.set_weights([np.float32(kernel).reshape(1, 1, 3, 2), np.float32(weights)])
    return model


# The first channel is red, the second is green. The logits are red minus half of green, and green.
BY_HAND = two_layers([[1, 0], [0, 1], [0, 0]], [[1, 0], [-0.5, 1]])
PICTURE = np.array([[[4, 0, 9], [2, 2, 9]], [[0, 8, 9], [0, 0, 9]]], np.float32)


def test_grad_cam_equals_a_computation_by_hand():
    # The derivative is w / 4 everywhere. So the map is red / 4 - green / 8, clipped at 0, with a
    # maximum of 1.
    found, label = compute_heat(BY_HAND, PICTURE, "conv", 0)
    np.testing.assert_allclose(found, [[1, (2 / 4 - 2 / 8) / 1], [0, 0]], atol=1e-6)
    assert label == 0
    found, label = compute_heat(BY_HAND, PICTURE, "conv")
    np.testing.assert_allclose(found, [[0, 2 / 8], [1, 0]], atol=1e-6)
    assert label == 1  # the mean of green is 2.5, that of red is 1.5


def test_grad_cam_plus_plus_equals_a_computation_by_hand():
    # Class 0: the red channel has g = 1/4 and the sum 6, so alpha = g^2 / (2 g^2 + 6 g^3) =
    # 1 / (2 + 6/4). The derivative of the green channel is below 0.
    found, _ = compute_heat(BY_HAND, PICTURE, "conv", 0, "grad-cam++")
    np.testing.assert_allclose(found, [[1, 0.5], [0, 0]], atol=1e-6)
    # Other weights, with two derivatives above 0: g = 1/4 and 1/2, and sums 6 and 10. So the alphas
    # are 1/3.5 and 1/7, and the weights are 4 alpha g.
    both = two_layers([[1, 0], [0, 1], [0, 0]], [[1, 0], [2, 0]])
    red, green = 4 / 3.5 / 4, 4 / 7 / 2
    expected = np.array([[4 * red, 2 * red + 2 * green], [8 * green, 0]])
    found, _ = compute_heat(both, PICTURE, "conv", 0, "grad-cam++")
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-6)


def test_saliency_equals_a_computation_by_hand():
    found, _ = compute_heat(BY_HAND, PICTURE, None, 0, "saliency")
    np.testing.assert_allclose(
        found, np.ones((2, 2))
    )  # 1/4 for red and 1/8 for green, at each pixel


def by_differences(model, image, label, step=0.5):
    """Return the largest derivative of the logit for each pixel, from finite differences."""
    to_scores = keras.Model(model.input, model.get_layer("predictions").output)
    moves = []
    for y, x, c in np.ndindex(4, 4, 3):
        for sign in (1, -1):
            moved = np.float32(image)
            moved[14 + y, 14 + x, c] += sign * step
            moves.append(moved)
    scores = to_scores(np.stack(moves)).numpy()[:, label].reshape(4, 4, 3, 2)
    return np.abs(scores[..., 0] - scores[..., 1]).max(-1) / (2 * step)


def test_saliency_equals_finite_differences():
    model = build_vgg(
        "vgg11_bn",
        input_shape=(32, 32, 3),
        classes=3,
        width=1 / 4,
        head_width=32,
        seed=0,
        std=(60, 60, 60),
    )
    found, label = compute_heat(model, IMAGE, method="saliency")
    slow = by_differences(model, IMAGE, label)
    part = found[14:18, 14:18]
    assert np.corrcoef(part.ravel(), slow.ravel())[0, 1] > 0.98  # a ReLU may switch within the step


def test_features_equal_the_outputs_of_a_keras_submodel():
    model = build_vgg(
        "vgg11_bn",
        input_shape=(32, 32, 3),
        classes=3,
        width=1 / 8,
        head_width=8,
        seed=0,
        std=(60, 60, 60),
    )
    expected = keras.Model(model.input, model.get_layer("block3_relu2").output)(
        np.float32(IMAGE)[np.newaxis]
    ).numpy()[0]
    np.testing.assert_allclose(compute_features(model, IMAGE, "block3_conv2"), expected, atol=1e-5)


# Known from the literature: layer, side, step.
FIELDS = [
    ("block1_conv2", 5, 1),
    ("block3_conv3", 40, 4),
    ("block5_conv3", 196, 16),
    ("block5_pool", 212, 32),
]


def test_receptive_fields_of_vgg16_have_the_known_sizes():
    model = build_vgg("vgg16", include_top=False, input_shape=(None, None, 3), width=1 / 16)
    for layer, side, step in FIELDS:
        field = find_receptive_field(model, layer)
        assert (field.side, field.step) == (side, step), layer


def test_pixels_outside_the_receptive_field_do_not_change_a_unit():
    model = build_vgg("vgg11", include_top=False, input_shape=(None, None, 3), width=1 / 8, seed=0)
    picture = np.random.default_rng(0).uniform(0, 255, (96, 96, 3)).astype(np.float32)
    before = compute_features(model, picture, "block3_conv2")
    xmin, ymin, xmax, ymax = find_receptive_field(model, "block3_conv2").of(12, 10)
    mask = np.zeros((96, 96, 1), bool)
    mask[ymin:ymax, xmin:xmax] = True
    outside = compute_features(model, np.where(mask, picture, 0), "block3_conv2")
    np.testing.assert_allclose(outside[12, 10], before[12, 10], atol=1e-4)
    mask[ymin] = False  # one row less
    assert (
        np.abs(
            compute_features(model, np.where(mask, picture, 0), "block3_conv2")[12, 10]
            - before[12, 10]
        ).max()
        > 1e-3
    )


def test_filters_are_scaled_around_gray():
    model = build_vgg("vgg11", input_shape=(32, 32, 3), width=1 / 16, classes=2, seed=0)
    found = read_filters(model)
    assert found.shape == (4, 3, 3, 3)
    kernel = model.get_layer("block1_conv1").kernel.numpy()
    np.testing.assert_allclose(
        found[1], 0.5 + kernel[..., 1] / np.abs(kernel[..., 1]).max() / 2, atol=1e-6
    )


def test_unknown_layers_labels_and_methods_raise_errors_that_list_the_known_ones():
    model = build_vgg(
        "vgg11", input_shape=(32, 32, 3), width=1 / 16, classes=2, head_width=8, seed=0
    )
    with pytest.raises(
        ValueError, match=r"Unknown layer 'conv9'. Expected one of: normalize, block1_conv1"
    ):
        compute_heat(model, IMAGE, "conv9")
    with pytest.raises(
        ValueError, match=r"Layer 'fc1' has no feature map. Expected one of: block1_conv1"
    ):
        compute_heat(model, IMAGE, "fc1")
    with pytest.raises(ValueError, match=r"must be from 0 to 1. Received: 2"):
        compute_heat(model, IMAGE, label=2)
    with pytest.raises(ValueError, match=r"Unknown method 'cam'. Expected one of: grad-cam"):
        compute_heat(model, IMAGE, method="cam")
    with pytest.raises(ValueError, match=r"accepts the image. Received: .* shape \(40, 40, 3\)"):
        compute_heat(model, np.zeros((40, 40, 3)))
    inputs = keras.Input((8, 8, 3))
    a = keras.layers.Conv2D(3, 1, name="a")(inputs)
    model = keras.Model(inputs, keras.layers.Add()([inputs, a]), name="fork")
    with pytest.raises(ValueError, match=r"fork must be a chain of layers"):
        compute_heat(model, np.zeros((8, 8, 3)))


@pytest.mark.slow
def test_jax_returns_the_same_heatmaps(tmp_path):
    with shallow(((3,), (3,), (3, 3), (), ())):
        model = build_vgg(
            "shallow_bn",
            input_shape=(32, 32, 3),
            width=1 / 8,
            classes=3,
            head_width=8,
            seed=0,
            std=(60,) * 3,
        )
    model.save(tmp_path / "a.keras")
    np.save(tmp_path / "image.npy", IMAGE)
    code = (
        "import keras, numpy as np, vgg_tf.models.vgg; from vgg_tf.models.heatmaps import "
        "METHODS, compute_heat;assert keras.config.backend() == 'jax'; model = "
        "keras.saving.load_model('a.keras');np.savez('maps.npz', **{m: compute_heat(model, "
        "np.load('image.npy'), 'block3_conv2', 1, m)[0] for m in METHODS})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "jax"} | QUICK,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    with np.load(tmp_path / "maps.npz") as maps:
        for method in heatmaps.METHODS:
            np.testing.assert_allclose(
                maps[method], compute_heat(model, IMAGE, "block3_conv2", 1, method)[0], atol=1e-4
            )
