"""The layers for CPUs compute the outputs and gradients of Keras' layers, on the same variables."""

import functools
import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from vgg_tf import build_vgg
from vgg_tf.models import cpu_layers, cpu_products
from vgg_tf.models.cpu_layers import (
    FILTERS,
    FusedBatchNormalization,
    ProductConvolution,
    make_faster,
)
from vgg_tf.models.cpu_products import convolve
from vgg_tf.training.optimizers import SGD

STATISTICS = {"mean": (120.0, 115.0, 100.0), "std": (60.0, 60.0, 60.0)}


ROWS, WINDOWS, OFFSETS = ((4, 4), 4), ((4, 5), 2), ((31, 29), 2)  # a case of each kind of product


@pytest.mark.parametrize(
    ("shape", "products", "dtype"),
    [(*case, "float32") for case in (ROWS, WINDOWS, OFFSETS)]
    + [(*case, dtype) for case in (ROWS, WINDOWS, OFFSETS) for dtype in ("bfloat16", "float16")]
    + [(shape, 2, "float32") for shape in ((1, 1), (1, 4), (2, 2), (3, 2), (4, 4), (7, 7), (8, 8))]
    + [(shape, 4, "float32") for shape in ((1, 4), (3, 2), (4, 5))]  # as on CPUs with AMX
    + [
        (shape, 2, "float32") for shape in ((1, 29), (29, 1), (2, 30))
    ],  # by offsets, like large maps on CPUs with AVX2 only
)
def test_a_convolution_and_its_gradients_equal_those_of_tensorflow(
    shape, products, dtype, monkeypatch
):
    monkeypatch.setattr(cpu_products, "find_products_side", lambda: products)
    random = np.random.default_rng(0)
    x = tf.cast(random.normal(size=(3, *shape, 5)), dtype)
    kernel = tf.cast(random.normal(size=(3, 3, 5, 6)), dtype)
    upstream = tf.cast(random.normal(size=(3, *shape, 6)), dtype)

    def outcome(function):
        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            y = function(x, kernel)
        return [y, *tape.gradient(y, (x, kernel), upstream)]

    found = outcome(convolve)
    graph = found
    if dtype == "float32" and (shape, products) in (ROWS, WINDOWS, OFFSETS):
        graph = tf.function(lambda: outcome(convolve))()
    exact = [tf.cast(value, tf.float64) for value in (x, kernel)]
    x, kernel, upstream = *exact, tf.cast(upstream, tf.float64)
    expected = outcome(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"))
    size = {"float32": 1e-5, "bfloat16": 3e-2, "float16": 4e-3}[
        dtype
    ]  # sums of 45 to 2,697 products, each of order 1
    for values, of_graph, reference in zip(found, graph, expected, strict=True):
        assert values.dtype == dtype
        np.testing.assert_allclose(
            tf.cast(values, tf.float64), reference, rtol=size, atol=size * np.abs(reference).max()
        )
        np.testing.assert_allclose(
            tf.cast(of_graph, tf.float64), tf.cast(values, tf.float64), rtol=size, atol=size
        )


def networks(arch, **options):
    model = build_vgg(
        arch,
        input_shape=(32, 32, 3),
        classes=7,
        l2=1e-3,
        dropout=0.0,
        seed=0,
        **STATISTICS,
        **options,
    )
    scores = keras.Model(model.input, model.get_layer("predictions").output)
    return scores, make_faster(scores)


def gradients(scores, images, labels):
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(
            labels, scores(images, training=True), from_logits=True
        )
        loss = tf.reduce_mean(loss) + sum(scores.losses)
    return loss, tape.gradient(loss, [variable.value for variable in scores.trainable_variables])


@pytest.mark.parametrize(
    ("arch", "width"), [("vgg16c", 0.5), ("vgg11_bn", 0.5), ("vgg11_lrn", 0.125)]
)
def test_outputs_gradients_and_moving_moments_of_a_network_equal_those_of_keras(arch, width):
    plain, fast = networks(arch, width=width)
    swapped = {type(layer) for layer in fast.layers} & {ProductConvolution, FusedBatchNormalization}
    assert swapped == {ProductConvolution, *([FusedBatchNormalization] * arch.endswith("_bn"))}
    assert [a is b for a, b in zip(plain.variables, fast.variables, strict=True)].count(False) == 0
    random = np.random.default_rng(0)
    images, labels = (
        random.integers(0, 256, (6, 32, 32, 3)).astype("float32"),
        random.integers(0, 7, 6),
    )
    fresh = [variable.numpy() for variable in plain.variables]
    outcomes = []
    for network in (plain, fast):
        for variable, value in zip(plain.variables, fresh, strict=True):
            variable.assign(value)
        loss, found = gradients(network, images, labels)
        moments = [variable.numpy() for variable in network.non_trainable_variables]
        outcomes.append(
            ([loss.numpy()], [value.numpy() for value in found], moments, [network(images).numpy()])
        )
    for expected, found in zip(*map(itertools.chain.from_iterable, outcomes), strict=True):
        np.testing.assert_allclose(
            found, expected, rtol=1e-4, atol=2e-5 * max(1, np.abs(expected).max())
        )


def test_frozen_layers_keep_weights_and_moments():
    _, fast = networks("vgg11_bn", width=0.125, freeze_until="block5")
    names = [variable.path for variable in fast.trainable_variables]
    assert names[0].startswith("block5_conv1")
    before = {v.path: v.numpy() for v in fast.variables}
    fast.compile("sgd", "mse", run_eagerly=True)
    fast.train_on_batch(np.ones((2, 32, 32, 3)), np.ones((2, 7)))
    changed = {v.path for v in fast.variables if (v.numpy() != before[v.path]).any()}
    assert changed
    assert all(path.startswith(("block5", "fc", "predictions")) for path in changed)


def test_a_network_trained_with_faster_layers_is_saved_with_those_of_keras(tmp_path):
    model = build_vgg(
        "vgg11_bn", input_shape=(32, 32, 3), classes=7, width=0.125, seed=0, **STATISTICS
    )
    fast = make_faster(keras.Model(model.input, model.get_layer("predictions").output))
    fast.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True
    )
    fast.train_on_batch(np.ones((2, 32, 32, 3)), np.array([1, 2]))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert {type(layer).__module__.split(".")[0] for layer in again.layers} == {"keras"}
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("float32")
    scores = keras.Model(again.input, again.get_layer("predictions").output)
    np.testing.assert_allclose(scores(images), fast(images), rtol=1e-4, atol=1e-5)


