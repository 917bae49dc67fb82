"""Writes the weights of a network to a file that `reading`, torchvision or Keras can read."""

import json
from pathlib import Path

import h5py
import numpy as np

from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.runtime import files, remote
from vgg_tf.weights import torchvision
from vgg_tf.weights.keras_layers import read_model


def write_weights(model, path, classes=None, dtype="float32", test_scale=0):
    """Write the weights of a network built by `build_vgg`, whole or not at all.

    `read_weights` returns the same bits.

    Args:
        model: the network.
        path: `*.weights.h5` for Keras' names, `*.safetensors` for torchvision's (whose heads take
            7x7 maps channel by channel). Mean and std are stored as metadata, on 0..255:
            torchvision's own networks take RGB 0..1.
        classes: names of the classes, for the metadata.
        dtype: `float32`, or `float16` for half the bytes, in `*.safetensors`: read back, the
            weights are the rounded ones.
        test_scale: Q in pixels to test at, for the metadata; 0: by the size of the crop.

    Raises:
        ValueError: another network, another form, or weights beyond float16.
        OSError: the file cannot be written; an existing one is unchanged.
    """
    path, weights = Path(path), read_model(model)
    row = _find_row(model)
    if weights.mean is None or row is None or weights.notes:
        raise ValueError(
            f"Only networks of build_vgg can be written. {model.name} has "
            f"{', '.join(_list_names(model))}."
        )
    if not path.name.endswith((".safetensors", ".weights.h5")):
        raise ValueError(
            f"Weights are written as *.weights.h5 or *.safetensors. Received: {path.name}."
        )
    torch = path.suffix == ".safetensors"
    if dtype not in (("float32", "float16") if torch else ("float32",)):
        raise ValueError(
            f"dtype is float32, or float16 in *.safetensors. Received: {dtype!r} for {path.name}."
        )
    about = {
        "mean": weights.mean,
        "std": weights.std,
        "classes": classes and tuple(classes),
        "map_sides": weights.map_sides,
    }
    about["test_scale"] = test_scale
    with remote.naming(path):
        if torch:
            from safetensors.numpy import save

            state = torchvision.to_state_dict(weights.layers, row, weights.map_sides)
            if dtype == "float16":
                state = {name: _round_to_float16(array, name) for name, array in state.items()}
            files.write_whole(
                path, save(state, metadata={"vgg_tf": json.dumps(about), "format": "pt"})
            )
            return
        with files.writing(path) as temporary:
            model.save_weights(temporary)
            with h5py.File(temporary, "a") as file:
                file.attrs["vgg_tf"] = json.dumps(about)


def _round_to_float16(array, name):
    """Return an array as float16; integers stay as they are."""
    if not np.issubdtype(array.dtype, np.floating):
        return array
    if np.abs(array).max(initial=0) > np.finfo(np.float16).max:
        raise ValueError(
            f"{name} has numbers beyond float16's {np.finfo(np.float16).max:g}. Write it as "
            "float32."
        )
    return array.astype(np.float16)


def _list_names(model):
    return [
        layer.name
        for layer in model.layers
        if layer.weights or layer.name in ("normalize", torchvision.LRN)
    ]


def _find_row(model):
    """Return the network's row of Table 1, or None.

    C and D have the same names of layers, which are all that a row is asked for.
    """
    names = {name for name in _list_names(model) if name.startswith("block")}
    fitting = (
        row
        for row in ARCHITECTURES.values()
        if torchvision.make_trunk_names(row).keys() == names - {torchvision.LRN}
    )
    return next((row for row in fitting if row.lrn == (torchvision.LRN in names)), None)
