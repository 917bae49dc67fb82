"""Statistics of the colors and sizes of images."""

import json

import numpy as np
import pytest

from tests.records.making import noise, png, source
from vgg_tf.images.colors import measure_colors
from vgg_tf.images.decoding import decode_named
from vgg_tf.records.splits import Split
from vgg_tf.records.statistics import Measures, measure


def plain_moments(pictures):
    """Return mean and covariance with equal weight per picture, in two float64 passes."""
    flat = [picture.reshape(-1, 3).astype(float) for picture in pictures]
    mean = np.mean([pixels.mean(0) for pixels in flat], 0)
    return mean, np.mean([(pixels - mean).T @ (pixels - mean) / len(pixels) for pixels in flat], 0)


def added(pictures):
    measures = Measures()
    for picture in pictures:
        measures.add(*measure_colors(picture), min(picture.shape[:2]), len(png(picture)))
    return measures


def test_statistics_of_images_of_one_size_are_those_of_all_pixels():
    pictures = [noise(12, 17, i) // (i + 1) + 10 * i for i in range(8)]
    collection = measure(source(pictures))
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    np.testing.assert_allclose(collection.mean_rgb, pixels.mean(0), atol=1e-4)
    np.testing.assert_allclose(collection.covariance_rgb, np.cov(pixels.T, ddof=0), atol=1e-2)
    np.testing.assert_allclose(collection.std_rgb, pixels.std(0), atol=1e-4)
    assert collection.statistics_images == 8


def test_images_of_all_sizes_have_equal_weight():
    pictures = [noise(2, 2), noise(40, 60) // 4 + 180, noise(1, 9) // 3]
    mean, covariance = plain_moments(pictures)
    collection = measure(source(pictures))
    np.testing.assert_allclose(collection.mean_rgb, mean, atol=1e-4)
    np.testing.assert_allclose(collection.covariance_rgb, covariance, atol=1e-2)
    # With equal weight per pixel, the large image would dominate.
    assert (
        np.abs(
            np.concatenate([picture.reshape(-1, 3) for picture in pictures]).mean(0) - mean
        ).min()
        > 30
    )


@pytest.mark.parametrize("levels", [1, 2])
def test_statistics_of_a_large_bright_image_are_precise(levels):
    # A float32 sum of squares of 254 has an error above this variance, which can become negative.
    picture = 254 + noise(200, 4000) % levels
    collection = added([picture]).make_collection(source([picture]))
    mean, covariance = plain_moments([picture])
    np.testing.assert_allclose(collection.mean_rgb, mean, atol=1e-3)
    np.testing.assert_allclose(collection.covariance_rgb, covariance, atol=1e-3)
    np.testing.assert_allclose(collection.std_rgb, (levels - 1) / 2, atol=1e-3)


def test_smaller_side_is_a_median_and_bytes_are_a_mean():
    pictures = [noise(h, w) for h, w in [(4, 9), (5, 7), (20, 6), (8, 8), (30, 40)]]
    collection = measure(source(pictures))
    assert collection.smaller_side == np.median([4, 5, 6, 8, 30])
    assert collection.bytes_per_image == round(np.mean([len(png(picture)) for picture in pictures]))


def test_sums_of_shards_from_json_equal_the_sums_of_all_images():
    pictures = [noise(5 + i % 3, 7, i) for i in range(9)]
    whole = added(pictures)
    parts = [added(pictures[i::3]) for i in range(3)]
    parts = [Measures.from_json(json.loads(json.dumps(part.to_json()))) for part in parts]
    total = sum(parts, Measures())
    assert (total.images, total.sides, total.bytes) == (whole.images, whole.sides, whole.bytes)
    np.testing.assert_allclose(total.color, whole.color, rtol=1e-12)
    np.testing.assert_allclose(total.square, whole.square, rtol=1e-12)
    assert total.make_collection(source(pictures)) == whole.make_collection(source(pictures))


def test_only_train_is_measured_and_samples_are_evenly_spaced():
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


def test_the_error_for_an_unreadable_image_names_it():
    assert (decode_named(png(noise(3, 4)), "x.png") == noise(3, 4)).all()
    with pytest.raises(ValueError, match=r"^cannot read cat/1.png: the file is empty$"):
        decode_named(b"", "cat/1.png")
    with pytest.raises(ValueError, match=r"^cannot read cat/2.png: it is not a picture"):
        decode_named(b"Dear diary", "cat/2.png")
    broken = source([noise(3, 3), noise(3, 3)])
    broken.splits["train"].contents[1] = png(noise(9, 9))[:-40]
    with pytest.raises(ValueError, match=r"^cannot read 1.png: Invalid PNG data"):
        measure(broken)
