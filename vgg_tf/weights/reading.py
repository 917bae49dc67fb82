"""Reads weights in any supported format, as arrays with Keras' names, for RGB input.

| format                       | recognized by        | mean and std of the input  |
| ---------------------------- | -------------------- | -------------------------- |
| a run folder                 | model.keras in it    | its layer `normalize`      |
| `.keras`, `.h5`              | zip, HDF5            | its first layers (1)       |
| `.weights.h5`                | HDF5                 | its metadata (2)           |
| `.safetensors`               | header, suffix       | its metadata (3)           |
| a Keras Hub preset folder    | config.json, weights | its preprocessor.json      |

(1) See `preprocessing`. If they change nothing: BGR minus Caffe's mean. (2) Without metadata:
unknown if there is a layer that normalizes, else as (1). (3) Names and layouts are those of
torchvision or timm. Without metadata, so are mean and std. What the user states wins over all.
"""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vgg_tf.runtime import files, remote, schemas
from vgg_tf.weights import hub, keras_files, presets, torchvision
from vgg_tf.weights.container import METADATA, Weights, convert_to_float32, note_unused
from vgg_tf.weights.file_checks import (
    CHECKSUM,
    FORMS,
    check_zip,
    compute_weights_checksum,
    find_checksum,
    make_pickle_error,
    naming_damage,
)
from vgg_tf.weights.keras_layers import make_weights, read_model
from vgg_tf.weights.normalization import settle_input
from vgg_tf.weights.preprocessing import TORCHVISION, Preprocessing, find_preprocessing
from vgg_tf.weights.stated_input import Channels

if TYPE_CHECKING:
    import keras

_METADATA, _COPY = "those of write_weights", "Copy or download the file again."
# Networks that are part of the package, by name. A file of that name is given as ./cifar10.
SHIPPED = {"cifar10": Path(__file__).parent / "shipped" / "cifar10.safetensors"}


def read_weights(
    source: "str | os.PathLike[str] | keras.Model | Weights",
    *,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    channels: Channels = "auto",
) -> Weights:
    """Read the weights of a network.

    What `mean`, `std` and `channels` say of the input that the weights were trained with wins over
    the file. Without them it is read from the file. Where the file does not state it, `notes` of
    the result say what is assumed.

    Args:
        source: Keras model, or path of a run folder, a `.keras`, `.weights.h5`, `.h5` or
            `.safetensors` file, or a Keras Hub preset. The content determines the format.
            `"cifar10"` is the network that is part of the package. `Weights` keep their kernels.
        mean: Mean of the input, three numbers for RGB or one, 0..255. Defaults to None, that of the
            file.
        std: Standard deviation by which the input is divided, likewise; 255 for pixels of 0..1.
            Defaults to None, that of the file.
        channels: Order of the channels that the first kernel takes: `"rgb"` or `"bgr"`. Defaults to
            `"auto"`, that of the file.

    Returns:
        `Weights`, whose `layers` are float32 arrays by layer and variable.

    Raises:
        FileNotFoundError: The source does not exist.
        ValueError: The source has no weights of a VGG network, is damaged or a pickle, refers to
            other files, or has NaN or infinity. Or its mean, its std or the user's cannot be right.

    Examples:
        >>> weights = read_weights("cifar10")
        >>> weights.form
        'names of torchvision or timm'
        >>> weights.layers["block1_conv1"]["kernel"].shape
        (3, 3, 3, 32)
        >>> weights.classes[:3]
        ('airplane', 'automobile', 'bird')
    """
    stated = {"mean": mean, "std": std, "channels": channels}
    if isinstance(source, Weights):
        return settle_input(source, Preprocessing(source.mean, source.std), **stated)
    if hasattr(source, "layers"):
        called, weights = f"the network {source.name}", settle_input(*read_model(source), **stated)
    else:
        called = str(source)
        check_paths([called])
        called, weights = _read_path(called, stated)
    _check_arrays(weights, called)
    fc1 = weights.layers.get("fc1", {}).get("kernel")
    sides = fc1.shape[:2] if fc1 is not None and fc1.ndim == 4 else weights.map_sides
    return replace(weights, source=called, map_sides=sides)


def _read_path(called, stated):
    """Return the name and the `Weights` of a path, or of a name of the Hub."""
    found = hub.resolve(called) if hub.is_hub_name(called) else None
    called = found.name if found else called
    path = found.path if found else str(SHIPPED.get(called, called))
    with remote.fetch(path, leave_out=("last.safetensors", "previous.safetensors")) as path:
        read = _read_folder if Path(path).is_dir() else _read_file
        weights, preprocessing = read(Path(path))
    if found and found.mean and preprocessing.guessed:
        preprocessing = Preprocessing(found.mean, found.std)
    weights = settle_input(weights, preprocessing, **stated)
    if found and weights.classes is None:
        weights = replace(weights, classes=found.classes)
    return called, weights


def check_paths(paths):
    """Check that paths of weights exist, without importing TensorFlow.

    Args:
        paths: List of paths, or names of networks that are part of the package.

    Raises:
        FileNotFoundError: One of them does not exist.
    """
    for path in paths:
        if path not in SHIPPED and not hub.is_hub_name(path) and not files.exists(path):
            raise FileNotFoundError(
                f"Weights must exist. Received: {path}. Check the path. Supported formats: {FORMS}."
            )


