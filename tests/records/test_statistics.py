"""Colors and sizes of many images are those of all their pixels."""

import json

import numpy as np
import pytest

from tests.records.making import noise, png, source
from vgg_tf.images.colors import measure_colors
from vgg_tf.images.decoding import decode_named
from vgg_tf.records.splits import Split
from vgg_tf.records.statistics import Measures, measure


def plain_moments(pictures):
    """Mean and covariance where every picture weighs the same, in two passes over float64
    pixels.
    """
    flat = [picture.reshape(-1, 3).astype(float) for picture in pictures]
    mean = np.mean([pixels.mean(0) for pixels in flat], 0)
    return mean, np.mean([(pixels - mean).T @ (pixels - mean) / len(pixels) for pixels in flat], 0)


def added(pictures):
    measures = Measures()
    for picture in pictures:
        measures.add(*measure_colors(picture), min(picture.shape[:2]), len(png(picture)))
    return measures


def test_mean_and_covariance_of_images_of_one_size_are_those_of_all_their_pixels():
    pictures = [noise(12, 17, i) // (i + 1) + 10 * i for i in range(8)]
    collection = measure(source(pictures))
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    np.testing.assert_allclose(collection.mean_rgb, pixels.mean(0), atol=1e-4)
    np.testing.assert_allclose(collection.covariance_rgb, np.cov(pixels.T, ddof=0), atol=1e-2)
    np.testing.assert_allclose(collection.std_rgb, pixels.std(0), atol=1e-4)
    assert collection.statistics_images == 8


def test_images_weigh_the_same_whatever_their_size():
    pictures = [noise(2, 2), noise(40, 60) // 4 + 180, noise(1, 9) // 3]
    mean, covariance = plain_moments(pictures)
    collection = measure(source(pictures))
    np.testing.assert_allclose(collection.mean_rgb, mean, atol=1e-4)
    np.testing.assert_allclose(collection.covariance_rgb, covariance, atol=1e-2)
    # The large one alone would otherwise decide.
    assert (
        np.abs(
            np.concatenate([picture.reshape(-1, 3) for picture in pictures]).mean(0) - mean
        ).min()
        > 30
    )


@pytest.mark.parametrize("greys", [1, 2])
def test_a_large_bright_image_of_few_colours_loses_no_digits(greys):
    # Squares of 254 added up in float32 would err by more than this variance, and below 0 it has no
    # root.
    picture = 254 + noise(200, 4000) % greys
    collection = added([picture]).make_collection(source([picture]))
    mean, covariance = plain_moments([picture])
    np.testing.assert_allclose(collection.mean_rgb, mean, atol=1e-3)
    np.testing.assert_allclose(collection.covariance_rgb, covariance, atol=1e-3)
    np.testing.assert_allclose(collection.std_rgb, (greys - 1) / 2, atol=1e-3)


def test_sides_and_bytes_are_told_a_picture():
    pictures = [noise(h, w) for h, w in [(4, 9), (5, 7), (20, 6), (8, 8), (30, 40)]]
    collection = measure(source(pictures))
    assert collection.smaller_side == np.median([4, 5, 6, 8, 30])
    assert collection.bytes_per_image == round(np.mean([len(png(picture)) for picture in pictures]))


def test_measures_add_up_shard_by_shard_also_through_json():
    pictures = [noise(5 + i % 3, 7, i) for i in range(9)]
    whole = added(pictures)
    parts = [added(pictures[i::3]) for i in range(3)]
    parts = [Measures.from_json(json.loads(json.dumps(part.to_json()))) for part in parts]
    total = sum(parts, Measures())
    assert (total.images, total.sides, total.bytes) == (whole.images, whole.sides, whole.bytes)
    np.testing.assert_allclose(total.color, whole.color, rtol=1e-12)
    np.testing.assert_allclose(total.square, whole.square, rtol=1e-12)
    assert total.make_collection(source(pictures)) == whole.make_collection(source(pictures))


def test_only_train_is_measured_and_a_sample_is_spread_evenly():
    pictures = [np.full((2, 2, 3), 10 * i, np.uint8) for i in range(11)]
    white = Split(["w.png"], np.array([0]), [png(np.full((2, 2, 3), 255, np.uint8))])
    assert measure(source(pictures, test=white)).mean_rgb == (50, 50, 50)
    sample = measure(
        source([*pictures[:10], np.full((2, 2, 3), 190, np.uint8)], test=white), sample=3
    )
    assert sample.statistics_images == 3
    np.testing.assert_allclose(
        sample.mean_rgb, (0 + 50 + 190) / 3, atol=1e-4
    )  # first, middle, last


def test_an_unreadable_image_is_named_with_what_is_wrong():
    assert (decode_named(png(noise(3, 4)), "x.png") == noise(3, 4)).all()
    with pytest.raises(ValueError, match=r"^cannot read cat/1.png: the file is empty$"):
        decode_named(b"", "cat/1.png")
    with pytest.raises(ValueError, match=r"^cannot read cat/2.png: Unknown image file format"):
        decode_named(b"Dear diary", "cat/2.png")
    broken = source([noise(3, 3), noise(3, 3)])
    broken.splits["train"].contents[1] = png(noise(9, 9))[:-40]
    with pytest.raises(ValueError, match=r"^cannot read 1.png: Invalid PNG data"):
        measure(broken)
