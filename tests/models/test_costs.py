"""Parameters and operations equal those of Table 2 and of Keras' layers."""

import keras
import pytest

from tests.making import cells_of
from vgg_tf import ARCHITECTURES, build_vgg
from vgg_tf.models.costs import list_costs, make_table

# Table 2, in millions.
TABLE2 = {"vgg11": 133, "vgg11_lrn": 133, "vgg13": 133, "vgg16c": 134, "vgg16": 138, "vgg19": 144}


@pytest.mark.parametrize("arch", TABLE2)
def test_the_costs_have_the_parameters_of_table_2(arch):
    assert round(sum(row["parameters"] for row in list_costs(arch)) / 1e6) == TABLE2[arch]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_parameters_maps_and_operations_equal_those_of_keras_layers(arch):
    model = build_vgg(arch, input_shape=(96, 96, 3), classes=7, width=1 / 16, head_width=24)
    rows = list(list_costs(arch, 96, 7, 1 / 16, 24))
    assert sum(row["parameters"] for row in rows) == sum(
        w.numpy().size for w in model.trainable_weights
    )
    for row in rows:
        layer = model.get_layer(row["name"])
        assert layer.output.shape[1:] == row["shape"]
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            places = row["shape"][0] * row["shape"][1] if len(row["shape"]) == 3 else 1
            assert row["flops"] == 2 * layer.kernel.numpy().size * places


def test_the_table_has_the_known_numbers_of_vgg16():
    assert ["vgg16", "D", "16", "138.4", "89%", "30.94"] in cells_of(make_table())
