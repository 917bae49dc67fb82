"""Arrays by layer out of Keras' files: the layers' names are what counts, never their order."""

import io
import json
import re

import h5py


def read_archive(archive):
    """A `.keras` file.

    Args:
        archive: an open `zipfile.ZipFile` with config.json and model.weights.h5.

    Returns:
        arrays: lists of arrays by layer, each in Keras' order of variables.
        normalize: configuration of the layer `normalize`, with `mean` and `variance`; {} where it tells none, None where the
            network has no such layer.
    """
    with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        return _keras3(file), _statistics(json.loads(archive.read("config.json")))


def read_hdf5(file):
    """A `.weights.h5` of Keras 3, or a `.h5` of Keras 2, weights or whole model.

    Args:
        file: an open `h5py.File`.

    Returns:
        arrays, normalize: as `read_archive` gives them.
    """
    if "layer_names" not in file.attrs and "model_weights" not in file:
        arrays = _keras3(file)
        return arrays, {} if "normalize" in arrays else None
    arrays, config = _keras2(file.get("model_weights", file)), file.attrs.get("model_config")
    return arrays, _statistics(json.loads(config)) if config else {} if "normalize" in arrays else None


def _statistics(config):
    """Configuration of the layer `normalize` anywhere in a model's; None where there is none."""
    if isinstance(config, dict):
        if config.get("name") == "normalize" and "variance" in config:
            return config if config.get("mean") is not None else {}
        config = list(config.values())
    found = (_statistics(part) for part in config) if isinstance(config, list) else ()
    return next((part for part in found if part is not None), None)


def _keras3(file):
    """Arrays by layer of a `.weights.h5`. Keras numbers its groups by order; the name of the layer is an attribute."""
    arrays, nameless = {}, []

    def visit(place, group):
        if isinstance(group, h5py.Group) and place.endswith("vars") and not place.startswith("optimizer"):
            if arrays.get(group.attrs.get("name")):
                raise ValueError(f"{file.filename} has two layers called {group.attrs['name']}: one network is expected.")
            if "name" in group.attrs:
                arrays[group.attrs["name"]] = [group[str(i)][()] for i in range(len(group))]
            elif len(group):
                nameless.append(place)

    file.visititems(visit)
    if nameless:
        raise ValueError(
            f"{file.filename} tells no names of layers (at {nameless[0]}), only their order, which other networks share: load "
            "it in the Keras that wrote it and save it by a later one."
        )
    return arrays


def _keras2(group):
    """Arrays by layer of a `.h5` of Keras 2, `block1_conv1/kernel:0` or `block1_conv1_W_1:0`, also of models in models.

    TensorFlow 1 numbered the variables of a second network: `block1_conv1_1/kernel:0` in the layer block1_conv1.
    """
    arrays = {}
    for layer in group.attrs["layer_names"]:
        layer = layer.decode() if isinstance(layer, bytes) else layer
        arrays.setdefault(layer, [])
        for name in group[layer].attrs["weight_names"]:
            name = name.decode() if isinstance(name, bytes) else name
            owner = name.split("/")[-2] if "/" in name else layer
            owner = layer if re.fullmatch(re.escape(layer) + r"_\d+", owner) else owner
            arrays.setdefault(owner, []).append(group[layer][name][()])
    return arrays
