"""A first kernel for RGB also fits grey images and other numbers of channels."""

import numpy as np

from tests.weights.making_networks import noise, tiny
from vgg_tf import load_weights
from vgg_tf.weights.fitting import adapt_channels
from vgg_tf.weights.normalization import read_statistics


def test_grey_images_score_as_the_colour_images_of_three_such_channels():
    # Exactly so where the three means are one; what they are divided by may differ.
    colour = tiny(mean=(110, 110, 110), std=(40, 60, 90))
    grey = tiny(input_shape=(64, 64, 1))
    report = load_weights(grey, colour)
    assert report.copied["block1_conv1"] == "summed over RGB"
    np.testing.assert_allclose(read_statistics(grey), ([110], [190 / 3]))
    images = noise(3, 64, 64, 1)
    pairs = ((grey, images), (colour, np.repeat(images, 3, -1)))
    scores = [np.log(model(x).numpy().astype(np.float64)) for model, x in pairs]
    assert np.ptp(scores[1], axis=1).min() > 0.1
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


def test_a_picture_and_its_copy_in_six_channels_score_as_the_picture():
    colour, six = tiny(std=(40, 60, 90)), tiny(input_shape=(64, 64, 6))
    report = load_weights(six, colour)
    assert report.copied["block1_conv1"] == "repeated over 6 channels"
    images = noise(3, 64, 64, 3)
    np.testing.assert_allclose(six(np.concatenate([images, images], -1)), colour(images), rtol=1e-5)


def test_four_channels_are_red_green_blue_red_at_three_quarters():
    kernel = noise(3, 3, 3, 2)
    four = adapt_channels(kernel, 4)
    assert four.dtype == np.float32
    for channel, of in enumerate([0, 1, 2, 0]):
        np.testing.assert_allclose(four[:, :, channel], kernel[:, :, of] * 0.75, rtol=1e-6)