def _check_arrays(weights, called):
    """Raise a ValueError about kernels that no VGG network has, NaN and infinity."""
    for name, values in weights.layers.items():
        kernel = values.get("kernel")
        if kernel is not None and kernel.ndim not in (
            (2, 4) if name in torchvision.TORCHVISION_HEAD else (4,)
        ):
            raise ValueError(
                f"{called} must have kernels of a VGG network. Received: shape {kernel.shape} in "
                f"{name}. Give weights of a VGG network."
            )
    if bad := [
        name
        for name, values in weights.layers.items()
        if not all(np.isfinite(v).all() for v in values.values())
    ]:
        raise ValueError(
            f"{called} must have finite weights. Received: NaN or infinity in {', '.join(bad)}. "
            "Use an earlier checkpoint."
        )


def _read_folder(path):
    if (path / "model.keras").exists():  # a run folder
        weights, found = _read_file(path / "model.keras")
        about = path / "dataset.json"
        classes = _read_classes(about) if about.exists() else None
        return replace(weights, form="a run folder", classes=classes), found
    if presets.is_preset(path):
        return presets.read_preset(path)
    if (path / "model.safetensors").exists():  # timm's name on Hugging Face
        return _read_file(path / "model.safetensors")
    if (path / "recipe.json").exists():
        raise ValueError(
            f"{path} must contain model.keras, which training writes after the first epoch. "
            "Received: no model.keras. Continue the training."
        )
    names = ", ".join(sorted(child.name for child in path.iterdir())[:6]) or "nothing"
    raise ValueError(f"{path} must contain weights. Received: {names}. Supported formats: {FORMS}.")


def _read_classes(path):
    """Return the class names in the `dataset.json` of a run folder."""
    remedy = "Copy dataset.json again from the run, or delete it to read only the weights."
    return tuple(schemas.read(path, schemas.CLASSES_OF, "a dataset.json", remedy)["classes"])


def _read_file(path):
    with open(path, "rb") as file:
        start = file.read(16)
    if start.startswith(b"\x89HDF"):
        with naming_damage(path), keras_files.open_hdf5(path, path) as file:
            stored = {key: file.attrs[key] for key in ("vgg_tf", CHECKSUM) if key in file.attrs}
            arrays, config = keras_files.read_hdf5(file)
            weights = make_weights(arrays, str(path), "a .h5 file")
            return _add_metadata(weights, stored, path) or (
                weights,
                find_preprocessing(config, arrays),
            )
    if start.startswith(b"PK"):
        with naming_damage(path), zipfile.ZipFile(path) as archive:
            check_zip(archive, path)
            arrays, config = keras_files.read_archive(archive)
            weights = make_weights(arrays, str(path), "a .keras file")
            return weights, find_preprocessing(config, arrays)
    if start[8:9] == b"{" and path.suffix == ".safetensors":
        from safetensors import safe_open

        with naming_damage(path), safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return _read_state_dict(arrays, file.metadata() or {}, path)
    if start.startswith(b"\x80"):
        raise make_pickle_error(path)
    raise ValueError(
        f"{path} must be a file of weights. Received: another format. Supported formats: {FORMS}."
    )


def _parse_metadata(text, path):
    """Return the metadata that `writing.write_weights` stored in a file, or an empty dict."""
    called = f"the metadata vgg_tf of {path}"
    return schemas.parse(text, METADATA, called, _METADATA, _COPY) if text is not None else {}


def _add_metadata(weights, stored, path):
    """Return the `Weights` with metadata, and their `Preprocessing`; None without metadata.

    Args:
        weights: `Weights` without metadata.
        stored: Dict with the metadata and its checksum as texts. Old files have no checksum.
        path: Path of the file.

    Returns:
        `(weights, preprocessing)`, or None.

    Raises:
        DamagedFileError: The metadata are damaged, or the checksum is another one.
    """
    text, checksum = stored.get("vgg_tf"), find_checksum(stored)
    about = _parse_metadata(text, path)
    found = checksum and compute_weights_checksum(text or "", weights.layers)
    if found != checksum:
        raise schemas.DamagedFileError(
            f"{path} must have the checksum {checksum!r}, with which it was written. Received: "
            f"{found!r}. {_COPY}"
        )
    if not about:
        return None
    with schemas.naming(f"the metadata vgg_tf of {path}", _METADATA, _COPY):
        weights = weights.add_metadata(about)
    return weights, Preprocessing(weights.mean, weights.std)


def _read_state_dict(arrays, stored, path):
    """Return the `Weights` of a state dict of torchvision or timm, and their `Preprocessing`."""
    about = _parse_metadata(stored.get("vgg_tf"), path)
    try:
        layers, others = torchvision.from_state_dict(arrays, about.get("map_sides"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}.") from None
    layers = {
        name: convert_to_float32(values, f"{path}: {name}") for name, values in layers.items()
    }
    weights = Weights(layers, "names of torchvision or timm", notes=note_unused(others))
    return _add_metadata(weights, stored, path) or (weights, TORCHVISION)
