"""Every format is decoded to the pixels that PIL decodes, and other bytes raise an error."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.images.making_pictures import FORMATS, JPEGS, decoded_by_pil, encode, jpeg
from tests.images.making_views import both_ways
from tests.making import noise
from vgg_tf.images import decoding
from vgg_tf.images.augmentation import View
from vgg_tf.images.views import make_train_view


@both_ways
def test_every_format_decodes_to_the_pixels_of_pil(call):
    contents = [make(noise(13, 22)) for make in FORMATS.values()]
    for kind, content, got in zip(FORMATS, contents, call(decoding.decode, contents), strict=True):
        assert got.dtype == np.uint8
        # Builds of libjpeg differ by a level in the inverse DCT and the color conversion.
        tolerance = 1 if kind in JPEGS or "alpha" in kind else 0
        np.testing.assert_allclose(
            got.astype(int), decoded_by_pil(content), rtol=0, atol=tolerance, err_msg=kind
        )


@both_ways
def test_an_animated_gif_decodes_to_its_first_frame(call):
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
def test_a_palette_bmp_decodes_to_its_colors_or_raises_an_error(call):
    contents = encode(Image.fromarray(noise(9, 14)).quantize(256), "bmp")
    try:
        (got,) = call(decoding.decode, [contents])
    except tf.errors.InvalidArgumentError:
        return
    np.testing.assert_array_equal(got, decoded_by_pil(contents))


@both_ways
def test_an_orientation_tag_is_not_applied(call):
    tag = Image.Exif()
    tag[0x0112] = 6  # rotate by 90 degrees
    pair = [jpeg(noise(12, 20)), jpeg(noise(12, 20), exif=tag)]
    assert Image.open(io.BytesIO(pair[1])).getexif()[0x0112] == 6
    plain, tagged = call(decoding.decode, pair)
    assert plain.shape == (12, 20, 3)
    np.testing.assert_array_equal(tagged, plain)
    plain, tagged = (
        make_train_view(contents, np.array([3, 4]), View(10, (10, 16))) for contents in pair
    )
    np.testing.assert_array_equal(tagged, plain)


@pytest.mark.parametrize(
    "contents", [b"", b"no image", b"BM", b"\xff\xd8\xff", encode(noise(9, 9), "png")[:-30]]
)
def test_bytes_that_are_not_a_complete_image_raise_an_error(contents):
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"(?i)empty|not a picture|incomplete|invalid jpeg|invalid png",
    ):
        decoding.decode(contents)
