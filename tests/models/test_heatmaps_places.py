"""A patch in one corner of an image appears in the same corner of every heatmap."""

import functools

import keras
import numpy as np
import pytest

from vgg_tf import build_vgg, convert_head
from vgg_tf.models import heatmaps
from vgg_tf.models.heatmaps import compute_heat


@functools.cache
def red_detector():
    """Return a network whose class 1 is red."""
    model = build_vgg(
        "vgg11",
        input_shape=(64, 64, 3),
        classes=2,
        width=1 / 16,
        head_width=8,
        seed=0,
        mean=(0, 0, 0),
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):  # the first channel passes, the others are 0
            kernel = np.zeros(layer.kernel.shape, np.float32)
            kernel[1, 1, :, 0] = (
                [1, -0.5, -0.5] if layer.name == "block1_conv1" else np.eye(kernel.shape[2])[0]
            )
            layer.set_weights([kernel, np.zeros(kernel.shape[-1], np.float32)])
    flat = np.zeros(model.get_layer("fc1").kernel.shape, np.float32)
    flat[:: model.get_layer("block5_conv2").filters, 0] = 0.01  # the first channel of each position
    model.get_layer("fc1").set_weights([flat, np.zeros(8, np.float32)])
    model.get_layer("fc2").set_weights([np.eye(8, dtype=np.float32), np.zeros(8, np.float32)])
    last = np.zeros((8, 2), np.float32)
    last[0, 1] = 1
    model.get_layer("predictions").set_weights([last, np.zeros(2, np.float32)])
    return model


def inner(model):
    return keras.Sequential(
        [keras.Input((64, 64, 3)), keras.Model(model.input, model.output, name="inner")]
    )


def headless(model):
    trunk = build_vgg(
        "vgg11",
        include_top=False,
        pooling="avg",
        input_shape=(64, 64, 3),
        width=1 / 16,
        mean=(0, 0, 0),
    )
    for layer in trunk.layers:
        if layer.name.startswith("block"):
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return trunk


FORMS = {
    "plain": lambda model: model,
    "dense": convert_head,
    "nested": inner,
    "headless with pooling": headless,
}


@functools.cache
def formed(form):
    return FORMS[form](red_detector())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", heatmaps.METHODS)
@pytest.mark.parametrize(
    ("top", "left"), [(0, 48), (48, 0)]
)  # a transposed or mirrored map would exchange the two
def test_a_patch_in_a_corner_is_in_the_same_corner_of_the_heatmap(form, method, top, left):
    model = formed(form)
    picture = np.full((64, 64, 3), 100, np.uint8)
    picture[top : top + 16, left : left + 16] = (255, 0, 0)
    label = 0 if form == "headless with pooling" else 1
    for layer in ("block3_conv2", "block4_conv2"):
        found, said = compute_heat(model, picture, layer, label, method)
        assert said == label
        h, w = found.shape
        lit = found > 0
        assert found.max() == 1
        rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
        assert rows[0] >= top * h / 64 - 1
        assert rows[-1] < (top + 16) * h / 64 + 1
        assert columns[0] >= left * w / 64 - 1
        assert columns[-1] < (left + 16) * w / 64 + 1


def test_without_evidence_for_the_class_the_heatmap_is_0():
    found, _ = compute_heat(red_detector(), np.full((64, 64, 3), 100, np.uint8), label=1)
    assert found.max() == 0
