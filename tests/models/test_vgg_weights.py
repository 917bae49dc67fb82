"""build_vgg(weights=...) copies what fits, reports what does not, and checks the network."""

import numpy as np
import pytest

from tests.models.making_networks import answer, noise, scrambled, tiny
from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.localization import session
from vgg_tf.paper import presets
from vgg_tf.paper.architectures import count_filters
from vgg_tf.weights.normalization import read_statistics
from vgg_tf.weights.writing import write_weights


def test_weights_set_the_number_of_classes_and_mean_and_std(tmp_path):
    source = scrambled(classes=7, mean=(90, 100, 110), std=(50, 60, 70))
    write_weights(source, tmp_path / "a.weights.h5")
    model = tiny(weights=tmp_path / "a.weights.h5", classes=None, input_shape=(64, 64, 3))
    images = noise(2, 64, 64, 3)
    np.testing.assert_array_equal(answer(model, images), answer(source, images))


@pytest.mark.parametrize(
    ("given", "mean", "std"),
    [
        ({}, (90, 100, 110), (4, 5, 6)),
        ({"mean": (1, 2, 3)}, (1, 2, 3), (4, 5, 6)),
        ({"std": (1, 2, 3)}, (90, 100, 110), (1, 2, 3)),
        ({"mean": (1, 2, 3), "std": (9, 9, 9)}, (1, 2, 3), (9, 9, 9)),
    ],
)
def test_given_mean_and_std_win_over_those_of_the_weights(given, mean, std):
    source = scrambled(mean=(90, 100, 110), std=(4, 5, 6))
    model = tiny(weights=source, input_shape=(64, 64, 3), **given)
    expected = tiny(input_shape=(64, 64, 3), mean=mean, std=std)
    expected.set_weights(source.get_weights())
    images = noise(2, 64, 64, 3)
    np.testing.assert_array_equal(answer(model, images), answer(expected, images))


def test_the_mean_of_a_network_for_gray_images_is_that_of_the_argument():
    source = scrambled(mean=(90, 100, 110))
    assert read_statistics(tiny(weights=source, input_shape=(64, 64, 1)))[0] == (100,)
    gray = tiny(weights=source, input_shape=(64, 64, 1), mean=(7,))
    assert read_statistics(gray)[0] == (7,)


def test_one_call_puts_new_classes_on_a_trained_trunk_and_reports_it(capsys):
    source = scrambled("vgg13_bn")
    model = tiny(
        "vgg13_bn", weights=source, classes=3, freeze_until="block4", input_shape=(64, 64, 3)
    )
    assert (
        "skipped  predictions: 5 classes in the source (16, 5), 3 in the target (16, 3)"
        in capsys.readouterr().out
    )
    assert model.output.shape == (None, 3)
    for layer in model.layers:
        if layer.weights and layer.name != "predictions":
            for ours, theirs in zip(
                layer.get_weights(), source.get_layer(layer.name).get_weights(), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)
    learning = {layer.name.split("_")[0] for layer in model.layers if layer.trainable_weights}
    assert learning == {"block4", "block5", "fc1", "fc2", "predictions"}


def test_a_trunk_without_a_head_gets_a_new_head_of_1000_classes(capsys):
    trunk = scrambled(include_top=False)
    assert tiny(weights=trunk, classes=None, input_shape=(64, 64, 3)).output.shape == (None, 1000)
    said = capsys.readouterr().out
    for name in ("fc1", "fc2", "predictions"):
        assert f"skipped  {name}: not in the source" in said


def test_weights_of_another_network_raise_an_error(tmp_path):
    with pytest.raises(
        ValueError, match=r"shapes of vgg13\. Received: block1_conv2: not in the source"
    ):
        tiny("vgg13", weights=scrambled(), input_shape=(64, 64, 3))
    with pytest.raises(
        ValueError,
        match=r"Received: fc1: shape \(256, 16\) in the source, \(576, 16\) in the target",
    ):
        tiny(weights=scrambled(), input_shape=(96, 96, 3))
    with pytest.raises(
        ValueError,
        match=r"block1_conv1: shape \(3, 3, 1, 8\) in the source, \(3, 3, 3, 8\) in the target",
    ):
        tiny(weights=scrambled(input_shape=(64, 64, 1)), input_shape=(64, 64, 3))


@pytest.mark.parametrize(("channels", "mean"), [(1, [110]), (4, [90, 100, 140, 90])])
def test_rgb_weights_are_adapted_to_other_numbers_of_channels(channels, mean):
    source = scrambled(mean=(90, 100, 140))
    model = tiny(weights=source, input_shape=(64, 64, channels))
    np.testing.assert_allclose(model.get_layer("normalize").input_mean, mean)
    kernel, rgb = (net.get_layer("block1_conv1").get_weights()[0] for net in (model, source))
    expected = rgb.sum(2, keepdims=True) if channels == 1 else rgb[:, :, [0, 1, 2, 0]] * 0.75
    np.testing.assert_allclose(kernel, expected, rtol=1e-5, atol=1e-7)


def test_a_dense_network_loads_the_weights_of_a_fully_connected_head():
    source = scrambled(classifier_activation=None)
    dense = tiny(weights=source, dense=True, input_shape=(64, 64, 3))
    images = noise(2, 64, 64, 3)
    scores = answer(source, images)
    np.testing.assert_allclose(answer(dense, images)[:, 0, 0], scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [0.02, 0.3])
def test_a_network_of_any_width_is_built_again_from_its_weights(width, tmp_path):
    source, path, images = (
        tiny("vgg11_bn", width=width),
        tmp_path / "a.safetensors",
        noise(2, 32, 32, 3),
    )
    write_weights(source, path)
    opened = open_checkpoint(path)
    for again in (tiny("vgg11_bn", weights=path, width=None), opened.build()):
        np.testing.assert_array_equal(answer(again, images), answer(source, images))
    assert count_filters(session._fit_recipe(opened, presets.BOXES).width) == count_filters(width)
