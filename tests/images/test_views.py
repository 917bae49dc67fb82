"""One image, from its bytes to what the network sees: the claims hold eagerly and inside
tf.data.
"""

import io
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.making import noise
from vgg_tf.images import colors, decoding
from vgg_tf.images.augmentation import View
from vgg_tf.images.processing import process_path
from vgg_tf.images.rescaling import center_view, crop_of_rescaled, rescaled_size
from vgg_tf.images.views import train_view, train_view_of_pixels


def waves(h, w):
    y, x = np.mgrid[:h, :w]
    return np.stack(
        [127.5 + 127 * np.sin(x / (3 + 3 * c) + y / (7 - c)) for c in range(3)], 2
    ).astype(np.uint8)


def coordinates(h, w):
    """Red tells the column, green the row: a cut tells where it came from."""
    y, x = np.mgrid[:h, :w]
    return np.stack([x, y, 0 * x], 2).astype(np.uint8)


def encode(picture, kind, **options):
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, kind, **options)
    return file.getvalue()


def rescaled_by_pil(picture, new_h, new_w):
    """All of the picture rescaled, a channel at a time in PIL's float mode, which does not round
    between its two passes.
    """
    channels = [Image.fromarray(picture[:, :, c].astype(np.float32)) for c in range(3)]
    return np.stack(
        [np.asarray(c.resize((new_w, new_h), Image.Resampling.BILINEAR)) for c in channels], 2
    )


def plain_rescaled_size(h, w, S):
    """Exact, in fractions, halves upwards."""
    return tuple(int(Fraction(side * S, min(h, w)) + Fraction(1, 2)) for side in (h, w))


def eagerly(function, *columns):
    """What `function` makes of each row of the columns."""
    rows = tf.data.Dataset.from_tensor_slices(columns)
    return [tf.nest.map_structure(lambda value: value.numpy(), function(*row)) for row in rows]


def in_tf_data(function, *columns):
    """The same inside tf.data: all rows in one pipeline, since building it takes longer than
    running it.
    """
    return list(
        tf.data.Dataset.from_tensor_slices(columns)
        .map(function, num_parallel_calls=4)
        .as_numpy_iterator()
    )


both_ways = pytest.mark.parametrize("call", [eagerly, in_tf_data])


def columns(rows):
    return map(list, zip(*rows, strict=True))


def seeds(n, key=0):
    return np.stack([np.arange(n), np.full(n, key)], 1)


def views(picture, n, *options, **more):
    """Views of one picture for `n` seeds, `[n, crop, crop, 3]`."""
    rows = tf.data.Dataset.from_tensor_slices(seeds(n))
    rows = rows.map(
        lambda seed: train_view_of_pixels(picture, seed, View(*options, **more)),
        num_parallel_calls=4,
    )
    return next(rows.batch(n).as_numpy_iterator())


# Rescaling


@both_ways
def test_the_smaller_side_becomes_exactly_s_and_the_other_is_rounded_to_nearest(call):
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
    got = call(rescaled_size, *columns(sizes))
    assert got == [plain_rescaled_size(*size) for size in sizes]
    assert [min(size) for size in got] == [S for *_, S in sizes]


@both_ways
def test_a_crop_of_the_rescaled_image_equals_rescaling_all_of_it_and_cutting(call):
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
    # 0.01 grey levels are the rounding of float32 positions. On noise, pixel centres at whole
    # numbers, no antialiasing, or the exact size in place of the rounded one would move pixels by
    # tens.
    np.testing.assert_allclose(got, expected, rtol=0, atol=0.01)


@both_ways
def test_without_rescaling_a_crop_is_cut_out_unchanged(call):
    picture = noise(20, 31)
    corners = [(0, 0), (3, 9), (4, 15)]
    got = call(lambda top, left: crop_of_rescaled(picture, 20, top, left, 16), *columns(corners))
    np.testing.assert_array_equal(
        got, [picture[top : top + 16, left : left + 16] for top, left in corners]
    )


def test_between_pixels_and_beyond_the_picture_a_crop_is_mixed():
    picture = noise(20, 31)
    between = crop_of_rescaled(picture, 20, 3.5, 9.0, 16).numpy()
    np.testing.assert_allclose(
        between, (picture[3:19, 9:25] / 2.0 + picture[4:20, 9:25] / 2.0), atol=1e-3
    )
    beyond = crop_of_rescaled(picture, 20, -3, 9, 16).numpy()
    np.testing.assert_array_equal(beyond[3:], picture[:13, 9:25])


