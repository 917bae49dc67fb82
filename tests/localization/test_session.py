"""A training of box regression refuses augmentations that boxes cannot follow."""

import pytest

from tests.making import call
from vgg_tf.localization.session import check_recipe
from vgg_tf.paper.presets import BOXES, SMALL_BOXES
from vgg_tf.paper.recipes import Recipe


@pytest.mark.parametrize("name", ["rand_augment", "mixup", "cutmix"])
def test_an_augmentation_that_boxes_cannot_follow_is_refused(name):
    for recipe in (BOXES, SMALL_BOXES, Recipe(cutout=8)):
        check_recipe(recipe)
    flag = "--" + name.replace("_", "-")
    with pytest.raises(ValueError, match=rf"{flag} must be 0 for boxes.*: {flag} 0.5\. Remove"):
        check_recipe(Recipe(**{name: 0.5}))


def test_the_program_refuses_them_before_the_pictures_are_read(tmp_path):
    words = ["--data", tmp_path / "none", "--inherit", "cifar10", "--mixup", "0.2"]
    result = call("vgg_tf.localize", "train", *words)
    assert result.returncode == 1
    assert result.stderr.startswith("error: --mixup must be 0 for boxes")
