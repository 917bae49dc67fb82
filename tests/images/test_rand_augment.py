"""RandAugment's operations are Pillow's, and two of them change each view."""

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tests.images.making_pictures import waves
from tests.images.making_views import both_ways, seeds
from tests.making import noise
from vgg_tf.images.augmentation import View
from vgg_tf.images.rand_augment import FILL, OPERATIONS, draw_operations, rand_augment
from vgg_tf.images.views import draw_cutout_center, draw_numbers, make_train_view_of_pixels

SIDE = 40
STRENGTHS = (-1.0, -0.37, 0.0, 0.5, 1.0)
PICTURES = {
    "noise": noise(SIDE, SIDE),
    "waves": waves(SIDE, SIDE),
    "dark": noise(SIDE, SIDE) // 9 + 30,
    "two levels": (noise(SIDE, SIDE) > 200).astype(np.uint8) * 7 + 90,
    "one level": np.full((SIDE, SIDE, 3), 77, np.uint8),
}


def enhance(kind):
    return lambda image, strength: kind(image).enhance(1 + 0.9 * strength)


BY_PILLOW = {
    "identity": lambda image, strength: image,
    "auto_contrast": lambda image, strength: ImageOps.autocontrast(image),
    "equalize": lambda image, strength: ImageOps.equalize(image),
    "solarize": lambda image, strength: ImageOps.solarize(image, 256 * (1 - abs(strength))),
    "posterize": lambda image, strength: ImageOps.posterize(image, 8 - round(4 * abs(strength))),
    "color": enhance(ImageEnhance.Color),
    "contrast": enhance(ImageEnhance.Contrast),
    "brightness": enhance(ImageEnhance.Brightness),
    "sharpness": enhance(ImageEnhance.Sharpness),
}
# Pillow truncates where a factor moves levels, and these operations round.
TOLERANCE = dict.fromkeys(("color", "contrast", "brightness", "sharpness"), 1)


@pytest.mark.parametrize("name", BY_PILLOW)
@pytest.mark.parametrize("picture", PICTURES.values(), ids=list(PICTURES))
def test_an_operation_on_colors_is_pillows(name, picture):
    for strength in STRENGTHS:
        found = OPERATIONS[name](tf.constant(picture), tf.constant(strength)).numpy()
        expected = np.array(BY_PILLOW[name](Image.fromarray(picture), strength))
        difference = np.abs(found.astype(int) - expected)
        assert difference.max() <= TOLERANCE.get(name, 0), (name, strength)


def matrix_of(name, strength):
    """Return the matrix of Pillow's `AFFINE` about the center, row by row."""
    angle, half = math.radians(30 * strength), SIDE / 2
    rows = {
        "rotate": (math.cos(angle), -math.sin(angle), 0, math.sin(angle), math.cos(angle), 0),
        "shear_x": (1, 0.3 * strength, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, 0.3 * strength, 1, 0),
        "translate_x": (1, 0, 150 / 331 * SIDE * strength, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, 150 / 331 * SIDE * strength),
    }
    a, b, c, d, e, f = rows[name]
    return a, b, c + half - a * half - b * half, d, e, f + half - d * half - e * half


