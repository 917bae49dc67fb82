"""Frozen layers keep their weights and moving statistics."""

import keras
import numpy as np
import pytest

from tests.weights.making_networks import arrays_of, noise, same, tiny
from vgg_tf.models.freezing import freeze


def test_training_changes_all_layers_except_the_frozen_ones():
    model = tiny("vgg11_bn")
    freeze(model, "block4")
    before = arrays_of(model)
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", run_eagerly=True)
    model.fit(noise(4, 64, 64, 3), np.eye(5)[:4], verbose=0)
    for name, arrays in arrays_of(model).items():
        frozen = name[:6] in ("block1", "block2", "block3")
        assert same(arrays, before[name]) == frozen, name


def test_freezing_until_a_layer_excludes_this_layer():
    model = tiny()
    freeze(model, "fc2")
    assert [layer.name for layer in model.layers if layer.weights and layer.trainable] == [
        "fc2",
        "predictions",
    ]
    with pytest.raises(
        ValueError,
        match=(
            r"must be in the network. Received: 'block6'. "
            r"Try one of block1, .*block5, block1_conv1, .*predictions"
        ),
    ):
        freeze(model, "block6")