# Formats


def jpeg(picture, **options):
    return encode(picture, "jpeg", quality=80, **options)


def with_alpha(picture):
    return Image.fromarray(np.concatenate([picture, picture[::-1, :, :1]], 2))


JPEGS = {
    "4:4:4": lambda picture: jpeg(picture, subsampling=0),
    "4:2:2": lambda picture: jpeg(picture, subsampling=1),
    "4:2:0": lambda picture: jpeg(picture, subsampling=2),
    "progressive": lambda picture: jpeg(picture, progressive=True),
    "grey": lambda picture: jpeg(Image.fromarray(picture).convert("L")),
    "CMYK": lambda picture: jpeg(Image.fromarray(picture).convert("CMYK")),
}
LOSSLESS = {
    "RGB PNG": lambda picture: encode(picture, "png"),
    "PNG with alpha": lambda picture: encode(with_alpha(picture), "png"),
    "grey PNG": lambda picture: encode(Image.fromarray(picture).convert("L"), "png"),
    "palette PNG": lambda picture: encode(Image.fromarray(picture).quantize(200), "png"),
    "1-bit PNG": lambda picture: encode(Image.fromarray(picture).convert("1"), "png"),
    "RGB BMP": lambda picture: encode(picture, "bmp"),
    "BMP with alpha": lambda picture: encode(with_alpha(picture), "bmp"),
    "grey BMP": lambda picture: encode(Image.fromarray(picture).convert("L"), "bmp"),
    "GIF": lambda picture: encode(Image.fromarray(picture).quantize(200), "gif"),
}
FORMATS = JPEGS | LOSSLESS


def decoded_by_pil(contents):
    image = Image.open(io.BytesIO(contents))
    return np.asarray(image)[:, :, :3] if image.mode == "RGBA" else np.asarray(image.convert("RGB"))


@both_ways
def test_every_format_decodes_to_what_pil_decodes(call):
    contents = [make(noise(13, 22)) for make in FORMATS.values()]
    for kind, content, got in zip(FORMATS, contents, call(decoding.decode, contents), strict=True):
        assert got.dtype == np.uint8
        # Builds of libjpeg differ by a level in the inverse DCT and the colour conversion; lossless
        # is lossless.
        tolerance = 1 if kind in JPEGS else 0
        np.testing.assert_allclose(
            got.astype(int), decoded_by_pil(content), rtol=0, atol=tolerance, err_msg=kind
        )


@both_ways
def test_of_an_animation_the_first_frame_is_seen(call):
    first, second = (Image.fromarray(noise(9, 14, seed)).quantize(256) for seed in (1, 2))
    contents = encode(first, "gif", save_all=True, append_images=[second, second])
    assert Image.open(io.BytesIO(contents)).n_frames > 1
    np.testing.assert_array_equal(call(decoding.decode, [contents])[0], first.convert("RGB"))


@both_ways
def test_sixteen_bit_pixels_keep_their_upper_byte(call):
    pixels = np.random.default_rng(0).integers(0, 2**16, (9, 7), np.uint16)
    (got,) = call(decoding.decode, [encode(Image.fromarray(pixels), "png")])
    np.testing.assert_array_equal(got, np.repeat((pixels >> 8)[:, :, None], 3, 2))


@both_ways
def test_a_palette_bmp_is_decoded_to_its_colours_or_refused(call):
    contents = encode(Image.fromarray(noise(9, 14)).quantize(256), "bmp")
    try:
        (got,) = call(decoding.decode, [contents])
    except tf.errors.InvalidArgumentError:
        return
    np.testing.assert_array_equal(got, decoded_by_pil(contents))


@both_ways
def test_an_orientation_tag_is_not_applied(call):
    tag = Image.Exif()
    tag[0x0112] = 6  # to be turned by 90 degrees before it is looked at
    pair = [jpeg(noise(12, 20)), jpeg(noise(12, 20), exif=tag)]
    assert Image.open(io.BytesIO(pair[1])).getexif()[0x0112] == 6
    plain, tagged = call(decoding.decode, pair)
    assert plain.shape == (12, 20, 3)
    np.testing.assert_array_equal(tagged, plain)
    plain, tagged = (
        train_view(contents, np.array([3, 4]), View(10, (10, 16))) for contents in pair
    )
    np.testing.assert_array_equal(tagged, plain)