@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y", "translate_x", "translate_y"])
def test_a_geometric_operation_is_pillows_and_fills_with_gray(name):
    picture, gray = waves(SIDE, SIDE), (FILL,) * 3
    for strength in STRENGTHS:
        found = OPERATIONS[name](tf.constant(picture), tf.constant(strength)).numpy().astype(int)
        matrix = matrix_of(name, strength)
        image = Image.fromarray(picture)
        expected = np.array(
            image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        )
        if name == "rotate":
            turned = image.rotate(30 * strength, Image.Resampling.BILINEAR)
            assert np.abs(np.array(turned).astype(int) - expected).max() <= 1
        a, b, c, d, e, f = matrix
        x, y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
        source = np.stack([a * x + b * y + c, d * x + e * y + f]) - 0.5
        inside = ((source >= 0.01) & (source <= SIDE - 1.01)).all(0)
        outside = ((source <= -1.01) | (source >= SIDE + 0.01)).any(0)
        # Pillow interpolates with fractions of 1/256 or truncates. At the border, gray mixes in.
        assert np.abs(found - expected)[inside].max() <= 1
        assert (found[outside] == gray).all()
        assert inside.any()


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_strength_of_zero_changes_nothing_and_single_pixels_are_allowed(name):
    if name not in ("auto_contrast", "equalize"):
        picture = PICTURES["noise"]
        found = OPERATIONS[name](tf.constant(picture), tf.constant(0.0))
        np.testing.assert_array_equal(found, picture)
    for side in (1, 2):
        found = OPERATIONS[name](tf.constant(noise(side, side)), tf.constant(0.5))
        assert (found.shape, found.dtype) == ((side, side, 3), tf.uint8)


def test_operations_and_signs_are_uniform_and_independent():
    n = 4000
    rows = tf.data.Dataset.from_tensor_slices(seeds(n)).map(draw_operations)
    numbers, signs = next(rows.batch(n).as_numpy_iterator())
    count = len(OPERATIONS)
    pairs = np.bincount(numbers[:, 0] * count + numbers[:, 1], minlength=count**2)
    for counts in (np.bincount(numbers[:, 0], minlength=count), pairs):
        expected = n / len(counts)  # within five standard deviations
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    assert np.abs(signs.sum(0)).max() < 5 * np.sqrt(n)
    assert set(np.unique(signs)) == {-1, 1}
    # The crop, the cutout and the next images' views have other random numbers.
    crops = tf.data.Dataset.from_tensor_slices(seeds(n)).map(
        lambda seed: (draw_numbers(seed), draw_numbers(seed + 1), draw_cutout_center(seed, 99))
    )
    drawn = np.hstack(next(crops.batch(n).as_numpy_iterator()))
    own = np.hstack([numbers, signs])
    together = np.corrcoef(own, drawn, rowvar=False)[: own.shape[1], own.shape[1] :]
    assert np.abs(together).max() < 5 / np.sqrt(n)


def test_a_view_is_the_plain_view_after_the_two_drawn_operations_and_before_the_cutout():
    picture, names, changed, squares = noise(24, 24), list(OPERATIONS), 0, []
    for seed in seeds(12):
        before, view, cut = (
            make_train_view_of_pixels(picture, seed, View(16, (16, 24), **more)).numpy()
            for more in ({}, {"rand_augment": 7.0}, {"rand_augment": 7.0, "cutout": 5})
        )
        expected = before
        for number, sign in zip(*draw_operations(seed), strict=True):
            expected = OPERATIONS[names[number]](tf.constant(expected), sign * 0.7)
        np.testing.assert_array_equal(view, expected)
        changed += (view != before).any()
        squares.append((cut != view).any(-1).sum())
    assert changed > 8
    assert max(squares) <= 25
    assert np.median(squares) > 8


@both_ways
def test_a_view_depends_on_its_seed_alone(call):
    picture, view = noise(20, 20), View(16, 16, rand_augment=5)
    rows = np.array([[1, 2], [1, 2], [1, 3], [2, 2]])
    first, same, *others = call(lambda seed: make_train_view_of_pixels(picture, seed, view), rows)
    np.testing.assert_array_equal(first, same)
    assert all((first != other).any() for other in others)


@pytest.mark.parametrize("magnitude", [-0.1, 10.5, float("nan")])
def test_magnitudes_outside_0_to_10_are_refused(magnitude):
    with pytest.raises(ValueError, match=rf"from 0 to 10. Received: {magnitude}. Try 5"):
        View(16, 16, rand_augment=magnitude)


def test_rand_augment_of_a_seed_is_that_of_the_view():
    view = tf.constant(noise(16, 16))
    once = rand_augment(view, tf.constant([3, 4], tf.int64), 5)
    np.testing.assert_array_equal(once, rand_augment(view, [3, 4], 5.0))
