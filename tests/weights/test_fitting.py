"""A first kernel for RGB also fits gray images and other numbers of channels."""

import numpy as np

from tests.weights.making_networks import noise, tiny
from vgg_tf import load_weights
from vgg_tf.weights.fitting import adapt_channels
from vgg_tf.weights.normalization import read_statistics


def test_a_gray_image_gives_the_output_of_its_rgb_copy():
    # It is equal only if the three means are equal. The three stds may differ.
    color = tiny(mean=(110, 110, 110), std=(40, 60, 90))
    gray = tiny(input_shape=(64, 64, 1))
    report = load_weights(gray, color)
    assert report.copied["block1_conv1"] == "summed over RGB"
    np.testing.assert_allclose(read_statistics(gray), ([110], [190 / 3]))
    images = noise(3, 64, 64, 1)
    pairs = ((gray, images), (color, np.repeat(images, 3, -1)))
    outputs = [np.log(model(x).numpy().astype(np.float64)) for model, x in pairs]
    assert np.ptp(outputs[1], axis=1).min() > 0.1
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)


def test_an_image_repeated_to_six_channels_gives_the_output_of_the_image():
    color, six = tiny(std=(40, 60, 90)), tiny(input_shape=(64, 64, 6))
    report = load_weights(six, color)
    assert report.copied["block1_conv1"] == "repeated over 6 channels"
    images = noise(3, 64, 64, 3)
    np.testing.assert_allclose(six(np.concatenate([images, images], -1)), color(images), rtol=1e-5)


def test_four_channels_are_red_green_blue_red_scaled_by_three_quarters():
    kernel = noise(3, 3, 3, 2)
    four = adapt_channels(kernel, 4)
    assert four.dtype == np.float32
    for channel, of in enumerate([0, 1, 2, 0]):
        np.testing.assert_allclose(four[:, :, channel], kernel[:, :, of] * 0.75, rtol=1e-6)