@functools.cache
def large():
    """Return an untrained network for 224 pixels, of full width."""
    return build_vgg("vgg11", input_shape=(224, 224, 3), classes=7, head_width=8)


def test_large_maps_use_matrix_products_on_cpus_with_avx2_only(monkeypatch):
    monkeypatch.setattr(cpu_layers, "find_large_side", lambda: 56)
    others = {
        layer.name
        for layer in make_faster(large()).layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    assert others == {"block1_conv1"}  # 3 channels
    dense = build_vgg(
        "vgg11", input_shape=(224, 224, 3), classes=7, head_width=8, dense=True
    )  # of unknown sides
    assert not any(isinstance(layer, ProductConvolution) for layer in make_faster(dense).layers)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_vgg("vgg11", input_shape=(224, 224, 3), classes=7, head_width=8)
    finally:
        keras.config.set_dtype_policy("float32")
    others = {
        layer.name for layer in make_faster(model).layers if isinstance(layer, keras.layers.Conv2D)
    }
    assert others == {"block1_conv1", "block2_conv1", "block3_conv1", "block3_conv2"}


def test_large_maps_few_filters_and_strategies_keep_the_layers_of_keras(monkeypatch):
    monkeypatch.setattr(cpu_layers, "find_large_side", lambda: math.inf)
    kinds = {layer.name: type(layer) for layer in make_faster(large()).layers}
    products = {name for name, kind in kinds.items() if kind is ProductConvolution}
    assert products == {f"block{block}_conv{i}" for block in (4, 5) for i in (1, 2)}
    narrow = build_vgg("vgg11", input_shape=(64, 64, 3), classes=7, width=(FILTERS - 1) / 512)
    kinds = {
        layer.name for layer in make_faster(narrow).layers if type(layer) is ProductConvolution
    }
    assert kinds == {"block5_conv1", "block5_conv2"}  # maps of 4 pixels
    dense = build_vgg("vgg11", input_shape=(32, 32, 3), classes=7, width=0.125, dense=True)
    assert not any(isinstance(layer, ProductConvolution) for layer in make_faster(dense).layers)
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        assert make_faster(large()) is large()


def apply(optimizer, variable, gradient):
    optimizer.apply([gradient], [variable])


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("accumulate", [None, 2])
def test_sgd_takes_the_steps_of_keras_sgd(nesterov, accumulate):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(40, 3)), random.normal(size=(6, 40, 3))
    found = []
    for kind in (keras.optimizers.SGD, SGD):
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.3, 0.1])
        optimizer = kind(
            rate,
            0.9,
            nesterov,
            gradient_accumulation_steps=accumulate,
            use_ema=accumulate is None,  # Keras moves its averages at each part of a batch
            ema_momentum=0.5,
        )
        variable = keras.Variable(start, dtype="float32")
        optimizer.build([variable])
        step = tf.function(functools.partial(apply, optimizer, variable))
        for gradient in gradients:
            step(tf.constant(gradient, tf.float32))
        found.append([value.numpy() for value in (variable, *optimizer.variables)])
    for mine, keras_ in zip(*found, strict=True):
        np.testing.assert_allclose(mine, keras_, rtol=1e-6, atol=1e-6)