@pytest.mark.parametrize(
    "contents", [b"", b"no image", b"BM", b"\xff\xd8\xff", encode(noise(9, 9), "png")[:-30]]
)
def test_bytes_that_are_no_whole_image_are_refused(contents):
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"(?i)empty|unknown image|incomplete|invalid jpeg|invalid png",
    ):
        decoding.decode(contents)


# Training views


@pytest.mark.parametrize(
    ("crop", "scale", "more"),
    [(16, (16, 24), {}), (32, (32, 80), {"padding": 12, "cutout": 9})],
    ids=["plain", "padding, cutout"],
)
def test_the_decoded_window_of_a_jpeg_gives_the_view_of_all_its_pixels(crop, scale, more):
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
        window = train_view(contents, seed, view)
        return window, train_view_of_pixels(decoding.decode(contents), seed, view)

    pairs = in_tf_data(pair, contents, seeds(len(contents)))
    difference = np.array([np.abs(window.astype(int) - whole) for window, whole in pairs])
    # The window's positions are float32 numbers of another size: a value next to a half is rounded
    # the other way, once in a thousand at most. Chroma upsampled over the window's edge would move
    # its pixels by more than a level.
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
def test_a_view_of_a_jpeg_is_a_crop_of_the_whole_rescaled_by_pil_within_half_a_level(call, h, w, S):
    crop, contents = (
        38,
        [
            JPEGS[kind](picture(h, w))
            for kind in ("4:2:0", "4:4:4", "grey")
            for picture in (noise, waves)
        ],
    )
    new_h, new_w = plain_rescaled_size(h, w, S)
    got = call(
        lambda content, seed: train_view(content, seed, View(crop, S, shift=0)), contents, seeds(6)
    )
    for content, view in zip(contents, got, strict=True):
        whole = rescaled_by_pil(decoding.decode(content).numpy(), new_h, new_w)
        cuts = [
            whole[t : t + crop, e : e + crop]
            for t in range(new_h - crop + 1)
            for e in range(new_w - crop + 1)
        ]
        # Rounding, and the float32 of the positions. Antialiasing, sizes and corners are PIL's, or
        # this would be tens.
        assert (
            min(
                np.abs(cut[:, side] - view).max()
                for cut in cuts
                for side in (slice(None), slice(None, None, -1))
            )
            < 0.52
        )


def test_the_same_seed_gives_the_same_view_and_another_seed_another():
    contents = [
        FORMATS[kind](noise(40, 50))
        for kind in ("4:2:0", "CMYK", "PNG with alpha", "grey BMP", "GIF")
    ]
    pairs = np.array([[5, 6], [5, 6], [5, 7], [6, 6], [6, 5], [5, 6 + (1 << 32)]])
    rows = [(content, pair) for content in contents for pair in pairs]
    view = View(16, (16, 40))
    got = in_tf_data(lambda content, pair: train_view(content, pair, view), *columns(rows))
    got = np.reshape(got, (len(contents), len(pairs), 16, 16, 3))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got[:, 0], got[:, 1])
    for i in range(2, len(pairs)):
        assert ((got[:, 0] != got[:, i]).mean((1, 2, 3)) > 0.5).all()


def test_a_view_is_the_same_eagerly_and_inside_tf_data():
    contents = [make(noise(40, 50)) for make in FORMATS.values()]

    def look(content, seed):
        return train_view(content, seed, View(16, (16, 40), padding=3, cutout=5))

    np.testing.assert_array_equal(
        *(call(look, contents, seeds(len(contents))) for call in (eagerly, in_tf_data))
    )


def assert_equally_often(counts, draws):
    """Each value occurs, as often as any other but for five standard deviations of the binomial."""
    expected = draws / len(counts)
    assert np.abs(np.asarray(counts) - expected).max() < 5 * np.sqrt(expected)


def test_every_corner_is_drawn_equally_often_and_half_of_the_views_are_mirrored():
    picture, crop, n = coordinates(20, 23), 16, 2000
    cuts = views(picture, n, crop, (20, 20), shift=0).astype(int)
    mirrored = cuts[:, 0, 0, 0] > cuts[:, 0, -1, 0]
    upright = np.where(mirrored[:, None, None, None], cuts[:, :, ::-1], cuts)
    left, top, _ = upright[:, 0, 0].T
    for cut, t, e in zip(upright, top, left, strict=True):
        np.testing.assert_array_equal(cut, picture[t : t + crop, e : e + crop])
    for draw, values in ((top, 5), (left, 8), (mirrored, 2)):
        assert_equally_often(np.bincount(draw, minlength=values), n)
    # Together, so that none of the three draws hangs on another.
    together = np.bincount((top * 8 + left) * 2 + mirrored, minlength=5 * 8 * 2)
    assert together.all()
    assert_equally_often(together, n)


