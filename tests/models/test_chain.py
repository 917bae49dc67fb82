"""The layers of a network form a chain, and no layer is missing."""

import keras
import numpy as np

from tests.models.making_networks import IMAGE
from vgg_tf import build_vgg
from vgg_tf.models.chain import find_last_map, list_layers
from vgg_tf.models.heatmaps import compute_heat


def test_an_imported_network_of_keras_applications_is_a_chain():
    model = keras.applications.VGG16(
        weights=None, classes=4, input_shape=(32, 32, 3), classifier_activation="softmax"
    )
    assert find_last_map(model) == "block5_conv3"
    found, label = compute_heat(model, IMAGE)
    assert found.shape == (2, 2)
    assert label == int(model(np.float32(IMAGE)[np.newaxis]).numpy().argmax())


def test_the_chain_has_all_layers_except_input_and_dropout():
    model = build_vgg("vgg16_bn", input_shape=(32, 32, 3), width=1 / 16, classes=2)
    names = [layer.name for layer in list_layers(model)]
    assert names == [
        layer.name
        for layer in model.layers
        if layer.name != "image" and "dropout" not in layer.name
    ]
