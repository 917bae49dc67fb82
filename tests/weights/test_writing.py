"""Float16 weights and metadata. Float32 weights are in test_writing_round_trip."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vgg_tf import build_vgg, read_weights, write_weights
from vgg_tf.evaluation.checkpoint import open_checkpoint


def tiny(**options):
    return build_vgg(
        "vgg11_bn",
        input_shape=(32, 32, 3),
        classes=4,
        width=1 / 16,
        head_width=8,
        seed=0,
        **options,
    )


def test_float16_rounds_the_weights_and_halves_the_file(tmp_path):
    model = tiny()
    for dtype in ("float32", "float16"):
        write_weights(model, tmp_path / f"{dtype}.safetensors", dtype=dtype)
    whole, half = (
        read_weights(tmp_path / f"{dtype}.safetensors") for dtype in ("float32", "float16")
    )
    for name, arrays in whole.layers.items():
        for variable, array in arrays.items():
            found = half.layers[name][variable]
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, array.astype(np.float16).astype(np.float32))
    state = load_file(tmp_path / "float16.safetensors")
    assert {array.dtype for name, array in state.items() if "tracked" not in name} == {
        np.dtype(np.float16)
    }
    parameters = model.count_params() - 7  # without mean, variance and count of the input
    saved = (tmp_path / "float32.safetensors").stat().st_size - (
        tmp_path / "float16.safetensors"
    ).stat().st_size
    assert abs(saved - 2 * parameters) < 300  # the headers have different lengths


def test_weights_out_of_the_range_of_float16_are_refused_and_the_file_is_unchanged(tmp_path):
    model, path = tiny(), tmp_path / "a.safetensors"
    write_weights(model, path, dtype="float16")
    before = path.read_bytes()
    model.get_layer("fc1").bias.assign(np.full(8, 70_000.0))
    with pytest.raises(
        ValueError, match=r"classifier\.0\.bias must be in the range of float16, up to 65504"
    ):
        write_weights(model, path, dtype="float16")
    assert path.read_bytes() == before
    with pytest.raises(
        ValueError, match=r"float16 in \.safetensors\. Received: 'float16' for a\.weights\.h5"
    ):
        write_weights(model, tmp_path / "a.weights.h5", dtype="float16")


def test_the_test_scale_is_stored(tmp_path):
    write_weights(tiny(), tmp_path / "a.safetensors", test_scale=40)
    write_weights(tiny(), tmp_path / "b.safetensors")
    assert open_checkpoint(tmp_path / "a.safetensors").scales("one") == (40,)
    assert open_checkpoint(tmp_path / "b.safetensors").scales("one") == (37,)  # 256 of 224


@pytest.mark.parametrize("name", ["a.safetensors", "a.weights.h5", "timm.safetensors"])
def test_a_crop_that_is_not_square_is_not_mistaken_for_a_square_crop(name, tmp_path):
    shape = {"input_shape": (32, 128, 3)}
    model = build_vgg("vgg11", classes=4, width=1 / 16, head_width=8, seed=0, **shape)
    write_weights(model, tmp_path / name)
    if (
        name == "timm.safetensors"
    ):  # its fc1 is a convolution, whose kernel has the sides of the map
        state = load_file(tmp_path / name)
        for ours, theirs, sides in (
            (0, "pre_logits.fc1", (1, 4)),
            (3, "pre_logits.fc2", (1, 1)),
            (6, "head.fc", ()),
        ):
            kernel, bias = (state.pop(f"classifier.{ours}.{word}") for word in ("weight", "bias"))
            state |= {
                f"{theirs}.weight": kernel.reshape(len(kernel), -1, *sides),
                f"{theirs}.bias": bias,
            }
        save_file(state, tmp_path / name)
    assert read_weights(tmp_path / name).map_sides == (1, 4)
    with pytest.raises(
        ValueError, match=r"come from a training on square crops. Received: fc1 of shape \(.*8\)"
    ):
        open_checkpoint(tmp_path / name)
    again = build_vgg("vgg11", weights=tmp_path / name, **shape)
    np.testing.assert_array_equal(again.get_layer("fc1").kernel, model.get_layer("fc1").kernel)
