"""Descriptors compared with a slow loop over positions, flips and scales.

They are the averaged outputs of the layer before the last one.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests.making import shallow
from vgg_tf import build_vgg, write_weights
from vgg_tf.features import descriptors
from vgg_tf.features.descriptors import aggregate_scales, extract
from vgg_tf.images import rescaling
from vgg_tf.records.splits import Source, Split
from vgg_tf.runtime.devices import choose

PICTURES = [
    np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8)
    for h, w in ((70, 90), (64, 64))
]
STD = (60.0, 60.0, 60.0)


@pytest.fixture(autouse=True, scope="module")
def of_five_convolutions():
    with shallow(((3,),) * 5):
        yield


def tiny(crop=32):
    return build_vgg(
        "shallow_bn",
        input_shape=(crop, crop, 3),
        classes=4,
        width=1 / 16,
        head_width=8,
        seed=1,
        std=STD,
    )


def at(folder, model, name="a"):
    path = folder / f"{name}.safetensors"
    write_weights(model, path)
    return str(path)


def trunk_of(model):
    trunk = build_vgg(
        "shallow_bn", include_top=False, input_shape=(None, None, 3), width=1 / 16, std=STD
    )
    for layer in trunk.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    return trunk


def by_hand(model, trunk, picture, Q, window):
    """Return the descriptor in float64: the last feature map by Keras, the rest by loops.

    `window` is the side of the input of fc1.
    """
    rescaled = rescaling.rescale(picture, Q).numpy()
    found = []
    for view in (rescaled, rescaled[:, ::-1]):
        last = np.float64(trunk(view[np.newaxis]).numpy()[0])
        for i, j in np.ndindex(last.shape[0] - window + 1, last.shape[1] - window + 1):
            x = last[i : i + window, j : j + window].ravel()
            for name in ("fc1", "fc2"):
                kernel, bias = model.get_layer(name).get_weights()
                x = np.maximum(x @ kernel + bias, 0)
            found.append(x)
    return np.mean(found, 0)


@pytest.mark.parametrize("crop", [32, 64])
def test_a_descriptor_is_the_normalized_mean_of_fc2_over_positions_flips_and_scales(
    crop, tmp_path, uncompiled
):
    model = tiny(crop)
    trunk = trunk_of(model)
    found = extract(
        PICTURES, at(tmp_path, model), "64,100", "average", devices=choose("cpu", "float32")
    )
    assert found.dtype == np.float32
    for picture, row in zip(PICTURES, found, strict=True):
        expected = np.mean([by_hand(model, trunk, picture, Q, crop // 32) for Q in (64, 100)], 0)
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-5)


def test_scales_are_averaged_stacked_or_maximized_before_normalization():
    rows = np.array([[[3.0, 0.0]], [[0.0, 4.0]]])  # two scales of one image
    np.testing.assert_allclose(aggregate_scales(rows, "average"), [[0.6, 0.8]], atol=1e-7)
    np.testing.assert_allclose(aggregate_scales(rows, "stack"), [[0.6, 0, 0, 0.8]], atol=1e-7)
    np.testing.assert_allclose(
        aggregate_scales(rows + [[[1.0, 0.0]], [[0.0, 0.0]]], "max"),
        [[0.5**0.5, 0.5**0.5]],
        atol=1e-7,
    )
    np.testing.assert_array_equal(aggregate_scales(rows * 0, "average"), [[0, 0]])
    with pytest.raises(
        ValueError, match=r"how must be one of average, stack, max. Received: 'sum'"
    ):
        aggregate_scales(rows, "sum")


def test_normalized_descriptors_of_two_networks_are_stacked(tmp_path, uncompiled):
    paths = [at(tmp_path, tiny(), "a"), at(tmp_path, tiny(64), "b")]
    one, two, both = (
        extract(PICTURES, networks, "64", devices=choose("cpu", "float32"))
        for networks in (paths[0], paths[1], paths)
    )
    np.testing.assert_allclose(both, np.concatenate([one, two], 1) / 2**0.5, atol=1e-6)


def test_a_network_without_a_head_gives_the_mean_of_its_last_map(tmp_path, uncompiled):
    trunk = build_vgg(
        "shallow", include_top=False, input_shape=(None, None, 3), width=1 / 16, seed=2
    )
    found = extract(PICTURES, at(tmp_path, trunk), "96", devices=choose("cpu", "float32"))
    for picture, row in zip(PICTURES, found, strict=True):
        rescaled = rescaling.rescale(picture, 96).numpy()
        maps = trunk(np.stack([rescaled, rescaled[:, ::-1]])).numpy()
        expected = maps.mean((0, 1, 2))
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-5)


def test_descriptors_of_a_source_are_computed_once_and_then_read(tmp_path, uncompiled, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = at(tmp_path, tiny())
    names = [f"{i % 2}/{i}.png" for i in range(5)]
    contents = [tf.io.encode_png(PICTURES[i % 2]).numpy() for i in range(5)]
    source = Source("few", ("0", "1"), {"train": Split(names, np.arange(5) % 2, contents)})
    first = extract(source, path, "32,40", "stack")
    assert first.shape == (5, 16)
    network = descriptors.checkpoint.open_checkpoint(path)
    assert len(list((tmp_path / network.folder / "descriptors").iterdir())) == 2
    monkeypatch.setattr(
        descriptors.checkpoint.Checkpoint, "load", None
    )  # nothing is computed again
    np.testing.assert_array_equal(extract(source, path, "32,40", "stack"), first)


def test_scales_below_the_crop_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"at least the crop's .*64 pixels. Received: \(48, 64\)"):
        extract(PICTURES, at(tmp_path, tiny(64)), "48,64")
