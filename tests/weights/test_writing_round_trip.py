"""vgg_tf, torchvision and Keras read the files that write_weights writes."""

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.weights.making_files import CLASSES, outputs, scrambled, tiny, torch_state
from vgg_tf import read_weights, write_weights
from vgg_tf.paper.architectures import ARCHITECTURES, Architecture

SHALLOW, SHALLOW_C = ((3,), (), (), (), (3,)), ((3,), (), (), (), (3, 1))


@pytest.mark.parametrize("form", ["a.safetensors", "a.weights.h5"])
@pytest.mark.parametrize(
    "options", [{"std": (58.4, 57.1, 57.4)}, {"include_top": False}, {"dense": True}], ids=str
)
@pytest.mark.parametrize("arch", ["shallow_lrn", "shallow_c_bn"])
def test_written_weights_are_read_back_bit_by_bit(arch, options, form, tmp_path, monkeypatch):
    for row in (
        Architecture("shallow_lrn", "-", SHALLOW, lrn=True),
        Architecture("shallow_c_bn", "-", SHALLOW_C, True),
    ):
        monkeypatch.setitem(ARCHITECTURES, row.name, row)
    model = scrambled(arch, **options, mean=(100.25, 110.5, 120.1))
    write_weights(model, tmp_path / form, classes=("a", "b", "c", "d", "e"))
    weights = read_weights(tmp_path / form)
    assert (weights.mean, weights.classes, weights.notes) == (
        (100.25, 110.5, 120.1),
        ("a", "b", "c", "d", "e"),
        (),
    )
    assert weights.std == options.get("std", weights.std)
    written = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    assert weights.layers.keys() - {"block1_lrn"} == written.keys()
    for name, arrays in written.items():
        for mine, array in zip(weights.layers[name].values(), arrays, strict=True):
            assert mine.dtype == np.float32
            np.testing.assert_array_equal(mine.reshape(array.shape), array, err_msg=name)
    again = tiny(arch, weights=tmp_path / form, classes=CLASSES, **{**options, "std": None})
    for mine, array in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, array)
    np.testing.assert_array_equal(outputs(again), outputs(model))
    assert [path.name for path in tmp_path.iterdir()] == [form]


@pytest.mark.parametrize("arch", ["vgg11", "vgg16_bn"])
def test_a_state_dict_of_torchvision_is_written_unchanged(arch, tmp_path):
    state = torch_state(arch)
    save_file(state, tmp_path / "in.safetensors")
    write_weights(tiny(arch, weights=tmp_path / "in.safetensors"), tmp_path / "out.safetensors")
    out = load_file(tmp_path / "out.safetensors")
    counters = {name for name in out if name.endswith("num_batches_tracked")}
    assert len(counters) == (13 if arch == "vgg16_bn" else 0)
    assert out.keys() - counters == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(out[name], array, err_msg=name)


def test_keras_loads_the_weights_h5_files(tmp_path):
    model, other = scrambled("vgg11_bn"), tiny("vgg11_bn", classes=CLASSES)
    write_weights(model, tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    for mine, array in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, array)


def test_other_networks_and_other_suffixes_are_refused(tmp_path):
    inputs = keras.Input((32, 32, 3))
    other = keras.Model(
        inputs, keras.layers.Conv2D(3, 3, name="block1_conv1")(inputs), name="other"
    )
    with pytest.raises(
        ValueError, match=r"network of build_vgg\. Received: other with the layers block1_conv1"
    ):
        write_weights(other, tmp_path / "a.safetensors")
    model = scrambled()
    longer = keras.Model(model.input, keras.layers.Dense(2, name="mine")(model.output))
    with pytest.raises(
        ValueError, match=r"the layers normalize, block1_conv1, .*, predictions, mine"
    ):
        write_weights(longer, tmp_path / "a.safetensors")
    with pytest.raises(
        ValueError, match=r"end in \.weights\.h5 or \.safetensors\. Received: a\.pth"
    ):
        write_weights(model, tmp_path / "a.pth")
    assert list(tmp_path.iterdir()) == []
