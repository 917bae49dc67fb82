"""The moments of averaged weights are those of training batches, and a resumed run has the same."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from tests.making_survivals import same_bits
from tests.training.making_runs import CLASSES, RECIPE, batches, train
from vgg_tf.models.vgg import build_vgg
from vgg_tf.runs import run_folder
from vgg_tf.training.model import drop_softmax
from vgg_tf.training.moments import find_moving, make_estimator

pytestmark = pytest.mark.usefixtures("shallow_throughout", "undrawn_curves")


def network(**options):
    shape = {"input_shape": (32, 32, 3), "classes": CLASSES, "width": 0.0625, "head_width": 16}
    return build_vgg("shallow_bn", **shape, seed=1, **options)


def test_the_moments_are_those_of_the_batches_and_nothing_else_changes():
    model = network()
    before = [variable.numpy() for variable in model.trainable_variables]
    make_estimator(model, drop_softmax(model))(batches(24, 8))
    for variable, values in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), values)
    found = [(a.moving_mean.numpy(), a.moving_variance.numpy()) for a in find_moving(model)]
    # The maps before the first normalization do not depend on moments.
    (first, *_) = find_moving(model)
    maps = keras.Model(model.input, first.input)
    weights = first.momentum ** np.arange(2, -1, -1)
    seen = [np.float64(maps(images, training=False)) for images, _ in batches(24, 8)]
    for moment, of in zip(found[0], (np.mean, np.var), strict=True):
        of_batches = [of(values, axis=(0, 1, 2)) for values in seen]
        expected = np.average(of_batches, axis=0, weights=weights)
        np.testing.assert_allclose(moment, expected, rtol=1e-4)


def test_frozen_layers_keep_their_moments():
    model = network(freeze_until="fc1")
    assert not find_moving(model)
    assert make_estimator(model, drop_softmax(model)) is None


def test_an_interrupted_run_with_averages_ends_with_the_same_bits(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=2, accumulate=2, clip_norm=0.5)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, recipe, arch="shallow_bn", batch=4)
    shutil.copytree(whole, parts)
    for name in (run_folder.LAST, "model.keras"):  # as after a kill in the second epoch
        (parts / name).unlink()
    _, lines = train(parts, recipe, arch="shallow_bn", batch=4)
    assert lines[0] == "continuing after epoch 1"
    assert same_bits(whole, parts)
    best = keras.saving.load_model(whole / "model.keras")
    moments = find_moving(best)[0].moving_mean.numpy()
    make_estimator(best, drop_softmax(best))(batches(24, 4, seed=int(recipe.epochs - 1)))
    assert moments == pytest.approx(find_moving(best)[0].moving_mean.numpy(), rel=1e-5)
