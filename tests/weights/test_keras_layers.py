"""Keras files and models give the outputs of their writers. Only Caffe's take BGR."""

import keras
import numpy as np
import pytest

from tests.weights.making_files import (
    HIDDEN,
    IMAGES,
    agrees_and_mistakes_do_not,
    caffe,
    keras_layers,
    keras_scores,
    kerass,
    log_posteriors,
    new_h5,
    old_h5,
    outputs,
    scrambled,
    spread,
    tiny,
)
from vgg_tf import read_weights
from vgg_tf.paper.architectures import IMAGENET_MEAN
from vgg_tf.weights.preprocessing import UNKNOWN_MEAN


def caffe_case():
    """Return weights in Caffe's layout, and the logits of likely mistakes in reading them."""
    layers = keras_layers()
    layers = spread(layers, keras_scores(layers, caffe(IMAGES)), "predictions", ("kernel", "bias"))
    fc1 = layers["fc1.kernel"].reshape(2, 2, -1, HIDDEN).transpose(2, 0, 1, 3).reshape(-1, HIDDEN)
    return layers, {
        "channels swapped": keras_scores(layers, caffe(IMAGES)[..., ::-1]),
        "the mean of BGR on RGB": keras_scores(
            layers, (IMAGES - np.array([103.939, 116.779, 123.68]))[..., ::-1]
        ),
        "fc1 channel by channel": keras_scores(layers | {"fc1.kernel": fc1}, caffe(IMAGES)),
        "kernels flipped": keras_scores(
            {name: a[::-1, ::-1] if a.ndim == 4 else a for name, a in layers.items()}, caffe(IMAGES)
        ),
    }


@pytest.mark.parametrize(
    "options",
    [
        {"style": "W"},
        {"style": "kernel"},
        {"style": "numbered"},
        {"style": "W", "whole": True},
        {"style": "kernel", "whole": True},
        {"style": "kernel", "whole": True, "nested": True},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_a_file_of_keras_applications_gives_the_outputs_of_caffe(options, tmp_path):
    layers, mistaken = caffe_case()
    old_h5(tmp_path / "vgg16.h5", layers, **options)
    model = tiny("vgg16", weights=tmp_path / "vgg16.h5")
    agrees_and_mistakes_do_not(log_posteriors(model), keras_scores(layers, caffe(IMAGES)), mistaken)


def test_a_file_of_keras_3_gives_the_outputs_of_caffe(tmp_path):
    layers, mistaken = caffe_case()
    new_h5(tmp_path / "a.weights.h5", layers, optimizer=True)
    model = tiny("vgg16", weights=tmp_path / "a.weights.h5")
    agrees_and_mistakes_do_not(log_posteriors(model), keras_scores(layers, caffe(IMAGES)), mistaken)
    assert (
        read_weights(tmp_path / "a.weights.h5")
        .notes[0]
        .startswith("no preprocessing in the file: assumed BGR")
    )


def test_a_file_without_top_gives_the_same_feature_maps(tmp_path):
    layers = keras_layers("vgg19", top=False)
    old_h5(tmp_path / "vgg19_notop.h5", layers, "W")
    model = tiny("vgg19", weights=tmp_path / "vgg19_notop.h5", include_top=False)
    expected = keras_scores(layers, caffe(IMAGES))
    np.testing.assert_allclose(outputs(model), expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_vgg16_of_keras_gives_its_features_from_every_file_format(tmp_path):
    theirs = kerass()
    images = IMAGES[:2, :32, :32]
    expected = outputs(theirs, keras.applications.vgg16.preprocess_input(images.copy()))
    wrapped = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            theirs,
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="mine"),
        ]
    )
    ours = tiny("vgg16", include_top=False, input_shape=(32, 32, 3))
    for model, name in (
        (theirs, "a.h5"),
        (theirs, "a.keras"),
        (theirs, "a.weights.h5"),
        (wrapped, "b.h5"),
        (wrapped, "b.weights.h5"),
    ):
        (model.save_weights if name.endswith(".weights.h5") else model.save)(tmp_path / name)
        weights = read_weights(tmp_path / name)
        (tmp_path / name).unlink()
        assert weights.mean == IMAGENET_MEAN
        assert ("not used: mine" in weights.notes) == (model is wrapped)
        assert weights.layers.keys() == {layer.name for layer in theirs.layers if layer.weights}
        for layer, values in weights.layers.items():
            kernel, bias = theirs.get_layer(layer).get_weights()
            np.testing.assert_array_equal(
                values["kernel"], kernel[:, :, ::-1] if layer == "block1_conv1" else kernel
            )
            np.testing.assert_array_equal(values["bias"], bias)
            if name == "a.h5":  # all files have the same values
                ours.get_layer(layer).set_weights(list(values.values()))
    features = outputs(ours, images)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5", "model"])
def test_a_network_that_rescales_its_input_is_not_assumed_to_take_bgr(name, tmp_path):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, name="block1_conv1")(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, x)
    if name != "model":
        (model.save if name == "a.keras" else model.save_weights)(tmp_path / name)
    weights = read_weights(model if name == "model" else tmp_path / name)
    if name == "a.weights.h5":  # has no configuration
        assert (weights.mean, weights.notes) == (None, (UNKNOWN_MEAN,))
    else:
        np.testing.assert_allclose((weights.mean, weights.std), ((0,) * 3, (255,) * 3), rtol=1e-12)
        assert weights.notes == ()
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], model.get_layer("block1_conv1").kernel
    )


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_saved_model_of_build_vgg_has_its_mean_and_std(name, tmp_path):
    model = scrambled("vgg11_bn", mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    model.compile("adam", "categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)  # adds arrays of the optimizer
    model.save(tmp_path / name)
    weights = read_weights(tmp_path / name)
    assert (weights.mean, weights.std, weights.notes) == ((1, 2, 3), (4, 5, 6), ())
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], model.get_layer("block1_conv1").kernel
    )
    moments = model.get_layer("block1_bn1").get_weights()
    np.testing.assert_array_equal(weights.layers["block1_bn1"]["moving_variance"], moments[3])


def test_weights_saved_by_keras_without_the_mean_have_a_note(tmp_path):
    model = scrambled(mean=(1.0, 2.0, 3.0))
    model.save_weights(tmp_path / "a.weights.h5")
    weights = read_weights(tmp_path / "a.weights.h5")
    assert (weights.mean, weights.notes) == (None, (UNKNOWN_MEAN,))
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], model.get_layer("block1_conv1").kernel
    )


@pytest.mark.parametrize("name", ["a.keras", "model"])
def test_a_network_that_adapted_its_mean_keeps_it(name, tmp_path):
    inputs = keras.Input((32, 32, 3))
    normalize = keras.layers.Normalization(name="normalize")
    normalize.adapt(IMAGES)
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="block1_conv1")(normalize(inputs)))
    if name != "model":
        model.save(tmp_path / name)
    weights = read_weights(model if name == "model" else tmp_path / name)
    pixels = IMAGES.reshape(-1, 3)
    np.testing.assert_allclose(weights.mean, pixels.mean(0), rtol=1e-5)
    np.testing.assert_allclose(weights.std, pixels.std(0), rtol=1e-5)
    assert weights.notes == ()