def test_without_flip_no_view_is_mirrored():
    cuts = views(coordinates(20, 23), 100, 16, (20, 20), flip=False, shift=0).astype(int)
    assert (np.diff(cuts[..., 0], axis=2) == 1).all()


def test_every_s_from_s_min_to_s_max_is_drawn_equally_often():
    # A ramp of 16 levels a pixel: enlarged to S it rises by 16 * 16 / S, which a span of 9 pixels
    # tells to a quarter of S.
    ramp, n = 16 * coordinates(16, 16)[:, :, [0, 0, 0]], 1500
    cuts = views(ramp, n, 16, (16, 20), flip=False, shift=0).astype(int)
    S = 9 * 16 * 16 / (cuts[:, 0, 12, 0] - cuts[:, 0, 3, 0])
    assert np.abs(S - np.round(S)).max() < 0.3
    assert set(np.round(S)) == {16, 17, 18, 19, 20}
    assert_equally_often(np.bincount(np.round(S).astype(int) - 16), n)


@both_ways
def test_an_image_smaller_than_the_crop_or_one_pixel_wide_is_enlarged_and_cut(call):
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
        return train_view(contents, seed, View(crop, crop, flip=False, shift=0))

    for view, possible in zip(call(look, *columns(rows)), cuts, strict=True):
        # Half a level of rounding, and one where PIL's JPEG decoder is of another build.
        assert np.abs(possible - view).max((1, 2, 3)).min() < 1.6


def test_with_padding_every_corner_of_the_mirrored_surroundings_is_drawn_equally_often():
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
def test_cutout_gives_the_mean_colour_to_a_square_around_each_pixel_equally_often(side, n):
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
def test_padding_that_is_no_number_of_pixels_below_the_crops_is_refused(padding):
    with pytest.raises(ValueError, match=f"below the crop's side of 16 .* Received: {padding}"):
        View(16, 16, padding=padding)


@pytest.mark.parametrize("scale", [(15, 20), (20, 18), (15, 15)])
def test_scales_below_the_crop_or_in_the_wrong_order_are_refused(scale):
    with pytest.raises(
        ValueError,
        match=rf"not below the crop's side of 16 pixels. Received: \({scale[0]}, {scale[1]}\)",
    ):
        View(16, scale)


# Colours


@both_ways
def test_a_unit_amount_shifts_all_pixels_by_a_principal_axis_of_the_colours_largest_first(call):
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


def test_shifts_of_many_views_have_a_hundredth_of_the_colours_covariance():
    covariance = np.array([[4000, 3500, 3000], [3500, 4200, 3600], [3000, 3600, 4500]])
    n = 2000
    look = views(np.full((1, 1, 3), 128, np.uint8), n, 1, (1, 1), covariance=covariance)
    shifts = look.reshape(n, 3) - 128.0
    # Four standard errors: of a mean sqrt(45 / n) = 0.15, of a covariance sqrt(2 / n) * 45 = 1.4.
    # The pixels are rounded, which adds a twelfth on the diagonal.
    np.testing.assert_allclose(shifts.mean(0), 0, atol=0.6)
    np.testing.assert_allclose(np.cov(shifts.T), 0.01 * covariance + np.eye(3) / 12, atol=5.6)


def test_the_published_colours_shift_a_channel_by_about_seven_grey_levels():
    n = 1500
    shifts = views(np.full((1, 1, 3), 128, np.uint8), n, 1, (1, 1)).reshape(n, 3) - 128.0
    # The other reading of the recipe, eigenvalues in place of their roots, gives 3.2.
    np.testing.assert_allclose(shifts.std(0), 7.2, atol=0.5)
    # The first axis is brightness: the channels move together.
    assert np.corrcoef(shifts.T).min() > 0.7


