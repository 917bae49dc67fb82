"""Networks and recipes have the numbers that the paper states."""

import keras
import pytest

from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper.presets import RECIPES


@pytest.mark.parametrize(
    ("arch", "millions", "parameters"),
    [
        ("vgg11", 133, 132_863_336),
        ("vgg11_lrn", 133, 132_863_336),
        ("vgg13", 133, 133_047_848),
        ("vgg16c", 134, 133_638_952),
        ("vgg16", 138, 138_357_544),
        ("vgg19", 144, 143_667_240),
    ],
)
def test_parameters_are_those_of_table_2(arch, millions, parameters):
    # Zeros are cheaper than random numbers. The exact counts follow from Table 1 (paper.md 1).
    model = build_vgg(arch, initializer="zeros")
    assert model.count_params() == parameters
    assert round(parameters / 1e6) == millions
    keras.backend.clear_session()


def test_the_paper_recipes_have_the_numbers_of_section_3_1():
    recipe = RECIPES["paper"]
    assert (recipe.batch_size, recipe.momentum, recipe.l2, recipe.dropout, recipe.epochs) == (
        256,
        0.9,
        5e-4,
        0.5,
        74,
    )
    assert (recipe.learning_rate, recipe.schedule, recipe.factor, recipe.drops) == (
        1e-2,
        "plateau",
        0.1,
        3,
    )
    assert (recipe.size, recipe.scale, recipe.flip, recipe.rgb_shift) == (
        224,
        (256, 256),
        True,
        0.1,
    )
    assert not recipe.standardize
    assert (RECIPES["paper384"].scale, RECIPES["paper384"].learning_rate) == ((384, 384), 1e-3)
    assert RECIPES["paper-jitter"].scale == (256, 512)


def test_the_test_scale_is_s_or_the_middle_of_the_range_as_in_section_4_1():
    assert RECIPES["paper"].evaluation_scale == 256
    assert RECIPES["paper384"].evaluation_scale == 384
    assert RECIPES["paper-jitter"].evaluation_scale == 384


def test_74_epochs_of_imagenet_are_370_thousand_updates():
    assert (
        round(RECIPES["paper"].epochs * (1_281_167 // RECIPES["paper"].batch_size), -4) == 370_000
    )
