"""Rescaled images, their crops and their center crops equal those of PIL and torchvision."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.images.making_pictures import (
    coordinates,
    encode,
    plain_rescaled_size,
    rescaled_by_pil,
    waves,
)
from tests.images.making_views import both_ways, columns
from tests.making import noise
from vgg_tf.images import decoding
from vgg_tf.images.rescaling import (
    check_proportions,
    compute_rescaled_size,
    crop_of_rescaled,
    is_too_narrow,
    make_center_view,
)


@both_ways
def test_the_smaller_side_becomes_exactly_s_and_the_other_is_rounded(call):
    random = np.random.default_rng(0)
    sizes = np.column_stack(
        [random.integers(1, 2000, (60, 2)), random.integers(1, 600, 60)]
    ).tolist()
    # One pixel wide, ties, and products beyond 32 bits.
    sizes += [
        (1, 777, 256),
        (777, 1, 256),
        (1, 1, 7),
        (2, 3, 1),
        (2, 3, 3),
        (4, 6, 7),
        (65535, 40000, 65535),
    ]
    got = call(compute_rescaled_size, *columns(sizes))
    assert got == [plain_rescaled_size(*size) for size in sizes]
    assert [min(size) for size in got] == [S for *_, S in sizes]


@both_ways
def test_a_crop_of_the_rescaled_image_equals_rescaling_all_of_it_and_cropping(call):
    crop, cases, expected = 16, [], []
    for h, w, S in [
        (90, 120, 40),
        (75, 111, 74),
        (17, 23, 60),
        (24, 31, 24),
        (1, 9, 30),
        (9, 1, 30),
        (3, 5, 64),
        (16, 400, 20),
    ]:
        new_h, new_w = plain_rescaled_size(h, w, S)
        whole = rescaled_by_pil(noise(h, w), new_h, new_w)
        for top, left in [
            (0, 0),
            (new_h - crop, new_w - crop),
            ((new_h - crop) // 2, (new_w - crop) // 3),
        ]:
            cases.append((encode(noise(h, w), "png"), S, top, left))
            expected.append(whole[top : top + crop, left : left + crop])

    def cut(contents, S, top, left):
        return crop_of_rescaled(decoding.decode(contents), S, top, left, crop)

    got = call(cut, *columns(cases))
    assert {crop.dtype for crop in got} == {np.dtype(np.float32)}
    # Rounded float32 positions cause errors up to 0.01 gray levels. Other pixel centers, no
    # antialiasing, or the exact size instead of the rounded one would move pixels of noise by tens.
    np.testing.assert_allclose(got, expected, rtol=0, atol=0.01)


@both_ways
def test_without_rescaling_a_crop_has_unchanged_pixels(call):
    picture = noise(20, 31)
    corners = [(0, 0), (3, 9), (4, 15)]
    got = call(lambda top, left: crop_of_rescaled(picture, 20, top, left, 16), *columns(corners))
    np.testing.assert_array_equal(
        got, [picture[top : top + 16, left : left + 16] for top, left in corners]
    )


def test_a_crop_between_pixels_or_beyond_the_picture_is_interpolated():
    picture = noise(20, 31)
    between = crop_of_rescaled(picture, 20, 3.5, 9.0, 16).numpy()
    np.testing.assert_allclose(
        between, (picture[3:19, 9:25] / 2.0 + picture[4:20, 9:25] / 2.0), atol=1e-3
    )
    beyond = crop_of_rescaled(picture, 20, -3, 9, 16).numpy()
    np.testing.assert_array_equal(beyond[3:], picture[:13, 9:25])


@both_ways
def test_the_center_view_has_equal_margins(call):
    sizes, crop = [(20, 33), (33, 20), (20, 20), (25, 20)], 16
    contents = [encode(coordinates(h, w), "png") for h, w in sizes]
    got = call(lambda content: make_center_view(decoding.decode(content), crop, 20), contents)
    for (h, w), view in zip(sizes, got, strict=True):
        left, top, _ = view[0, 0].astype(int)
        np.testing.assert_array_equal(view, coordinates(h, w)[top : top + crop, left : left + crop])
        # Of an odd remainder the smaller half is at the top and at the left.
        assert (h - crop - top) - top == (h - crop) % 2
        assert (w - crop - left) - left == (w - crop) % 2


def test_a_view_is_rounded_and_not_truncated():
    crop, Q, contents, exact = 16, 19, [], []
    for h, w in [(40, 61), (9, 7), (1, 12), (12, 1)]:
        contents.append(encode(noise(h, w), "png"))
        new_h, new_w = plain_rescaled_size(h, w, Q)
        top, left = (new_h - crop) // 2, (new_w - crop) // 2
        exact.append(
            rescaled_by_pil(noise(h, w), new_h, new_w)[top : top + crop, left : left + crop]
        )
    got = np.array([make_center_view(decoding.decode(content), crop, Q) for content in contents])
    assert got.dtype == np.uint8
    assert np.abs(got - exact).max() < 0.51


def test_a_center_view_at_a_scale_below_the_crop_raises_an_error():
    with pytest.raises(
        ValueError, match=r"scale must be at least the crop's side\. Received: scale=200, crop=224"
    ):
        make_center_view(noise(30, 30), 224, 200)


@both_ways
def test_the_torchvision_center_view_differs_by_at_most_one_level_from_torchvision(call):
    sizes, crop, Q = (
        [(40, 61), (61, 40), (75, 100), (33, 50), (31, 24), (24, 24), (20, 99), (9, 7), (50, 41)],
        16,
        21,
    )
    contents = [encode(picture(h, w), "png") for h, w in sizes for picture in (noise, waves)]
    got = call(
        lambda content: make_center_view(decoding.decode(content), crop, Q, torchvision=True),
        contents,
    )
    cut_down = 0
    for content, view in zip(contents, got, strict=True):
        # transforms.Resize(Q) and CenterCrop(crop) of a PIL image in torchvision 0.28
        # (_compute_resized_output_size and center_crop).
        image = Image.open(io.BytesIO(content))
        w, h = image.size
        short, long = min(w, h), max(w, h)
        new_w, new_h = (Q, int(Q * long / short)) if w <= h else (int(Q * long / short), Q)
        cut_down += (new_h, new_w) != plain_rescaled_size(h, w, Q)
        whole = np.asarray(image.resize((new_w, new_h), Image.Resampling.BILINEAR)).astype(int)
        top, left = round((new_h - crop) / 2.0), round((new_w - crop) / 2.0)
        difference = np.abs(whole[top : top + crop, left : left + crop] - view)
        # PIL also rounds to whole levels between its two passes.
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.4
    assert cut_down >= 4  # sizes for which truncation and rounding differ


@both_ways
def test_images_of_over_50_megapixels_after_rescaling_are_too_narrow(call):
    sizes = [(32, 10**6), (10**6, 32), (32, 24_414), (32, 24_415), (24_414, 32), (9000, 9000)]
    narrow = [True, True, False, True, False, False]
    assert [is_too_narrow(*size, 256) for size in sizes] == narrow
    found = call(lambda size: is_too_narrow(size[0], size[1], 256), np.array(sizes, np.int64))
    assert [bool(value) for value in found] == narrow
    check_proportions(32, 24_414, 256, "a.png")
    with pytest.raises(ValueError, match=r"^a\.png is too long and narrow: .* 50 megapixels\. Rec"):
        check_proportions(32, 10**6, 256, "a.png")
