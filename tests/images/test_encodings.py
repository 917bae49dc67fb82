"""All encodings give the pixels of the rules, in training and for exported files alike."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.images.making_encodings import encode, make_encodings
from tests.images.making_views import both_ways
from tests.making import noise
from vgg_tf.images import decoding
from vgg_tf.images.augmentation import View
from vgg_tf.images.flattening import decode_by_pillow
from vgg_tf.images.views import make_train_view

ZOO = make_encodings()


def test_the_zoo_has_more_than_sixty_encodings():
    assert len(ZOO) > 60


@both_ways
def test_training_sees_the_pixels_of_the_rules(call):
    got = call(decoding.decode, [contents for contents, _, _ in ZOO.values()])
    for name, pixels, (_, wanted, tolerance) in zip(ZOO, got, ZOO.values(), strict=True):
        assert pixels.dtype == np.uint8
        assert pixels.shape == wanted.shape, name
        assert np.abs(pixels - wanted.astype(float)).max() <= tolerance, name


@pytest.mark.parametrize("name", ZOO)
def test_exported_files_see_the_pixels_of_the_rules(name):
    contents, wanted, tolerance = ZOO[name]
    pixels = decode_by_pillow(contents)
    assert pixels.shape == wanted.shape
    assert np.abs(pixels - wanted.astype(float)).max() <= tolerance


@both_ways
def test_a_window_of_a_file_is_that_of_its_pixels(call):
    """A view of a file without scale is a crop, whatever its format."""
    view = View(20, 30, flip=False, shift=0.0)
    contents = [contents for contents, _, _ in ZOO.values()]
    got = call(lambda each: make_train_view(each, [1, 2], view), contents)
    for name, pixels, (_, wanted, tolerance) in zip(ZOO, got, ZOO.values(), strict=True):
        crops = np.lib.stride_tricks.sliding_window_view(wanted, (20, 20), (0, 1))
        away = np.abs(np.moveaxis(crops, 2, 4) - pixels.astype(float)).max((2, 3, 4))
        assert away.min() <= max(tolerance, 1), name


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_files_cut_at_ten_places_are_errors_for_both(kind):
    picture = Image.fromarray(noise(30, 40))
    whole = encode(picture.quantize(32) if kind == "GIF" else picture, kind)
    for share in np.linspace(0, 0.9, 10):
        cut = whole[: int(share * len(whole))]
        with pytest.raises(ValueError, match=r"cannot read a\.x: "):
            decoding.decode_named(cut, "a.x")
        with pytest.raises(ValueError, match=r"\w"):
            decode_by_pillow(cut)


def test_the_network_in_a_saved_model_sees_the_same_jpeg_and_png_pixels():
    names = [name for name in ZOO if name.startswith(("JPEG", "PNG")) and "CMYK" not in name]
    graph = tf.function(decoding.decode_exportable, [tf.TensorSpec([], tf.string)])
    for name in names:
        if "YCCK" not in name:
            contents, wanted, tolerance = ZOO[name]
            away = np.abs(graph(contents).numpy() - wanted.astype(float)).max()
            assert away <= tolerance, name
