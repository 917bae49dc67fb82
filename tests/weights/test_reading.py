"""Run folders are read; what is not a VGG network is refused with what was expected and found."""

import json

import h5py
import numpy as np
import pytest

from tests.weights.making_files import keras_layers, new_h5, old_h5, scrambled
from vgg_tf import read_weights, write_weights


def test_a_run_folder_gives_its_network_and_the_names_of_its_classes(tmp_path):
    model = scrambled()
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match=r"has no model\.keras yet: its first epoch is not done"):
        read_weights(tmp_path)
    model.save(tmp_path / "model.keras")
    (tmp_path / "dataset.json").write_text(
        json.dumps({"classes": ["cat", "dog", "eel", "fly", "gnu"]})
    )
    weights = read_weights(tmp_path)
    assert weights.classes == ("cat", "dog", "eel", "fly", "gnu")
    np.testing.assert_array_equal(weights.layers["fc1"]["kernel"], model.get_layer("fc1").kernel)


@pytest.mark.parametrize("name", ["a.keras", "a.safetensors", "a.weights.h5", "a.h5"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused_with_their_layer(name, value, tmp_path):
    model = scrambled()
    kernel, bias = model.get_layer("block3_conv2").get_weights()
    kernel[1, 2, 3, 4] = value
    model.get_layer("block3_conv2").set_weights([kernel, bias])
    if name == "a.keras":
        model.save(tmp_path / name)
    elif name == "a.h5":
        old_h5(tmp_path / name, keras_layers("vgg11") | {"block3_conv2.kernel": kernel}, "W")
    else:
        write_weights(model, tmp_path / name)
    with pytest.raises(
        ValueError,
        match=rf"{name} has weights that are not numbers \(NaN or infinite\) in block3_conv2\.",
    ):
        read_weights(tmp_path / name)


def other_h5(path):
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)


def theanos(path):
    layers = {
        name.replace("block", "convolution2d_"): array
        for name, array in keras_layers("vgg11", top=False).items()
    }
    old_h5(path, layers, "W")


def one_bias_too_many(path):
    new_h5(path, keras_layers("vgg11"))
    with h5py.File(path, "a") as file:
        file["layers/conv2d_0/vars/2"] = np.zeros(4, np.float32)


def vector_as_kernel(path):
    new_h5(path, keras_layers("vgg11") | {"block1_conv1.kernel": np.zeros((27, 4), np.float32)})


def whole_numbers(path):
    new_h5(path, keras_layers("vgg11") | {"fc1.kernel": np.zeros((128, 16), np.int8)})


def nameless(path):
    new_h5(path, keras_layers("vgg11"))
    with h5py.File(path, "a") as file:
        for group in file["layers"].values():
            del group["vars"].attrs["name"]


def twice(path):
    new_h5(path, keras_layers("vgg11"))
    with h5py.File(path, "a") as file:
        file.copy("layers", "layers/other")


def arrays_zip(path):
    np.savez(path, a=np.zeros(2))
    path.with_name(path.name + ".npz").rename(path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda path: path.write_text("weights, honestly"),
            r"is no file of weights\. Known forms: a run folder, \.keras",
        ),
        (lambda path: path.mkdir(), r"holds no weights: it has nothing\. Known forms"),
        (arrays_zip, r"is a zip archive, but no \.keras file: it has a\.npy\. Known forms"),
        (
            other_h5,
            r"holds no VGG network: "
            r"layers such as block1_conv1 and fc1 expected, found no arrays at all",
        ),
        (
            theanos,
            r"layers such as block1_conv1 and fc1 expected, "
            r"found convolution2d_1_conv1, .*, \.\.\.\.",
        ),
        (
            one_bias_too_many,
            r"block1_conv1 has arrays of shapes \(3, 3, 3, 4\), \(4,\), \(4,\); "
            r"kernel, bias were expected",
        ),
        (
            vector_as_kernel,
            r"has a kernel of shape \(27, 4\) in block1_conv1, which is none of a VGG network",
        ),
        (whole_numbers, r"fc1 holds whole numbers \(int8\): quantised weights cannot be read"),
        (nameless, r"tells no names of layers \(at layers/conv2d_0/vars\), only their order"),
        (twice, r"has two layers called block1_conv1: one network is expected"),
    ],
)
def test_what_holds_no_vgg_network_is_refused_with_what_was_expected_and_found(
    write, message, tmp_path
):
    write(tmp_path / "source")
    with pytest.raises(ValueError, match=message) as error:
        read_weights(tmp_path / "source")
    assert str(tmp_path / "source") in str(error.value)


def test_nothing_there_is_said_with_the_known_forms(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"No weights at .*none\.h5\. Known forms: a run folder"
    ):
        read_weights(tmp_path / "none.h5")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"classes": 3}'])
def test_damaged_dataset_json_is_one_clear_line(text, tmp_path):
    scrambled().save(tmp_path / "model.keras")
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=r"dataset\.json .*Copy dataset\.json again"):
        read_weights(tmp_path)


def test_damaged_metadata_is_one_clear_line(tmp_path):
    write_weights(scrambled(), tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "a") as file:
        file.attrs["vgg_tf"] = "{"
    with pytest.raises(ValueError, match=r"the metadata vgg_tf of .*a\.weights\.h5 is not valid"):
        read_weights(tmp_path / "a.weights.h5")
