"""The networks are those of Table 1, fed with raw RGB."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vgg_tf.architectures import ARCHITECTURES, architecture
from vgg_tf.network import IMAGENET_MEAN, LocalResponseNormalization, build_vgg


def tiny(arch="vgg11", **options):
    return build_vgg(arch, **{"input_shape": (32, 32, 3), "classes": 5, "width": 0.125, "head_width": 16, "seed": 1} | options)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def test_the_table_has_the_six_nets_and_their_batch_norm_forms():
    assert list(ARCHITECTURES) == [
        "vgg11", "vgg11_lrn", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16c", "vgg16c_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
    ]  # fmt: skip
    assert [ARCHITECTURES[name].weight_layers for name in ("vgg11", "vgg13", "vgg16c", "vgg16", "vgg19")] == [
        11,
        13,
        16,
        16,
        19,
    ]
    assert [ARCHITECTURES[name].column for name in ("vgg11", "vgg11_lrn", "vgg13", "vgg16c", "vgg16", "vgg19")] == [
        "A", "A-LRN", "B", "C", "D", "E",
    ]  # fmt: skip


def test_an_unknown_architecture_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"No architecture 'vgg17'. Known: vgg11, vgg11_lrn, .*vgg19_bn"):
        architecture("vgg17")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_layer_names_are_those_of_keras_and_weight_layers_number_as_the_name_says(arch):
    model = tiny(arch)
    with_kernel = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    assert len(with_kernel) == architecture(arch).weight_layers
    assert with_kernel[-3:] == ["fc1", "fc2", "predictions"]
    convs = [f"block{i}_conv{j}" for i, k in enumerate(architecture(arch).kernels, 1) for j in range(1, len(k) + 1)]
    assert with_kernel[:-3] == convs
    assert [layer.name for layer in model.layers if layer.name.endswith("_pool")] == [f"block{i}_pool" for i in range(1, 6)]


def test_vgg16_has_the_layer_names_and_shapes_of_keras_applications():
    ours = {w.path: tuple(w.shape) for w in build_vgg("vgg16", input_shape=(32, 32, 3), include_top=False).weights}
    theirs = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), include_top=False)
    assert ours == {w.path: tuple(w.shape) for w in theirs.weights}


def test_with_the_weights_of_keras_applications_the_features_are_theirs():
    # keras.applications takes what preprocess_input gives: BGR minus the mean. Our input is raw RGB, so the first kernel's
    # input channels are turned round. Tolerance: float32 sums in another order.
    theirs = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), include_top=False)
    ours = build_vgg("vgg16", input_shape=(32, 32, 3), include_top=False)
    weights = theirs.get_weights()
    ours.set_weights([weights[0][:, :, ::-1], *weights[1:]])
    images = noise(2, 32, 32, 3)
    expected = theirs.predict(keras.applications.vgg16.preprocess_input(images.copy()), verbose=0)
    np.testing.assert_allclose(ours.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_uint8_and_a_float_image_give_the_same_scores():
    model, images = tiny(), noise(2, 32, 32, 3).round()
    np.testing.assert_array_equal(model(images), model(images.astype(np.uint8)))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_mean_is_subtracted_in_float32_under_every_policy(policy):
    # bfloat16 would lose up to half a grey level of 200.3, which is not a whole number.
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


def test_the_mean_of_imagenet_is_the_default():
    model = build_vgg("vgg11", input_shape=(32, 32, 3), width=0.1, include_top=False)
    inside = keras.Model(model.input, model.get_layer("normalize").output)
    np.testing.assert_allclose(inside(np.broadcast_to(np.float32(IMAGENET_MEAN), (1, 32, 32, 3))), 0, atol=1e-4)


def test_lrn_equals_alexnets_formula_written_out():
    x = noise(2, 3, 3, 8)
    expected = np.empty_like(x)
    for i in range(8):
        total = (x[..., max(0, i - 2) : i + 3].astype(np.float64) ** 2).sum(-1)
        expected[..., i] = x[..., i] / (2 + 1e-4 * total) ** 0.75
    np.testing.assert_allclose(LocalResponseNormalization()(x), expected, rtol=1e-5)


def test_lrn_equals_tensorflows_own():
    x = noise(2, 3, 3, 8)
    expected = tf.nn.lrn(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)
    np.testing.assert_allclose(LocalResponseNormalization()(x), expected, rtol=1e-4)


def test_lrn_in_half_precision_does_not_overflow():
    # 300 squared is beyond float16. Tolerance: float16 has 11 bits.
    x = np.full((1, 1, 1, 8), 300, np.float16)
    result = LocalResponseNormalization(dtype="float16")(x)
    assert result.dtype == "float16"
    np.testing.assert_allclose(result, LocalResponseNormalization()(x.astype(np.float32)), rtol=2e-3)


def test_a_lrn_has_one_lrn_after_the_first_convolution():
    names = [layer.name for layer in tiny("vgg11_lrn").layers]
    assert [name for name in names if "lrn" in name] == ["block1_lrn"]
    assert names.index("block1_lrn") == names.index("block1_conv1") + 1


def test_configuration_c_keeps_the_size_of_its_maps_at_the_1x1_convolutions():
    model = tiny("vgg16c")
    for block, side in ((3, 8), (4, 4), (5, 2)):
        layer = model.get_layer(f"block{block}_conv3")
        assert layer.kernel_size == (1, 1)
        assert layer.output.shape[1:3] == (side, side)


@pytest.mark.parametrize("arch", ["vgg11", "vgg16_bn"])
def test_the_dense_head_on_one_crop_equals_the_fc_head(arch):
    options = {"input_shape": (64, 64, 3), "classifier_activation": None}
    fc, dense = tiny(arch, **options), tiny(arch, dense=True, **options)
    dense.set_weights([w.reshape(v.shape) for w, v in zip(fc.get_weights(), dense.weights, strict=True)])
    images = noise(2, 64, 64, 3)
    scores = fc.predict(images, verbose=0)
    assert scores.std() > 1e-3
    np.testing.assert_allclose(dense.predict(images, verbose=0)[:, 0, 0], scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("sides", "positions"), [((64, 64), (1, 1)), ((64, 96), (1, 2)), ((127, 160), (2, 4))])
def test_the_dense_map_has_floor_of_side_by_32_less_crop_by_32_less_one_positions_a_side(sides, positions):
    dense = tiny(dense=True, input_shape=(64, 64, 3))
    assert dense(noise(1, *sides, 3)).shape == (1, *positions, 5)


def test_a_dense_position_equals_the_fc_head_on_its_window_of_the_last_map():
    fc, dense = tiny(input_shape=(64, 64, 3), classifier_activation=None), tiny(dense=True, input_shape=(64, 64, 3))
    dense.set_weights([w.reshape(v.shape) for w, v in zip(fc.get_weights(), dense.weights, strict=True)])
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
def test_without_the_head_pooling_takes_mean_or_maximum_of_the_last_map(pooling):
    pooled, plain = tiny(include_top=False, pooling=pooling), tiny(include_top=False)
    plain.set_weights(pooled.get_weights())
    images = noise(2, 64, 64, 3)
    options = {"input_shape": (None, None, 3), "include_top": False}
    maps = tiny(**options)
    maps.set_weights(pooled.get_weights())
    expected = {"avg": np.mean, "max": np.max}[pooling](maps.predict(images[:, :32, :32], verbose=0), axis=(1, 2))
    np.testing.assert_allclose(pooled.predict(images[:, :32, :32], verbose=0), expected, rtol=1e-5)
    assert maps(images).shape == (2, 2, 2, 64)


def test_the_penalty_pulls_each_kernel_by_l2_times_the_kernel_and_no_bias():
    model = tiny("vgg11_bn", l2=5e-4)
    with tf.GradientTape() as tape:
        loss = tf.add_n(model.losses)
    for variable, gradient in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True):
        if variable.name == "kernel":
            np.testing.assert_allclose(gradient, 5e-4 * variable.numpy(), rtol=1e-5)
        else:
            assert gradient is None


def test_softmax_of_the_scores_is_the_posterior():
    scores, posteriors = tiny(classifier_activation=None), tiny()
    posteriors.set_weights(scores.get_weights())
    images = noise(3, 32, 32, 3)
    values = np.exp(scores.predict(images, verbose=0).astype(np.float64))
    expected = values / values.sum(1, keepdims=True)
    np.testing.assert_allclose(posteriors.predict(images, verbose=0), expected, rtol=1e-5)


def test_dropout_acts_on_the_outputs_of_fc1_and_fc2():
    model = tiny(dropout=0.25)
    names = [layer.name for layer in model.layers]
    for layer in ("fc1", "fc2"):
        assert names[names.index(layer) + 1] == f"{layer}_dropout"
        assert model.get_layer(f"{layer}_dropout").rate == 0.25


def test_the_same_seed_gives_the_same_weights_and_every_layer_its_own():
    first, second, other = tiny(seed=3), tiny(seed=3), tiny(seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])
    same = tiny("vgg19", seed=3)
    assert not np.array_equal(same.get_layer("block3_conv2").kernel, same.get_layer("block3_conv3").kernel)


@pytest.mark.parametrize("arch", ["vgg11", "vgg16", "vgg19"])
@pytest.mark.parametrize("std", [None, (58.0, 57.0, 57.0)])
def test_the_default_initialiser_starts_near_the_loss_of_guessing(arch, std):
    # paper.md 2b: the paper's std 0.1 starts at 1e8. Narrow nets spread more than full ones, hence a loss within 2.
    model = tiny(arch, std=std, width=0.5, head_width=256, classifier_activation=None)
    scores = model.predict(noise(8, 32, 32, 3), verbose=0).astype(np.float64)
    assert scores.std() > 1e-3, "the signal has died on the way"
    loss = (np.log(np.exp(scores).sum(1)) - scores.mean(1)).mean()
    assert abs(loss - np.log(5)) < 2


def test_a_saved_model_loads_and_answers_the_same(tmp_path):
    model = tiny("vgg11_lrn", std=(50.0, 60.0, 70.0))
    model.save(tmp_path / "m.keras")
    images = noise(2, 32, 32, 3)
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "m.keras")(images), model(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "vgg17"}, "Known: vgg11"),
        ({"input_shape": (None, None, 3)}, "fixed input_shape"),
        ({"input_shape": (31, 32, 3)}, "at least 32 pixels"),
        ({"input_shape": (32, 32)}, "3 channels for RGB"),
        ({"include_top": False, "pooling": "sum"}, 'pooling is None, "avg" or "max"'),
        ({"classifier_activation": "relu"}, "classifier_activation is"),
        ({"include_top": False, "dense": True}, "needs include_top=True"),
        ({"classes": 0}, "positive number"),
        ({"initializer": "magic"}, "No initializer 'magic'. Known: auto, paper"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)
