"""Conversion of layers with Keras' names, from a model or a file, to `Weights`."""

import json
import re
from dataclasses import replace

from vgg_tf.weights import torchvision
from vgg_tf.weights.container import Weights, convert_to_float32, note_unused
from vgg_tf.weights.preprocessing import find_preprocessing

HEAD = ("fc1", "fc2", "predictions")
OURS = re.compile(r"block[1-5]_(conv|bn)\d+|fc1|fc2|predictions")
_VARIABLES = {
    1: ("kernel",),
    2: ("kernel", "bias"),
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
}


def find_layers_with_weights(model):
    """Return a dict from name to layer, of the layers that have weights."""
    return {layer.name: layer for layer in model.layers if layer.weights}


def read_model(model):
    """Return the weights and the preprocessing of a Keras model.

    Args:
        model: Keras model.

    Returns:
        weights: `Weights`, for `normalization.settle_input`.
        found: `Preprocessing`.

    Raises:
        ValueError: Two layers have the same name, or the model is not a VGG network.
    """
    arrays = {}

    def walk(layer):
        if arrays.get(layer.name):
            raise ValueError(
                f"{model.name} must be one network. Received: two layers called {layer.name}. "
                "Give one of its networks alone."
            )
        arrays[layer.name] = [] if hasattr(layer, "layers") else layer.get_weights()
        for part in getattr(layer, "layers", ()):
            walk(part)

    walk(model)
    weights = make_weights(arrays, f"The network {model.name}", "a Keras model")
    sides = find_map_sides(model) if "normalize" in arrays else None
    return replace(weights, map_sides=sides), find_preprocessing(_read_config(model), arrays)


def _read_config(model):
    """Return the configuration of a model; None for a class of its own that states none."""
    try:
        return json.loads(model.to_json())
    except (NotImplementedError, TypeError):
        return None


def find_map_sides(model):
    """Return height and width of the feature map that fc1 reads; None without a head."""
    for layer in model.layers:
        if layer.name == "flatten":
            return layer.input.shape[1:-1] or None
        if layer.name == "fc1":
            return getattr(layer, "kernel_size", None)
    return None


def make_weights(arrays, where, form):
    """Convert arrays by layer to `Weights`.

    Args:
        arrays: Dict from layer to a list of arrays, in Keras' order of variables.
        where: Name of the file or model, for messages.
        form: Format of the source, such as `a .keras file`.

    Returns:
        `Weights`, whose first kernel is that of the source.

    Raises:
        ValueError: There are no layers of a VGG network, or a layer has unexpected arrays.
    """
    layers = _name_variables(arrays, where)
    # A layer Normalization is used for the mean and std.
    known = (*layers, *(name for name in arrays if name.startswith("normaliz")))
    others = [name for name, values in arrays.items() if values and name not in known]
    if not layers:
        found = ", ".join(others[:6]) + (", ..." if len(others) > 6 else "") or "no arrays at all"
        raise ValueError(
            f"{where} must have layers of a VGG network, such as block1_conv1 and fc1. Received: "
            f"{found}. Give weights of a VGG network."
        )
    if torchvision.LRN in arrays:
        layers[torchvision.LRN] = {}
    return Weights(layers, form, notes=note_unused(others))


def _name_variables(arrays, where):
    """Return the float32 arrays of the layers of VGG networks, by layer and variable."""
    layers = {}
    for name, values in arrays.items():
        if OURS.fullmatch(name) and values:
            names = _VARIABLES.get(len(values), ())
            if not names or ("_bn" in name) != (len(names) == 4):
                shapes = ", ".join(str(value.shape) for value in values)
                expected = ", ".join(_VARIABLES[4 if "_bn" in name else 2])
                raise ValueError(
                    f"{where}: {name} must have the arrays {expected}. Received: shapes {shapes}. "
                    "Give weights of a VGG network."
                )
            layers[name] = convert_to_float32(
                dict(zip(names, values, strict=True)), f"{where}: {name}"
            )
    return layers
