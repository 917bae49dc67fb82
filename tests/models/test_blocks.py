"""Input, trunk and head compute what the paper and the arguments specify."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.making_networks import answer, noise, tiny
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper.architectures import IMAGENET_MEAN


def test_a_uint8_and_a_float_image_give_the_same_probabilities():
    model, images = tiny(), noise(2, 32, 32, 3).round()
    np.testing.assert_array_equal(model(images), model(images.astype(np.uint8)))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_mean_is_subtracted_in_float32_under_every_policy(policy):
    # 200.3 is not an integer; bfloat16 would lose up to half a gray level of it.
    keras.config.set_dtype_policy(policy)
    try:
        model = tiny(mean=(123.68, 116.779, 103.939), std=(58.4, 57.1, 57.4))
    finally:
        keras.config.set_dtype_policy("float32")
    inside = keras.Model(model.input, model.get_layer("normalize").output)
    image = np.full((1, 32, 32, 3), 200.3, np.float32)
    expected = (image - np.float32([123.68, 116.779, 103.939])) / np.float32([58.4, 57.1, 57.4])
    result = inside(image)
    assert result.dtype == "float32"
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert model(image).dtype == "float32"


def test_the_default_mean_is_that_of_imagenet():
    model = build_vgg("vgg11", input_shape=(32, 32, 3), width=0.1, include_top=False)
    inside = keras.Model(model.input, model.get_layer("normalize").output)
    np.testing.assert_allclose(
        inside(np.broadcast_to(np.float32(IMAGENET_MEAN), (1, 32, 32, 3))), 0, atol=1e-4
    )


def test_1x1_convolutions_of_configuration_c_keep_the_size_of_the_map():
    model = tiny("vgg16c")
    for block, side in ((3, 8), (4, 4), (5, 2)):
        layer = model.get_layer(f"block{block}_conv3")
        assert layer.kernel_size == (1, 1)
        assert layer.output.shape[1:3] == (side, side)


def test_the_gradient_of_the_penalty_is_l2_times_each_kernel_and_none_for_biases():
    model = tiny("vgg11_bn", l2=5e-4)
    with tf.GradientTape() as tape:
        loss = tf.add_n(model.losses)
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        if variable.name == "kernel":
            np.testing.assert_allclose(gradient, 5e-4 * variable.numpy(), rtol=1e-5)
        else:
            assert gradient is None


@pytest.mark.parametrize("arch", ["vgg11", "vgg16_bn"])
def test_the_dense_head_on_one_crop_equals_the_fully_connected_head(arch):
    options = {"input_shape": (64, 64, 3), "classifier_activation": None}
    fc, dense = tiny(arch, **options), tiny(arch, dense=True, **options)
    dense.set_weights(
        [w.reshape(v.shape) for w, v in zip(fc.get_weights(), dense.weights, strict=True)]
    )
    images = noise(2, 64, 64, 3)
    scores = answer(fc, images)
    assert scores.std() > 1e-3
    np.testing.assert_allclose(answer(dense, images)[:, 0, 0], scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("sides", "positions"), [((64, 64), (1, 1)), ((64, 96), (1, 2)), ((127, 160), (2, 4))]
)
def test_the_dense_map_has_side_over_32_minus_crop_over_32_plus_1_positions(sides, positions):
    dense = tiny(dense=True, input_shape=(64, 64, 3))
    assert dense(noise(1, *sides, 3)).shape == (1, *positions, 5)


def test_a_dense_position_equals_the_fully_connected_head_on_its_window():
    fc, dense = (
        tiny(input_shape=(64, 64, 3), classifier_activation=None),
        tiny(dense=True, input_shape=(64, 64, 3)),
    )
    dense.set_weights(
        [w.reshape(v.shape) for w, v in zip(fc.get_weights(), dense.weights, strict=True)]
    )
    image = noise(1, 96, 128, 3)
    pool5 = keras.Model(dense.input, dense.get_layer("block5_pool").output)(image).numpy()
    w = {layer: fc.get_layer(layer).get_weights() for layer in ("fc1", "fc2", "predictions")}
    result = dense(image).numpy()
    assert result.shape == (1, 2, 3, 5)
    for i in range(2):
        for j in range(3):
            x = pool5[0, i : i + 2, j : j + 2].reshape(-1)
            for layer in ("fc1", "fc2"):
                x = np.maximum(x @ w[layer][0] + w[layer][1], 0)
            expected = x @ w["predictions"][0] + w["predictions"][1]
            np.testing.assert_allclose(result[0, i, j], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_without_the_head_pooling_returns_the_mean_or_maximum_of_the_last_map(pooling):
    pooled, plain = tiny(include_top=False, pooling=pooling), tiny(include_top=False)
    plain.set_weights(pooled.get_weights())
    images = noise(2, 64, 64, 3)
    options = {"input_shape": (None, None, 3), "include_top": False}
    maps = tiny(**options)
    maps.set_weights(pooled.get_weights())
    expected = {"avg": np.mean, "max": np.max}[pooling](
        answer(maps, images[:, :32, :32]), axis=(1, 2)
    )
    np.testing.assert_allclose(answer(pooled, images[:, :32, :32]), expected, rtol=1e-5)
    assert maps(images).shape == (2, 2, 2, 64)


def test_probabilities_are_the_softmax_of_the_logits():
    scores, posteriors = tiny(classifier_activation=None), tiny()
    posteriors.set_weights(scores.get_weights())
    images = noise(3, 32, 32, 3)
    values = np.exp(answer(scores, images).astype(np.float64))
    expected = values / values.sum(1, keepdims=True)
    np.testing.assert_allclose(answer(posteriors, images), expected, rtol=1e-5)


def test_dropout_follows_fc1_and_fc2():
    model = tiny(dropout=0.25)
    names = [layer.name for layer in model.layers]
    for layer in ("fc1", "fc2"):
        assert names[names.index(layer) + 1] == f"{layer}_dropout"
        assert model.get_layer(f"{layer}_dropout").rate == 0.25
