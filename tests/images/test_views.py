"""A random view is a crop of the rescaled image, and only the seed determines it."""

import numpy as np
import pytest

from tests.images.making_pictures import (
    FORMATS,
    JPEGS,
    decoded_by_pil,
    plain_rescaled_size,
    rescaled_by_pil,
    waves,
)
from tests.images.making_views import both_ways, columns, eagerly, in_tf_data, seeds
from tests.making import noise
from vgg_tf.images import decoding
from vgg_tf.images.augmentation import View
from vgg_tf.images.views import make_train_view, make_train_view_of_pixels


@pytest.mark.parametrize(
    ("crop", "scale", "more"),
    [(16, (16, 24), {}), (32, (32, 80), {"padding": 12, "cutout": 9})],
    ids=["plain", "padding, cutout"],
)
def test_the_view_of_a_jpeg_window_equals_the_view_of_the_whole_jpeg(crop, scale, more):
    sizes = [
        (40, 60),
        (33, 97),
        (128, 90),
        (5, 7),
        (1, 30),
        (30, 1),
        (200, 300),
        (17, 16),
        (64, 64),
    ]
    contents = [
        make(picture(h, w))
        for make in JPEGS.values()
        for h, w in sizes
        for picture in (noise, waves)
    ]

    def pair(contents, seed):
        view = View(crop, scale, **more)
        window = make_train_view(contents, seed, view)
        return window, make_train_view_of_pixels(decoding.decode(contents), seed, view)

    pairs = in_tf_data(pair, contents, seeds(len(contents)))
    difference = np.array([np.abs(window.astype(int) - whole) for window, whole in pairs])
    # Positions in the window have other float32 errors, so values near a half may be rounded the
    # other way, at most once in a thousand. Chroma upsampling at the window's edge would move
    # pixels by more than a level.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize(
    ("call", "h", "w", "S"),
    [
        (in_tf_data, 60, 45, 40),
        (eagerly, 60, 45, 40),
        (eagerly, 90, 130, 41),
        (eagerly, 30, 37, 42),
    ],
)
def test_a_view_of_a_jpeg_is_a_crop_of_what_pil_rescales_within_half_a_level(call, h, w, S):
    crop, contents = (
        38,
        [
            JPEGS[kind](picture(h, w))
            for kind in ("4:2:0", "4:4:4", "gray")
            for picture in (noise, waves)
        ],
    )
    new_h, new_w = plain_rescaled_size(h, w, S)
    got = call(
        lambda content, seed: make_train_view(content, seed, View(crop, S, shift=0)),
        contents,
        seeds(6),
    )
    for content, view in zip(contents, got, strict=True):
        whole = rescaled_by_pil(decoding.decode(content).numpy(), new_h, new_w)
        cuts = [
            whole[t : t + crop, e : e + crop]
            for t in range(new_h - crop + 1)
            for e in range(new_w - crop + 1)
        ]
        # Half a level of rounding, plus float32 errors of the positions. Other antialiasing, sizes
        # or corners than PIL's would give tens of levels.
        assert (
            min(
                np.abs(cut[:, side] - view).max()
                for cut in cuts
                for side in (slice(None), slice(None, None, -1))
            )
            < 0.52
        )


def test_the_same_seed_gives_the_same_view_and_another_seed_gives_another_view():
    contents = [
        FORMATS[kind](noise(40, 50))
        for kind in ("4:2:0", "CMYK", "PNG with alpha", "gray BMP", "GIF")
    ]
    pairs = np.array([[5, 6], [5, 6], [5, 7], [6, 6], [6, 5], [5, 6 + (1 << 32)]])
    rows = [(content, pair) for content in contents for pair in pairs]
    view = View(16, (16, 40))
    got = in_tf_data(lambda content, pair: make_train_view(content, pair, view), *columns(rows))
    got = np.reshape(got, (len(contents), len(pairs), 16, 16, 3))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got[:, 0], got[:, 1])
    for i in range(2, len(pairs)):
        assert ((got[:, 0] != got[:, i]).mean((1, 2, 3)) > 0.5).all()


def test_a_view_is_the_same_eagerly_and_inside_tf_data():
    contents = [make(noise(40, 50)) for make in FORMATS.values()]

    def look(content, seed):
        return make_train_view(content, seed, View(16, (16, 40), padding=3, cutout=5))

    np.testing.assert_array_equal(
        *(call(look, contents, seeds(len(contents))) for call in (eagerly, in_tf_data))
    )


@both_ways
def test_an_image_smaller_than_the_crop_or_one_pixel_wide_is_enlarged(call):
    crop, rows, cuts = 12, [], []
    for h, w in [(5, 8), (1, 3), (3, 1), (1, 1)]:
        for kind in ("4:2:0", "RGB PNG"):
            contents = FORMATS[kind](noise(h, w))
            new_h, new_w = plain_rescaled_size(h, w, crop)
            whole = rescaled_by_pil(decoded_by_pil(contents), new_h, new_w)
            corners = [(t, e) for t in range(new_h - crop + 1) for e in range(new_w - crop + 1)]
            for i in range(2):
                rows.append((contents, (i, 1)))
                cuts.append(np.stack([whole[t : t + crop, e : e + crop] for t, e in corners]))

    def look(contents, seed):
        return make_train_view(contents, seed, View(crop, crop, flip=False, shift=0))

    for view, possible in zip(call(look, *columns(rows)), cuts, strict=True):
        # Half a level of rounding, and one level where PIL has another build of libjpeg.
        assert np.abs(possible - view).max((1, 2, 3)).min() < 1.6
