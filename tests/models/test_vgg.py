"""build_vgg makes the layers of Table 1, named as in Keras, and checks its arguments."""

import keras
import numpy as np
import pytest

from tests.models.making_networks import answer, noise, tiny
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper.architectures import ARCHITECTURES, find_architecture


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_layers_have_the_names_of_keras_and_their_number_is_in_the_architecture_name(arch):
    model = tiny(arch)
    with_kernel = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    assert len(with_kernel) == find_architecture(arch).weight_layers
    assert with_kernel[-3:] == ["fc1", "fc2", "predictions"]
    convs = [
        f"block{i}_conv{j}"
        for i, k in enumerate(find_architecture(arch).kernels, 1)
        for j in range(1, len(k) + 1)
    ]
    assert with_kernel[:-3] == convs
    assert [layer.name for layer in model.layers if layer.name.endswith("_pool")] == [
        f"block{i}_pool" for i in range(1, 6)
    ]


def test_vgg16_has_the_layer_names_and_shapes_of_keras_applications():
    ours = {
        w.path: tuple(w.shape)
        for w in build_vgg("vgg16", input_shape=(32, 32, 3), include_top=False).weights
    }
    theirs = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), include_top=False)
    assert ours == {w.path: tuple(w.shape) for w in theirs.weights}


def test_weights_of_keras_applications_give_the_same_features():
    # keras.applications expects the output of preprocess_input, BGR minus the mean. The input of
    # build_vgg is raw RGB, so the input channels of the first kernel are reversed. float32 sums are
    # in another order.
    theirs = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), include_top=False)
    ours = build_vgg("vgg16", input_shape=(32, 32, 3), include_top=False)
    weights = theirs.get_weights()
    ours.set_weights([weights[0][:, :, ::-1], *weights[1:]])
    images = noise(2, 32, 32, 3)
    expected = answer(theirs, keras.applications.vgg16.preprocess_input(images.copy()))
    np.testing.assert_allclose(
        answer(ours, images), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )


def test_a_saved_model_loads_with_the_same_outputs(tmp_path):
    model = tiny("vgg11_lrn", std=(50.0, 60.0, 70.0))
    model.save(tmp_path / "m.keras")
    images = noise(2, 32, 32, 3)
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "m.keras")(images), model(images)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "vgg17"}, "Unknown architecture 'vgg17'"),
        ({"input_shape": (None, None, 3)}, "must have fixed sides"),
        ({"input_shape": (31, 32, 3)}, "at least 32 pixels"),
        ({"input_shape": (32, 32)}, "3 channels for RGB"),
        ({"include_top": False, "pooling": "sum"}, 'pooling must be None, "avg" or "max"'),
        ({"classifier_activation": "relu"}, "classifier_activation must be"),
        ({"include_top": False, "dense": True}, "needs include_top=True"),
        ({"classes": 0}, "must be at least 1"),
        ({"initializer": "magic"}, "Unknown initializer 'magic'. Expected one of: auto, paper"),
    ],
)
def test_arguments_that_do_not_fit_raise_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_channels_first_in_the_settings_of_keras_are_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match=r"must be channels_last.*keras\.json"):
            build_vgg("vgg11", input_shape=(32, 32, 3), width=1 / 16)
    finally:
        keras.config.set_image_data_format("channels_last")
