"""Muon's steps match a singular value decomposition in numpy, and need trainable convolutions."""

import dataclasses
import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.making import shallow
from vgg_tf.paper.presets import choose_recipe
from vgg_tf.paper.recipes import Recipe, from_json, to_json
from vgg_tf.training import optimizers
from vgg_tf.training.model import build, make_optimizer
from vgg_tf.training.optimizers import SGD


def turned(matrix):
    """Apply the polynomial three times to the singular values divided by the norm."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values = values / np.linalg.norm(values)
    for _ in range(3):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return (left * values) @ right


@pytest.mark.parametrize("shape", [(9, 16), (16, 16), (72, 16), (72, 1)])
def test_orthogonalize_keeps_singular_vectors_and_moves_the_values_near_one(shape):
    matrix = np.random.default_rng(0).normal(size=shape)
    found = optimizers.orthogonalize(tf.constant(matrix, tf.float32)).numpy()
    np.testing.assert_allclose(found, turned(matrix), atol=1e-5)  # float32 over ten products
    values = np.linalg.svd(found, compute_uv=False)
    assert np.median(values) > 0.6
    assert values.max() < 1.3


def test_orthogonalize_in_bfloat16_differs_only_by_rounding():
    matrix = np.random.default_rng(0).normal(size=(72, 16))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = optimizers.orthogonalize(tf.constant(matrix, tf.float32)).numpy()
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.linalg.norm(found - turned(matrix)) < 0.06 * np.linalg.norm(
        found
    )  # eight bits, enlarged by the polynomial


def apply(optimizer, variables, gradients):
    optimizer.apply(list(gradients), variables)


@pytest.mark.parametrize("accumulate", [None, 2])
def test_muon_updates_convolution_kernels_and_sgd_all_other_variables(accumulate):
    random = np.random.default_rng(0)
    shapes = (3, 3, 8, 4), (4,), (4, 5)
    starts, gradients = ([random.normal(size=shape) for shape in shapes] for _ in range(2))
    parts = accumulate or 1
    rates = [0.3, 0.1, 0.1]
    variables = []
    for kind in (functools.partial(optimizers.Muon, share=0.5), SGD):
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([parts - 1], rates[:2])
        optimizer = kind(rate, momentum=0.9, nesterov=True, gradient_accumulation_steps=accumulate)
        variables.append([keras.Variable(start, dtype="float32") for start in starts])
        optimizer.build(variables[-1])
        step = tf.function(functools.partial(apply, optimizer, variables[-1]))
        for i in range(3):
            for part in (0.5, 1.5) if accumulate else (1.0,):  # of a mean of 1
                step([tf.constant((1 + i) * part * gradient, tf.float32) for gradient in gradients])
    (kernel, *others), (_, *expected) = variables
    for mine, sgds in zip(others, expected, strict=True):
        np.testing.assert_array_equal(mine.numpy(), sgds.numpy())
    w, velocity = starts[0], 0.0
    for i, rate in enumerate(rates):
        gradient = (1 + i) * gradients[0]
        velocity = 0.6 * velocity + gradient
        norm = np.linalg.norm(w)
        scaled = norm * np.exp(-rate * (gradient * w).sum() / norm**2)
        w = 2 * w / norm  # four filters: the root is 2
        w = w - 0.5 * rate * turned((gradient + 0.6 * velocity).reshape(72, 4)).reshape(w.shape)
        w = w * scaled / np.linalg.norm(w)
    np.testing.assert_allclose(kernel.numpy(), w, atol=1e-5)


def test_the_norm_changes_as_in_a_step_of_sgd_along_the_kernel():
    random = np.random.default_rng(0)
    start, gradient = random.normal(size=(2, 3, 3, 8, 4))
    along = (gradient * start).sum() / (start**2).sum() * start
    norms = []
    for optimizer, g in (
        (optimizers.Muon(1e-3, share=1.0, momentum=0.9), gradient),
        (keras.optimizers.SGD(1e-3), along),
    ):
        kernel = keras.Variable(start, dtype="float32")
        optimizer.apply([tf.constant(g, tf.float32)], [kernel])
        norms.append(np.linalg.norm(kernel.numpy()))
    assert abs(norms[1] - np.linalg.norm(start)) > 1e-4
    assert norms[0] == pytest.approx(norms[1], abs=5e-6)  # float32's rounding of a norm of 17


@pytest.mark.parametrize(("factor", "expected"), [(1e6, np.exp(-1)), (-1e6, np.e)])
def test_a_huge_gradient_scales_the_norm_of_a_kernel_by_at_most_e(factor, expected):
    start = np.random.default_rng(0).normal(size=(3, 3, 8, 4))
    kernel = keras.Variable(start, dtype="float32")
    optimizers.Muon(0.1, share=1.0, momentum=0.9).apply(
        [tf.constant(factor * start, tf.float32)], [kernel]
    )
    assert np.linalg.norm(kernel.numpy()) == pytest.approx(
        expected * np.linalg.norm(start), rel=1e-5
    )


def test_a_recipe_selects_muon_and_requires_a_momentum():
    recipe = dataclasses.replace(choose_recipe("cifar", "vgg16_bn"), muon=0.05)
    optimizer = make_optimizer(recipe, 10)
    assert optimizer.share == 0.05 / recipe.learning_rate
    assert type(make_optimizer(choose_recipe("cifar", "vgg16_bn"), 10)) is SGD
    for wrong in (-0.1, 1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="--muon must be from 0 to below 1"):
            Recipe(muon=wrong)
    with pytest.raises(
        ValueError, match="--momentum must be from 0 to below 1, above 0 with --muon"
    ):
        Recipe(muon=0.1, momentum=0.0)


@pytest.mark.parametrize("arch", ["shallow", "shallow_bn"])
def test_only_kernels_of_sgd_have_weight_decay_and_a_frozen_trunk_is_refused(arch):
    recipe = dataclasses.replace(
        choose_recipe("cifar", arch), muon=0.05, l2=0.1, width=0.1, head_width=8
    )
    collection = types.SimpleNamespace(classes=["a", "b"], mean_rgb=(0.0,) * 3, std_rgb=(1.0,) * 3)
    with shallow(((3,), (), (), (), (3,))):
        model = build(arch, dataclasses.replace(recipe, freeze_until="block5"), collection)
        with pytest.raises(
            ValueError, match=f"--muon needs a trainable convolution. Received: none in {arch}"
        ):
            build(arch, dataclasses.replace(recipe, freeze_until="fc1"), collection)
    heads = [model.get_layer(name).kernel.numpy() for name in ("fc1", "fc2", "predictions")]
    # Frozen kernels of blocks 1 to 4 have no decay either, as without Muon.
    assert float(sum(model.losses)) == pytest.approx(
        0.05 * sum((kernel**2).sum() for kernel in heads), rel=1e-5
    )


@pytest.mark.parametrize(("gradient", "most"), [(0.0, 0.0), (1.0, 1e-5)])
def test_a_kernel_of_zeros_stays_finite(gradient, most):
    optimizer, kernel = (
        optimizers.Muon(0.1, share=1.0, momentum=0.9),
        keras.Variable(np.zeros((3, 3, 4, 4)), dtype="float32"),
    )
    for _ in range(3):
        optimizer.apply([gradient * tf.ones(kernel.shape)], [kernel])
    assert np.abs(kernel.numpy()).max() <= most


def test_recipes_without_muon_are_read_as_sgd():
    written = to_json(Recipe(muon=0.1))
    assert written.pop("muon") == 0.1
    assert from_json(written).muon == 0


def run_sgd(starts, gradients, parts=1, **options):
    """Apply the gradients of each update in `parts` unequal parts, and return the optimizer."""
    optimizer = SGD(0.1, gradient_accumulation_steps=parts if parts > 1 else None, **options)
    variables = [keras.Variable(start, dtype="float32") for start in starts]
    optimizer.build(variables)
    for update in gradients:
        for part in (0.5, 1.5) if parts > 1 else (1.0,):  # of a mean of 1
            optimizer.apply([tf.constant(part * g, tf.float32) for g in update])
    return optimizer, variables


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("limit", [0.5, 1e3])
def test_a_gradient_is_shortened_to_the_norm_of_all_weights_together(parts, limit):
    random = np.random.default_rng(0)
    starts, first, second = (
        [random.normal(size=shape) for shape in [(3, 4), (4,)]] for _ in range(3)
    )
    _, found = run_sgd(starts, [first, second], parts, momentum=0.9, global_clipnorm=limit)
    weights, speeds = starts, [0.0, 0.0]
    for update in (first, second):
        norm = np.sqrt(sum((g**2).sum() for g in update))
        assert (norm > limit) == (limit < 1)
        update = [g * min(1.0, limit / norm) for g in update]
        speeds = [0.9 * v - 0.1 * g for v, g in zip(speeds, update, strict=True)]
        weights = [w + v for w, v in zip(weights, speeds, strict=True)]
    for variable, expected in zip(found, weights, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("parts", [1, 2])
def test_the_average_moves_once_per_update_and_starts_at_the_first(parts):
    gradients = [[np.full(2, 1.0 + i)] for i in range(4)]
    optimizer, _ = run_sgd([np.zeros(2)], gradients, parts, use_ema=True, ema_momentum=0.6)
    weight, average = 0.0, None
    for ((gradient, _),) in gradients:
        weight -= 0.1 * gradient
        average = weight if average is None else 0.6 * average + 0.4 * weight
    (found,) = optimizer._model_variables_moving_average
    np.testing.assert_allclose(found.numpy(), average, rtol=1e-6)
