"""ImageNet weights come from Keras, or the error says where to get them."""

import keras
import numpy as np
import pytest

from tests.weights.making_files import IMAGES, kerass, outputs
from vgg_tf import build_vgg
from vgg_tf.weights.imagenet import fetch_imagenet_weights


def published(monkeypatch, answer):
    """Replace Keras' VGG16 by `answer`. Return the list of its calls."""
    asked = []

    def vgg16(weights, include_top):
        asked.append((weights, include_top))
        return answer()

    monkeypatch.setattr(keras.applications, "VGG16", vgg16)
    return asked


def test_imagenet_weights_of_keras_are_converted_to_rgb(monkeypatch):
    theirs = kerass()
    asked = published(monkeypatch, lambda: theirs)
    model = build_vgg("vgg16", weights="imagenet", include_top=False, input_shape=(32, 32, 3))
    assert asked == [("imagenet", False)]
    images = IMAGES[:, :32, :32]
    expected = outputs(theirs, keras.applications.vgg16.preprocess_input(images.copy()))
    np.testing.assert_allclose(
        outputs(model, images), expected, rtol=1e-4, atol=1e-5 * expected.max()
    )


def test_the_error_about_a_failed_download_says_what_to_do(monkeypatch):
    def fails():
        raise Exception(
            "URL fetch failure on https://storage.googleapis.com/...: None -- [Errno -2]"
        )

    published(monkeypatch, fails)
    with pytest.raises(
        OSError,
        match=r"URL fetch failure .* Download the \.h5 file in another way, and give its path",
    ):
        fetch_imagenet_weights("vgg16")


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("vgg11", r"model\.safetensors from https://huggingface\.co/timm/vgg11\.tv_in1k"),
        ("vgg19_bn", r"model\.safetensors from https://huggingface\.co/timm/vgg19_bn\.tv_in1k"),
        ("vgg16c", "Received: vgg16c, which has none"),
    ],
)
def test_the_error_about_other_architectures_says_which_file_to_use(arch, message):
    with pytest.raises(ValueError, match=message):
        fetch_imagenet_weights(arch)
