"""Random views have uniform scales, corners, flips and cutout squares."""

import numpy as np
import pytest

from tests.images.making_pictures import coordinates
from tests.images.making_views import views
from tests.making import noise
from vgg_tf.images.augmentation import View


def assert_equally_often(counts, draws):
    """Check that all counts are equal, within five standard deviations of the binomial."""
    expected = draws / len(counts)
    assert np.abs(np.asarray(counts) - expected).max() < 5 * np.sqrt(expected)


def test_corners_are_uniform_and_half_of_the_views_are_mirrored():
    picture, crop, n = coordinates(20, 23), 16, 2000
    cuts = views(picture, n, crop, (20, 20), shift=0).astype(int)
    mirrored = cuts[:, 0, 0, 0] > cuts[:, 0, -1, 0]
    upright = np.where(mirrored[:, None, None, None], cuts[:, :, ::-1], cuts)
    left, top, _ = upright[:, 0, 0].T
    for cut, t, e in zip(upright, top, left, strict=True):
        np.testing.assert_array_equal(cut, picture[t : t + crop, e : e + crop])
    for draw, values in ((top, 5), (left, 8), (mirrored, 2)):
        assert_equally_often(np.bincount(draw, minlength=values), n)
    # The joint counts show that the three draws are independent.
    together = np.bincount((top * 8 + left) * 2 + mirrored, minlength=5 * 8 * 2)
    assert together.all()
    assert_equally_often(together, n)


def test_without_flip_no_view_is_mirrored():
    cuts = views(coordinates(20, 23), 100, 16, (20, 20), flip=False, shift=0).astype(int)
    assert (np.diff(cuts[..., 0], axis=2) == 1).all()


def test_scales_from_s_min_to_s_max_are_uniform():
    # A ramp of 16 levels per pixel rises by 16 * 16 / S levels per pixel after rescaling to S. Over
    # 9 pixels this determines S within 0.25.
    ramp, n = 16 * coordinates(16, 16)[:, :, [0, 0, 0]], 1500
    cuts = views(ramp, n, 16, (16, 20), flip=False, shift=0).astype(int)
    S = 9 * 16 * 16 / (cuts[:, 0, 12, 0] - cuts[:, 0, 3, 0])
    assert np.abs(S - np.round(S)).max() < 0.3
    assert set(np.round(S)) == {16, 17, 18, 19, 20}
    assert_equally_often(np.bincount(np.round(S).astype(int) - 16), n)


def test_with_padding_corners_in_the_mirrored_border_are_uniform():
    picture, crop, padding, n = coordinates(18, 17), 16, 3, 2200
    around = np.pad(picture, ((padding, padding), (padding, padding), (0, 0)), "reflect")
    cuts = [around[t : t + crop, e : e + crop] for t in range(9) for e in range(8)]
    numbers = {
        cut[:, step].tobytes(): i
        for i, cut in enumerate(cuts)
        for step in (slice(None), slice(None, None, -1))
    }
    corners = np.array(
        [
            numbers[view.tobytes()]
            for view in views(picture, n, crop, (17, 17), shift=0, padding=padding)
        ]
    )
    for draw, values in ((corners // 8, 9), (corners % 8, 8), (corners, 72)):
        counts = np.bincount(draw, minlength=values)
        assert counts.all()
        assert_equally_often(counts, n)


@pytest.mark.parametrize(("side", "n"), [(5, 2000), (6, 200)])
def test_cutout_fills_a_square_around_a_uniform_pixel_with_the_mean_color(side, n):
    picture, crop = noise(16, 16), 16
    possible = {}
    for y, x in np.ndindex(crop, crop):
        cut = picture.copy()
        inside = cut[
            max(0, y - side // 2) : y + (side + 1) // 2, max(0, x - side // 2) : x + (side + 1) // 2
        ]
        inside[:] = np.round(picture.mean((0, 1), dtype=np.float32))
        possible[cut.tobytes()] = y * crop + x
    cuts = views(picture, n, crop, (16, 16), flip=False, shift=0, cutout=side)
    found = np.array([possible[view.tobytes()] for view in cuts])
    for draw, values in ((found // crop, crop), (found % crop, crop), (found, crop * crop)):
        assert_equally_often(np.bincount(draw, minlength=values), n)


@pytest.mark.parametrize("padding", [-1, 16])
def test_padding_outside_0_to_below_the_crop_raises_an_error(padding):
    with pytest.raises(ValueError, match=f"below the crop's side of 16 .* Received: {padding}"):
        View(16, 16, padding=padding)


@pytest.mark.parametrize("scale", [(15, 20), (20, 18), (15, 15)])
def test_scales_below_the_crop_or_in_descending_order_raise_an_error(scale):
    with pytest.raises(
        ValueError,
        match=rf"16 \(the crop's side\) <= S_min <= S_max. Received: \({scale[0]}, {scale[1]}\)",
    ):
        View(16, scale)
