"""Presets of Keras Hub give the outputs for their scale and offset."""

import json

import numpy as np
import pytest

from tests.weights.making_files import (
    HIDDEN,
    IMAGES,
    agrees_and_mistakes_do_not,
    keras_layers,
    keras_scores,
    log_posteriors,
    new_h5,
    spread,
    tiny,
)
from vgg_tf import read_weights
from vgg_tf.paper.architectures import IMAGENET_MEAN
from vgg_tf.weights.preprocessing import UNKNOWN_MEAN


def preset(folder, layers, converter=None, head=True, dense=True):
    """Write a folder as `save_to_preset` of keras-hub 0.32 does.

    task.weights.h5 has only the head.
    """
    folder.mkdir()
    trunk = {name: array for name, array in layers.items() if name.startswith("block")}
    rest = {name: array for name, array in layers.items() if name not in trunk}
    if not dense:  # pooling="avg" and "max"
        rest["fc1.kernel"] = rest["fc1.kernel"].reshape(2, 2, -1, HIDDEN)
        rest["fc2.kernel"] = rest["fc2.kernel"].reshape(1, 1, HIDDEN, HIDDEN)
    (folder / "config.json").write_text(
        json.dumps({"class_name": "VGGBackbone", "registered_name": "keras_hub>VGGBackbone"})
    )
    (folder / "metadata.json").write_text(json.dumps({"keras_hub_version": "0.32.0"}))
    new_h5(folder / "model.weights.h5", trunk, "vgg_backbone")
    if head:
        (folder / "task.json").write_text("{}")
        new_h5(
            folder / "task.weights.h5",
            rest,
            "vgg_image_classifier",
            "layers/sequential/",
            optimizer=True,
        )
    if converter is not None:
        config = {
            "config": {"image_converter": {"class_name": "VGGImageConverter", "config": converter}}
        }
        (folder / "preprocessor.json").write_text(json.dumps(config))


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize(
    ("converter", "scale", "offset"),
    [
        # Similar to the presets vgg_*_imagenet, which come from torchvision.
        (
            {"scale": [0.017, 0.018, 0.017], "offset": [-2.1, -2.0, -1.8]},
            (0.017, 0.018, 0.017),
            (-2.1, -2.0, -1.8),
        ),
        ({"scale": 1 / 255, "offset": None}, 1 / 255, 0),
        ({"scale": None, "offset": -100.0}, 1, -100),
    ],
)
def test_a_preset_of_keras_hub_gives_the_outputs_for_its_scale_and_offset(
    converter, scale, offset, dense, tmp_path
):
    layers = keras_layers("vgg11")
    layers = spread(
        layers, keras_scores(layers, IMAGES * scale + offset), "predictions", ("kernel", "bias")
    )
    preset(tmp_path / "vgg", layers, converter, dense=dense)
    model = tiny(weights=tmp_path / "vgg")
    x = IMAGES * np.array(scale) + np.array(offset)
    mistaken = {
        "BGR": keras_scores(layers, x[..., ::-1]),
        "the paper's mean": keras_scores(layers, IMAGES - IMAGENET_MEAN),
    }
    agrees_and_mistakes_do_not(log_posteriors(model), keras_scores(layers, x), mistaken)


def test_a_preset_without_a_head_has_notes_about_the_head_and_the_mean(tmp_path):
    layers = keras_layers("vgg11")
    preset(tmp_path / "vgg", layers, head=False)
    weights = read_weights(tmp_path / "vgg")
    assert weights.notes == ("not in the preset: fc1, fc2, predictions", UNKNOWN_MEAN)
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], layers["block1_conv1.kernel"]
    )
    only = {name: array for name, array in layers.items() if "fc" not in name}
    preset(
        tmp_path / "cut",
        only | {"predictions.kernel": layers["predictions.kernel"]},
        {"scale": 1, "offset": 0},
    )
    assert read_weights(tmp_path / "cut").notes == ("not in the preset: fc1, fc2",)


def test_a_file_of_a_preset_is_not_assumed_to_take_bgr(tmp_path):
    layers = keras_layers("vgg11")
    preset(tmp_path / "vgg", layers)
    weights = read_weights(tmp_path / "vgg" / "model.weights.h5")
    assert (weights.mean, weights.notes) == (None, (UNKNOWN_MEAN,))
    np.testing.assert_array_equal(
        weights.layers["block1_conv1"]["kernel"], layers["block1_conv1.kernel"]
    )
