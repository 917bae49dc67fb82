"""The RGB shift moves all pixels of a view along the principal axes of the colors."""

import numpy as np

from tests.images.making_views import both_ways, views
from tests.making import noise
from vgg_tf.images import colors


@both_ways
def test_a_unit_amount_shifts_all_pixels_along_a_principal_axis_largest_first(call):
    covariance = np.cov(np.random.default_rng(0).normal(size=(3, 50)) * [[40], [60], [20]])
    picture = noise(4, 5).astype(np.float32)
    shifted = call(
        lambda amounts: colors.rgb_shift(picture, amounts, covariance), np.eye(3, dtype=np.float32)
    )
    moved = np.array(shifted, np.float64) - picture
    assert np.ptp(moved, axis=(1, 2)).max() < 1e-4
    axes = moved[:, 0, 0]
    values = (axes**2).sum(1)
    assert values[0] > values[1] > values[2]
    np.testing.assert_allclose(axes @ covariance, values[:, None] * axes, rtol=1e-4, atol=0.1)
    np.testing.assert_allclose(axes.T @ axes, covariance, rtol=1e-4)


def test_shifts_of_many_views_have_a_hundredth_of_the_covariance_of_the_colors():
    covariance = np.array([[4000, 3500, 3000], [3500, 4200, 3600], [3000, 3600, 4500]])
    n = 2000
    look = views(np.full((1, 1, 3), 128, np.uint8), n, 1, (1, 1), covariance=covariance)
    shifts = look.reshape(n, 3) - 128.0
    # Four standard errors. That of a mean is sqrt(45 / n) = 0.15, that of a covariance is
    # sqrt(2 / n) * 45 = 1.4. Rounding the pixels adds a twelfth on the diagonal.
    np.testing.assert_allclose(shifts.mean(0), 0, atol=0.6)
    np.testing.assert_allclose(np.cov(shifts.T), 0.01 * covariance + np.eye(3) / 12, atol=5.6)


def test_the_published_covariance_shifts_a_channel_by_about_seven_gray_levels():
    n = 1500
    shifts = views(np.full((1, 1, 3), 128, np.uint8), n, 1, (1, 1)).reshape(n, 3) - 128.0
    # Eigenvalues instead of their roots, as in other implementations, would give 3.2.
    np.testing.assert_allclose(shifts.std(0), 7.2, atol=0.5)
    # The first axis is brightness, so the channels move together.
    assert np.corrcoef(shifts.T).min() > 0.7


def test_the_published_covariance_has_the_published_axes():
    values, vectors = np.linalg.eigh(colors.IMAGENET_COVARIANCE / 255**2)
    np.testing.assert_allclose(values[::-1], [0.2175, 0.0188, 0.0045], rtol=1e-3)
    np.testing.assert_allclose(np.abs(vectors[:, -1]), [0.5675, 0.5808, 0.5836], atol=1e-3)


def test_a_shift_moves_all_pixels_equally_and_changes_neither_corner_nor_flip():
    picture = 60 + noise(20, 23) // 2  # far from black and white
    shifted, plain = (
        views(picture, 50, 16, (16, 24), shift=shift).astype(int) for shift in (0.1, 0)
    )
    # Both are rounded, so a shift of 2.4 moves some pixels by 2 and some by 3.
    assert np.ptp(shifted - plain, axis=(1, 2)).max() <= 1
    assert np.abs(shifted - plain).max() > 10


def test_shifted_colors_are_clipped_to_black_and_white():
    black, white = (
        views(np.full((1, 1, 3), level, np.uint8), 300, 1, (1, 1), shift=0.3).reshape(-1, 3)
        for level in (0, 255)
    )
    # A shift that darkens leaves black unchanged, and one that brightens leaves white unchanged.
    # If values wrapped around, both would move.
    assert ((black == 0) | (white == 255)).all()
    assert (black > 0).any(0).all()
    assert (white < 255).any(0).all()
