"""Writes weights of a network to a file that `reading`, torchvision or Keras can read."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.runtime import files, remote
from vgg_tf.weights import torchvision
from vgg_tf.weights.container import convert_to_float32
from vgg_tf.weights.file_checks import CHECKSUM, compute_weights_checksum
from vgg_tf.weights.keras_layers import read_model
from vgg_tf.weights.normalization import settle_input

if TYPE_CHECKING:
    import keras


def write_weights(
    model: "keras.Model",
    path: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    dtype: str = "float32",
    test_scale: int = 0,
) -> None:
    """Write the weights of a `build_vgg` network to a file.

    If it fails, an existing file is unchanged. `read_weights` returns the same weights. The mean
    and std of the input are stored as metadata, for RGB 0..255, and a checksum of all. Networks of
    torchvision itself take RGB 0..1.

    Args:
        model: Network of `build_vgg`.
        path: `*.weights.h5` for Keras' names, `*.safetensors` for torchvision's.
        classes: Names of the classes, stored as metadata. Defaults to None.
        dtype: `"float32"`, or `"float16"` for half the size, which rounds the weights. `"float16"`
            requires `*.safetensors`. Defaults to `"float32"`.
        test_scale: Test scale Q in pixels, stored as metadata. Defaults to 0: the size of the crop
            determines it.

    Raises:
        ValueError: The network is not one of `build_vgg`, `path` or `dtype` is not supported, or a
            weight is out of the range of float16.
        OSError: The file cannot be written.

    Examples:
        >>> import os, tempfile
        >>> from vgg_tf import build_vgg, read_weights
        >>> options = dict(input_shape=(32, 32, 3), classes=2, width=0.0625, head_width=16)
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "model.safetensors")
        >>> write_weights(build_vgg("vgg11", **options), path, classes=["cat", "dog"])
        >>> read_weights(path).classes
        ('cat', 'dog')
        >>> folder.cleanup()
    """
    path, (weights, found) = Path(path), read_model(model)
    weights, row = settle_input(weights, found), _find_row(model)
    if found.guessed or row is None or weights.notes or "normalize" not in _list_names(model):
        raise ValueError(
            f"model must be a network of build_vgg. Received: {model.name} with the layers "
            f"{', '.join(_list_names(model))}. Build it with build_vgg, or save it with Keras."
        )
    if not path.name.endswith((".safetensors", ".weights.h5")):
        raise ValueError(
            f"path must end in .weights.h5 or .safetensors. Received: {path.name}. Try "
            f"{path.stem}.safetensors."
        )
    torch = path.suffix == ".safetensors"
    if dtype not in (("float32", "float16") if torch else ("float32",)):
        raise ValueError(
            f"dtype must be float32, or float16 in .safetensors. Received: {dtype!r} for "
            f"{path.name}. Try float32."
        )
    about = {
        "mean": weights.mean,
        "std": weights.std,
        "classes": classes and tuple(classes),
        "map_sides": weights.map_sides,
    }
    about["test_scale"] = test_scale
    text = json.dumps(about)
    with remote.naming(path):
        if torch:
            from safetensors.numpy import save

            state = torchvision.to_state_dict(weights.layers, row, weights.map_sides)
            if dtype == "float16":
                state = {name: _round_to_float16(array, name) for name, array in state.items()}
            # The layers as they will be read: rounded, with the kernels of a head of dense layers.
            layers, _ = torchvision.from_state_dict(state, weights.map_sides)
            layers = {name: convert_to_float32(values, name) for name, values in layers.items()}
            checksum = compute_weights_checksum(text, layers)
            files.write_whole(
                path, save(state, metadata={"vgg_tf": text, CHECKSUM: checksum, "format": "pt"})
            )
            return
        with files.writing(path) as temporary:
            model.save_weights(temporary)
            with h5py.File(temporary, "a") as file:
                file.attrs["vgg_tf"] = text
                file.attrs[CHECKSUM] = compute_weights_checksum(text, weights.layers)


def _round_to_float16(array, name):
    """Return an array as float16; integers are unchanged."""
    if not np.issubdtype(array.dtype, np.floating):
        return array
    if np.abs(array).max(initial=0) > np.finfo(np.float16).max:
        raise ValueError(
            f"{name} must be in the range of float16, up to {np.finfo(np.float16).max:g}. "
            f"Received: {np.abs(array).max():g}. Try dtype float32."
        )
    return array.astype(np.float16)


def _list_names(model):
    return [
        layer.name
        for layer in model.layers
        if layer.weights or layer.name in ("normalize", torchvision.LRN)
    ]


def _find_row(model):
    """Return the network's row of Table 1, or None. Only names count: C and D are the same."""
    names = {name for name in _list_names(model) if name.startswith("block")}
    fitting = (
        row
        for row in ARCHITECTURES.values()
        if torchvision.make_trunk_names(row).keys() == names - {torchvision.LRN}
    )
    return next((row for row in fitting if row.lrn == (torchvision.LRN in names)), None)
