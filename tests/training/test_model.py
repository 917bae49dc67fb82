"""The loss, optimizer and metrics follow the recipe, and batches fit the images."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.making import shallow
from tests.training.making_runs import RECIPE, collection, compiled, masked, pictures
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper.presets import choose_recipe, shrink
from vgg_tf.paper.recipes import Recipe
from vgg_tf.training.cross_entropy import make_cross_entropy
from vgg_tf.training.model import (
    StepPlan,
    build,
    compile_scores,
    drop_softmax,
    evaluate,
    make_optimizer,
    plan_steps,
)

pytestmark = pytest.mark.usefixtures("shallow_throughout")


def test_kernels_before_freeze_until_stay_constant_and_all_others_change():
    recipe = dataclasses.replace(RECIPE, freeze_until="block4")
    with shallow(((3,), (), (), (3,), (3,))):
        model = build("shallow", recipe, collection())
    start = {layer.name: layer.kernel.numpy() for layer in model.layers if layer.weights}
    compiled(model, recipe, 1).train_on_batch(*pictures(24))
    changed = [
        name
        for name, kernel in start.items()
        if not np.array_equal(kernel, model.get_layer(name).kernel)
    ]
    assert changed == ["block4_conv1", "block5_conv1", "fc1", "fc2", "predictions"]


def test_recipes_average_no_weights_with_batch_normalization():
    assert (
        choose_recipe("digits", "vgg16_bn").average == 0 < choose_recipe("digits", "vgg16").average
    )


def test_zero_outputs_are_refused_and_not_replaced_by_the_number_of_classes():
    with pytest.raises(ValueError, match="classes must be at least 1"):
        build("vgg11", RECIPE, collection(), outputs=0)


def test_evaluation_counts_every_image_once_for_any_batch_size():
    model = build_vgg(
        "shallow",
        input_shape=(32, 32, 3),
        classes=7,
        width=0.125,
        head_width=16,
        std=(50.0,) * 3,
        seed=1,
    )
    images, labels = pictures(11, seed=1)
    posteriors = model(images).numpy().astype(np.float64)
    order = np.argsort(-posteriors, axis=1)
    top1 = 100 * np.mean(order[:, 0] != labels)
    top5 = 100 * np.mean(
        [label not in row for label, row in zip(labels, order[:, :5], strict=True)]
    )
    loss = -np.log(posteriors[np.arange(11), labels]).mean()
    scores = drop_softmax(model)
    compile_scores(scores)
    for batch in (1, 3, 4, 11, 16):
        errors = evaluate(scores, masked(11, batch))
        np.testing.assert_allclose(
            [errors["top1_error"], errors["top5_error"]], [top1, top5], rtol=1e-5
        )
        np.testing.assert_allclose(errors["loss"], loss, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_cross_entropy_with_the_smoothed_target(smoothing):
    random = np.random.default_rng(0)
    scores, labels = random.normal(0, 3, (6, 4)), random.integers(0, 4, 6)
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    expected = -(target * (scores - np.log(np.exp(scores).sum(1, keepdims=True)))).sum(1)
    result = make_cross_entropy(smoothing)(labels[:, None], scores.astype(np.float32))
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, (0.5, 3.0, 1.0, 0.25)])
def test_accumulating_two_halves_gives_the_update_of_the_whole_batch(weights):
    # Tolerance: float32 sums in a different order.
    images, labels = pictures(16)
    results = []
    for parts in (1, 2):
        recipe = dataclasses.replace(RECIPE, accumulate=parts, dropout=0.0, average=0.0)
        model = build("shallow", recipe, collection())
        scores = compiled(model, recipe, 2 * parts, weights=weights)
        data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8 // parts)
        scores.fit(data, verbose=0, shuffle=False)
        results.append(scores.get_weights())
    start = build("shallow", RECIPE, collection()).get_weights()
    for whole, halves, before in zip(*results, start, strict=True):
        np.testing.assert_allclose(
            whole, halves, rtol=1e-4, atol=1e-5 * np.abs(whole - before).max()
        )


def test_the_momentum_of_averages_is_per_update_also_with_accumulation():
    for parts in (1, 4):
        optimizer = make_optimizer(dataclasses.replace(RECIPE, accumulate=parts), 10)
        assert optimizer.ema_momentum == 0.9  # test_optimizers: it moves once per update


def test_batches_and_steps_follow_the_recipe():
    recipe = Recipe(batch_size=256, accumulate=2)
    assert plan_steps(recipe, 1000) == StepPlan(128, 6)
    assert plan_steps(dataclasses.replace(recipe, steps_per_epoch=2), 1000).steps == 4
    small = plan_steps(recipe, 33)
    assert (small.batch, small.steps) == (16, 2)
    assert "33 training images are fewer than a batch of 256: batches of 32 instead" in small.note


def test_a_smoke_run_of_every_recipe_fits_eight_devices():
    for name in ("paper", "cifar", "digits"):
        for accumulate in (1, 2):
            recipe = dataclasses.replace(
                choose_recipe(name, "vgg16"), batch_size=32, accumulate=accumulate
            )
            assert plan_steps(shrink(recipe), 1295, 8).batch == 8


@pytest.mark.parametrize(
    ("n", "options", "replicas", "message"),
    [
        (1000, {"steps_per_epoch": 4}, 1, "1000 images make 3 updates of 256"),
        (
            1000,
            {"batch_size": 100},
            8,
            "divide evenly among 8 devices. Received: 100. Try --batch-size 96",
        ),
        (
            1000,
            {"batch_size": 100, "accumulate": 2},
            8,
            "Received: 50. Try --batch-size 96",
        ),
        (
            1000,
            {"batch_size": 4},
            8,
            "divide evenly among 8 devices. Received: 4. Try --batch-size 8",
        ),
        (3, {}, 8, "needs at least 8 training images. Received: 3"),
    ],
)
def test_batches_and_steps_that_do_not_fit_the_images_are_refused(n, options, replicas, message):
    with pytest.raises(ValueError, match=message):
        plan_steps(Recipe(**options), n, replicas)
