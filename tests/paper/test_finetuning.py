"""Fine-tuning follows the weights and the pictures; S and Q follow the size of the crops."""

import pytest

from vgg_tf.paper.finetuning import Origin, fit_finetuning, follow_size
from vgg_tf.paper.presets import RECIPES, choose_recipe
from vgg_tf.paper.recipes import Recipe


@pytest.mark.parametrize(
    ("crop", "side", "size", "scale"),
    [
        (224, 500, 224, (224, 280)),
        (224, 32, 224, (224, 280)),  # enlarged, as the weights have seen objects
        (32, 300, 64, (64, 80)),
        (32, 32, 32, (32, 40)),
        (32, 48, 48, (48, 60)),
        (96, 300, 96, (96, 120)),
        (32, None, 64, (64, 80)),
        (0, 300, 224, (224, 280)),  # without a head
        (0, 32, 64, (64, 80)),
    ],
)
def test_crops_have_the_size_of_the_weights_or_64_pixels(crop, side, size, scale):
    origin = Origin("vgg11", 0.5, 256, crop)
    recipe = fit_finetuning(RECIPES["finetune"], origin, 1000, side)
    assert (recipe.size, recipe.scale, recipe.width, recipe.head_width) == (size, scale, 0.5, 256)
    assert recipe.evaluation_scale == sum(scale) // 2


@pytest.mark.parametrize(
    ("images", "epochs"), [(1, 60), (250, 60), (1600, 10), (4000, 8), (10**6, 8)]
)
def test_the_epochs_make_about_500_updates(images, epochs):
    recipe = fit_finetuning(RECIPES["finetune"], Origin("vgg11", 1.0), images)
    assert recipe.epochs == epochs


@pytest.mark.parametrize(
    ("recipe", "size", "scale", "test_scale"),
    [
        (Recipe(), 64, (73, 73), 0),
        (Recipe(), 224, (256, 256), 0),
        (Recipe(scale=(256, 512)), 112, (128, 256), 0),
        (Recipe(), 0, (256, 256), 0),
        (RECIPES["cifar"], 64, (64, 64), 64),
        (RECIPES["digits"], 64, (64, 72), 64),
    ],
)
def test_scales_keep_their_ratio_to_the_size(recipe, size, scale, test_scale):
    found = follow_size(recipe, size)
    assert (found.size, found.scale, found.test_scale) == (size or 224, scale, test_scale)


def test_weights_to_inherit_choose_the_recipe():
    assert choose_recipe("auto", "vgg16", 32, "digits", inherits=True) == RECIPES["finetune"]
    batch_norm = choose_recipe("auto", "vgg16_bn", 300, "folder", inherits=True)
    assert (batch_norm.dropout, batch_norm.learning_rate) == (
        0.0,
        2 * RECIPES["finetune"].learning_rate,
    )
