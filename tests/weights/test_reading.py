"""Run folders are read. Errors about other sources say what was expected and received."""

import json

import h5py
import numpy as np
import pytest

from tests.weights.making_files import keras_layers, new_h5, old_h5, scrambled
from vgg_tf import read_weights, write_weights


def test_a_run_folder_gives_the_weights_and_the_names_of_the_classes(tmp_path):
    model = scrambled()
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match=r"must contain model\.keras, .* Continue the training"):
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
def test_nan_and_infinity_are_refused_with_the_name_of_the_layer(name, value, tmp_path):
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
        match=rf"{name} must have finite weights\. Received: NaN or infinity in block3_conv2\.",
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
            lambda path: path.write_text("text"),
            r"must be a file of weights\. .* Supported formats: a run folder, \.keras",
        ),
        (
            lambda path: path.mkdir(),
            r"must contain weights\. Received: nothing\. Supported formats",
        ),
        (arrays_zip, r"must be a \.keras file\. Received: .* with a\.npy\. Supported formats"),
        (
            other_h5,
            r"must have layers of a VGG network, such as block1_conv1 and fc1\. "
            r"Received: no arrays at all",
        ),
        (
            theanos,
            r"such as block1_conv1 and fc1\. Received: convolution2d_1_conv1, .*, \.\.\.\.",
        ),
        (
            one_bias_too_many,
            r"block1_conv1 must have the arrays kernel, bias\. "
            r"Received: shapes \(3, 3, 3, 4\), \(4,\), \(4,\)",
        ),
        (
            vector_as_kernel,
            r"must have kernels of a VGG network\. Received: shape \(27, 4\) in block1_conv1",
        ),
        (whole_numbers, r"fc1 must have floating-point numbers\. Received: int8"),
        (nameless, r"must have the names of its layers\. Received: layers/conv2d_0/vars"),
        (twice, r"must contain one network\. Received: two layers called block1_conv1"),
    ],
)
def test_sources_that_are_not_vgg_networks_are_refused_with_a_reason(write, message, tmp_path):
    write(tmp_path / "source")
    with pytest.raises(ValueError, match=message) as error:
        read_weights(tmp_path / "source")
    assert str(tmp_path / "source") in str(error.value)


def test_the_error_about_a_missing_file_lists_the_supported_formats(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"must exist\. Received: .*none\.h5\. .* Supported formats: a run folder",
    ):
        read_weights(tmp_path / "none.h5")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"classes": 3}'])
def test_the_error_about_a_damaged_dataset_json_names_it(text, tmp_path):
    scrambled().save(tmp_path / "model.keras")
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=r"dataset\.json .*Copy dataset\.json again"):
        read_weights(tmp_path)


def test_the_error_about_damaged_metadata_names_the_file(tmp_path):
    write_weights(scrambled(), tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "a") as file:
        file.attrs["vgg_tf"] = "{"
    with pytest.raises(
        ValueError, match=r"the metadata vgg_tf of .*a\.weights\.h5 must be .*invalid JSON"
    ):
        read_weights(tmp_path / "a.weights.h5")