def test_the_published_covariance_has_the_published_axes():
    values, vectors = np.linalg.eigh(colors.IMAGENET_COVARIANCE / 255**2)
    np.testing.assert_allclose(values[::-1], [0.2175, 0.0188, 0.0045], rtol=1e-3)
    np.testing.assert_allclose(np.abs(vectors[:, -1]), [0.5675, 0.5808, 0.5836], atol=1e-3)


def test_a_shift_moves_all_pixels_alike_and_leaves_corner_and_mirror_as_they_were():
    picture = 60 + noise(20, 23) // 2  # far from black and white
    shifted, plain = (
        views(picture, 50, 16, (16, 24), shift=shift).astype(int) for shift in (0.1, 0)
    )
    # Both were rounded: a shift of 2.4 moves some pixels by 2, some by 3.
    assert np.ptp(shifted - plain, axis=(1, 2)).max() <= 1
    assert np.abs(shifted - plain).max() > 10


def test_shifted_colours_stop_at_black_and_white():
    black, white = (
        views(np.full((1, 1, 3), level, np.uint8), 300, 1, (1, 1), shift=0.3).reshape(-1, 3)
        for level in (0, 255)
    )
    # One shift cannot move both: where it darkens black stays, where it brightens white does.
    # Wrapped round, both would move.
    assert ((black == 0) | (white == 255)).all()
    assert (black > 0).any(0).all()
    assert (white < 255).any(0).all()


# Centre views


@both_ways
def test_the_centre_view_leaves_equal_margins(call):
    sizes, crop = [(20, 33), (33, 20), (20, 20), (25, 20)], 16
    contents = [encode(coordinates(h, w), "png") for h, w in sizes]
    got = call(lambda content: center_view(decoding.decode(content), crop, 20), contents)
    for (h, w), view in zip(sizes, got, strict=True):
        left, top, _ = view[0, 0].astype(int)
        np.testing.assert_array_equal(view, coordinates(h, w)[top : top + crop, left : left + crop])
        # Of an odd rest the smaller half is above and on the left.
        assert (h - crop - top) - top == (h - crop) % 2
        assert (w - crop - left) - left == (w - crop) % 2


def test_a_view_is_rounded_to_nearest_not_cut_off():
    crop, Q, contents, exact = 16, 19, [], []
    for h, w in [(40, 61), (9, 7), (1, 12), (12, 1)]:
        contents.append(encode(noise(h, w), "png"))
        new_h, new_w = plain_rescaled_size(h, w, Q)
        top, left = (new_h - crop) // 2, (new_w - crop) // 2
        exact.append(
            rescaled_by_pil(noise(h, w), new_h, new_w)[top : top + crop, left : left + crop]
        )
    got = np.array([center_view(decoding.decode(content), crop, Q) for content in contents])
    assert got.dtype == np.uint8
    assert np.abs(got - exact).max() < 0.51


def test_a_centre_view_of_a_scale_below_the_crop_is_refused():
    with pytest.raises(
        ValueError, match=r"scale must be at least the crop's side\. Received: scale=200, crop=224"
    ):
        center_view(noise(30, 30), 224, 200)


@both_ways
def test_the_centre_view_of_torchvision_differs_from_its_resize_and_crop_by_one_level_at_most(call):
    sizes, crop, Q = (
        [(40, 61), (61, 40), (75, 100), (33, 50), (31, 24), (24, 24), (20, 99), (9, 7), (50, 41)],
        16,
        21,
    )
    contents = [encode(picture(h, w), "png") for h, w in sizes for picture in (noise, waves)]
    got = call(
        lambda content: center_view(decoding.decode(content), crop, Q, torchvision=True), contents
    )
    cut_down = 0
    for content, view in zip(contents, got, strict=True):
        # What transforms.Resize(Q) and CenterCrop(crop) compute of a PIL image (torchvision 0.28,
        # _compute_resized_output_size and center_crop).
        image = Image.open(io.BytesIO(content))
        w, h = image.size
        short, long = min(w, h), max(w, h)
        new_w, new_h = (Q, int(Q * long / short)) if w <= h else (int(Q * long / short), Q)
        cut_down += (new_h, new_w) != plain_rescaled_size(h, w, Q)
        whole = np.asarray(image.resize((new_w, new_h), Image.Resampling.BILINEAR)).astype(int)
        top, left = round((new_h - crop) / 2.0), round((new_w - crop) / 2.0)
        difference = np.abs(whole[top : top + crop, left : left + crop] - view)
        # PIL rounds to whole levels between its passes, too.
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.4
    assert cut_down >= 4  # the sizes that tell truncation from rounding


