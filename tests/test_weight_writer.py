"""Weights in half the bytes; what goes out in full is claimed in test_weight_files."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from vgg_tf import build_vgg, read_weights, write_weights
from vgg_tf.trained import open_trained


def tiny(**options):
    return build_vgg("vgg11_bn", input_shape=(32, 32, 3), classes=4, width=1 / 16, head_width=8, seed=0, **options)


def test_float16_is_read_back_as_the_rounded_numbers_and_halves_the_file(tmp_path):
    model = tiny()
    for dtype in ("float32", "float16"):
        write_weights(model, tmp_path / f"{dtype}.safetensors", dtype=dtype)
    whole, half = (read_weights(tmp_path / f"{dtype}.safetensors") for dtype in ("float32", "float16"))
    for name, arrays in whole.layers.items():
        for variable, array in arrays.items():
            found = half.layers[name][variable]
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, array.astype(np.float16).astype(np.float32))
    state = load_file(tmp_path / "float16.safetensors")
    assert {array.dtype for name, array in state.items() if "tracked" not in name} == {np.dtype(np.float16)}
    parameters = model.count_params() - 7  # without the statistics of the input: mean, variance, count
    saved = (tmp_path / "float32.safetensors").stat().st_size - (tmp_path / "float16.safetensors").stat().st_size
    assert abs(saved - 2 * parameters) < 300  # the headers differ by some letters


def test_float16_refuses_what_it_cannot_hold_and_leaves_what_was_there(tmp_path):
    model, path = tiny(), tmp_path / "a.safetensors"
    write_weights(model, path, dtype="float16")
    before = path.read_bytes()
    model.get_layer("fc1").bias.assign(np.full(8, 70_000.0))
    with pytest.raises(ValueError, match=r"classifier\.0\.bias has numbers beyond float16's 65504"):
        write_weights(model, path, dtype="float16")
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match=r"float16 in \*\.safetensors. Received: 'float16' for a\.weights\.h5"):
        write_weights(model, tmp_path / "a.weights.h5", dtype="float16")


def test_the_scale_to_test_at_goes_along(tmp_path):
    write_weights(tiny(), tmp_path / "a.safetensors", test_scale=40)
    write_weights(tiny(), tmp_path / "b.safetensors")
    assert open_trained(tmp_path / "a.safetensors").scales("one") == (40,)
    assert open_trained(tmp_path / "b.safetensors").scales("one") == (37,)  # 256 of 224
