"""ImageNet's weights come from Keras, or the message says from where."""

import keras
import numpy as np
import pytest

from tests.weights.making_files import IMAGES, kerass, outputs
from vgg_tf import build_vgg
from vgg_tf.weights.imagenet import fetch_imagenet_weights


def published(monkeypatch, answer):
    asked = []

    def vgg16(weights, include_top):
        asked.append((weights, include_top))
        return answer()

    monkeypatch.setattr(keras.applications, "VGG16", vgg16)
    return asked


def test_imagenet_weights_come_from_keras_and_are_turned_to_rgb(monkeypatch):
    theirs = kerass()
    asked = published(monkeypatch, lambda: theirs)
    model = build_vgg("vgg16", weights="imagenet", include_top=False, input_shape=(32, 32, 3))
    assert asked == [("imagenet", False)]
    images = IMAGES[:, :32, :32]
    expected = outputs(theirs, keras.applications.vgg16.preprocess_input(images.copy()))
    np.testing.assert_allclose(
        outputs(model, images), expected, rtol=1e-4, atol=1e-5 * expected.max()
    )


def test_without_a_network_imagenet_says_what_to_do(monkeypatch):
    def fails():
        raise Exception(
            "URL fetch failure on https://storage.googleapis.com/...: None -- [Errno -2]"
        )

    published(monkeypatch, fails)
    with pytest.raises(
        OSError,
        match=r"URL fetch failure .* Get the \.h5 file elsewhere and give its path as weights",
    ):
        fetch_imagenet_weights("vgg16")


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("vgg11", r"get model\.safetensors of https://huggingface\.co/timm/vgg11\.tv_in1k"),
        ("vgg19_bn", r"get model\.safetensors of https://huggingface\.co/timm/vgg19_bn\.tv_in1k"),
        ("vgg16c", "Nobody has published ImageNet weights of vgg16c"),
    ],
)
def test_for_the_others_imagenet_says_which_file_to_get(arch, message):
    with pytest.raises(ValueError, match=message):
        fetch_imagenet_weights(arch)