# process_path

CLASSES = ("cat", "dog", "newt")


@pytest.fixture
def photos(tmp_path):
    """Paths of one picture of each class, 18 x 21 pixels, so that a scale of 18 leaves them as they
    are.
    """
    paths = []
    for name, kind in zip(CLASSES, ("png", "bmp", "jpeg"), strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name} 1.{kind}").write_bytes(encode(coordinates(18, 21), kind))
        paths.append(str(tmp_path / name / f"{name} 1.{kind}"))
    return paths


@both_ways
def test_process_path_gives_the_position_of_the_folder_and_the_centre_view(call, photos):
    got = call(lambda path: process_path(path, CLASSES, 16, 18, training=False), photos)
    assert [label for _, label in got] == [0, 1, 2]
    assert {label.dtype for _, label in got} == {np.dtype(np.int64)}
    for path, (view, _) in zip(photos, got, strict=True):
        with open(path, "rb") as file:
            np.testing.assert_array_equal(view, center_view(decoding.decode(file.read()), 16, 18))


def test_in_training_process_path_gives_a_random_view_that_contents_and_seed_fix(photos):
    def look(path, seed):
        return process_path(path, CLASSES, 16, 18, seed=seed, shift=0)

    cuts, labels = columns(
        in_tf_data(look, np.repeat([photos[0], photos[1], photos[0]], 8), np.tile(np.arange(8), 3))
    )
    assert labels == [0] * 8 + [1] * 8 + [0] * 8
    for cut in cuts:
        upright = cut[:, ::-1] if cut[0, 0, 0] > cut[0, -1, 0] else cut
        left, top, _ = upright[0, 0]
        np.testing.assert_array_equal(
            upright, coordinates(18, 21)[top : top + 16, left : left + 16]
        )
    cat, dog, again = np.reshape(cuts, (3, 8, 16, 16, 3))
    np.testing.assert_array_equal(again, cat)
    assert len(np.unique(cat, axis=0)) > 4  # of 36
    assert (cat != dog).any((1, 2, 3)).sum() > 4  # the same pixels in a file of another format


def test_process_path_takes_a_range_of_scales(photos):
    def look(path, seed):
        return process_path(path, CLASSES, 16, (16, 32), seed=seed, flip=False, shift=0)[0]

    # The picture rises by a level a column: 11 columns hold 12 levels where it was shrunk to 16, 6
    # where enlarged to 32.
    slopes = [
        int(cut[0, 13, 0]) - int(cut[0, 2, 0])
        for cut in eagerly(look, [photos[0]] * 12, list(range(12)))
    ]
    assert min(slopes) <= 8
    assert max(slopes) >= 10


@both_ways
def test_a_folder_that_is_no_class_is_an_error_that_names_the_file(call, photos):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"(?s)not in class_names.*newt 1\.jpeg"
    ):
        call(lambda path: process_path(path, ["cat", "dog"], 16, 18, training=False), photos)


@pytest.mark.parametrize(
    ("call", "contents", "training"),
    [
        (in_tf_data, b"", False),
        (eagerly, b"", True),
        (eagerly, b"Dear diary", True),
        (eagerly, b"Dear diary", False),
    ],
)
def test_a_file_that_is_no_image_is_an_error_that_names_it(call, photos, contents, training):
    with open(photos[0], "wb") as file:
        file.write(contents)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"(?s)no JPEG, PNG, GIF or BMP.*cat 1\.png"
    ):
        call(lambda path: process_path(path, CLASSES, 16, 18, training=training), photos)


def test_a_file_that_is_not_there_is_an_error_that_names_it(photos):
    with pytest.raises(tf.errors.NotFoundError, match=r"cat 2\.png"):
        process_path(photos[0].replace("cat 1", "cat 2"), CLASSES, 16, 18)


@pytest.mark.parametrize(
    "old", [{"cut": 224}, {"S": 256}, {"max_delta": 0.1}, {"cut": 224, "S": 256, "max_delta": 0.1}]
)
def test_arguments_of_the_old_form_are_answered_with_the_new_ones(photos, old):
    names = ", ".join(old)
    with pytest.raises(
        TypeError,
        match=rf"crop= for cut=, scale= for S=, and shift= .*max_delta=.*Received: {names}\.",
    ):
        process_path(photos[0], CLASSES, **old)
