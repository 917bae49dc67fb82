"""convert_head gives each window the logits of the fully connected head, and converts back."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.making import ROOT
from tests.models.making_networks import answer, noise, scrambled, tiny
from vgg_tf.models.conversion import convert_head


def head_on_windows(model, maps, h, w):
    """Return the logits of the fully connected head for each window of h x w positions."""
    layers = [
        [array.astype(np.float64) for array in model.get_layer(name).get_weights()]
        for name in ("fc1", "fc2", "predictions")
    ]
    rows, columns = maps.shape[1] - h + 1, maps.shape[2] - w + 1
    scores = np.empty((len(maps), rows, columns, len(layers[-1][1])))
    for n, i, j in np.ndindex(scores.shape[:3]):
        x = maps[n, i : i + h, j : j + w].astype(np.float64).reshape(-1)
        for k, (kernel, bias) in enumerate(layers):
            x = x @ kernel + bias
            x = x if k == 2 else np.maximum(x, 0)
        scores[n, i, j] = x
    return scores


@pytest.mark.parametrize(
    ("arch", "crop", "sides"),
    [
        ("vgg11_lrn", (64, 64), (150, 200)),
        ("vgg13_bn", (64, 96), (128, 160)),
        ("vgg11", (224, 224), (256, 320)),
    ],
)
def test_each_logit_of_the_dense_form_is_that_of_the_original_head_on_its_window(arch, crop, sides):
    model = scrambled(arch, input_shape=(*crop, 3), std=(50, 60, 70))
    dense = convert_head(model)
    images, (h, w) = noise(1, *sides, 3), (crop[0] // 32, crop[1] // 32)
    maps = answer(keras.Model(dense.input, dense.get_layer("block5_pool").output), images)
    scores, expected = answer(dense, images), head_on_windows(model, maps, h, w)
    assert scores.shape == expected.shape
    assert scores.shape[1:3] == (sides[0] // 32 - h + 1, sides[1] // 32 - w + 1)
    # The tolerance is relative to how much positions differ.
    spread = expected.std((1, 2)).max()
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-3 * spread)
    turned = head_on_windows(model, maps[:, ::-1], h, w)[:, ::-1]
    assert np.abs(scores - turned).max() > 0.03 * spread, (
        "the order of the rows in fc1 has no effect"
    )
    # On one crop it equals the original network.
    one = answer(dense, images[:, : crop[0], : crop[1]])[:, 0, 0].astype(np.float64)
    posteriors = np.exp(one) / np.exp(one).sum(1, keepdims=True)
    np.testing.assert_allclose(
        posteriors, answer(model, images[:, : crop[0], : crop[1]]), rtol=1e-4
    )


def test_converting_there_and_back_keeps_all_weights_and_settings():
    model = scrambled(
        "vgg16c_bn",
        mean=(90, 100, 110),
        std=(50, 60, 70),
        dropout=0.3,
        l2=1e-3,
        freeze_until="block3",
        name="mine",
    )
    back = convert_head(convert_head(model), dense=False)
    assert [layer.name for layer in back.layers] == [layer.name for layer in model.layers]
    for ours, theirs in zip(back.layers, model.layers, strict=True):
        assert len(ours.trainable_weights) == len(theirs.trainable_weights)
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert back.name == "mine"
    assert back.get_layer("fc1_dropout").rate == 0.3
    np.testing.assert_allclose(sum(back.losses), sum(model.losses), rtol=1e-6)
    images = noise(2, 64, 64, 3)
    np.testing.assert_array_equal(answer(back, images), answer(model, images))


def test_the_converted_network_has_its_own_weights():
    model = scrambled()
    dense = convert_head(model)
    before = model.get_weights()
    dense.set_weights([np.zeros_like(array) for array in dense.get_weights()])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_converted_network_keeps_its_dtype_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = scrambled()
        dense = convert_head(model)
    finally:
        keras.config.set_dtype_policy("float32")
    for name in ("block3_conv1", "fc1", "predictions"):
        assert dense.get_layer(name).dtype_policy.name == model.get_layer(name).dtype_policy.name
    assert dense.get_layer("fc1").dtype_policy.name == "mixed_bfloat16"
    assert dense(noise(1, 64, 64, 3)).dtype == "float32"


def test_converting_a_network_without_a_head_raises_an_error():
    with pytest.raises(
        ValueError,
        match=r"needs a network of build_vgg with its head .* Received: vgg11 with the layers",
    ):
        convert_head(tiny(include_top=False))


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "from vgg_tf import convert_head; import keras; keras.saving.load_model(PATH)",
        "from vgg_tf.runs import run_folder; import types; "
        "run_folder.Run.load_best(types.SimpleNamespace(best=PATH))",
    ],
)
def test_a_process_that_has_not_built_a_network_loads_one_of_vgg11_lrn(code):
    # Takes 5 s, for a process of its own, where nothing else has imported the layer.
    path = f"{ROOT}/tests/references/vgg11_lrn.keras"
    result = subprocess.run(
        [sys.executable, "-c", code.replace("PATH", repr(path))],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
