"""Conversion of layers with Keras' names, from a model or a file, to `Weights`."""

import re
from dataclasses import replace

import numpy as np

from vgg_tf.paper.architectures import IMAGENET_MEAN
from vgg_tf.weights import torchvision
from vgg_tf.weights.container import Weights, convert_to_float32, note_unused

HEAD = ("fc1", "fc2", "predictions")
OURS = re.compile(r"block[1-5]_(conv|bn)\d+|fc1|fc2|predictions")
# Names of layers and models whose input is not normalized as in Caffe. Keras Hub stores the
# preprocessing of its models in separate files.
_NOT_CAFFE = ("rescaling", "normalization", "vgg_backbone", "vgg_image_classifier")
UNKNOWN_MEAN = "unknown mean of the input: the target keeps its own"
_VARIABLES = {
    1: ("kernel",),
    2: ("kernel", "bias"),
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
}


def find_layers_with_weights(model):
    """Return a dict from name to layer, of the layers that have weights."""
    return {layer.name: layer for layer in model.layers if layer.weights}


def read_model(model):
    """Return the `Weights` of a Keras model.

    Args:
        model: Keras model.

    Returns:
        `Weights`.

    Raises:
        ValueError: Two layers have the same name, or the model is not a VGG network.
    """
    arrays, normalize = {}, None

    def walk(layer):
        nonlocal normalize
        if arrays.get(layer.name):
            raise ValueError(
                f"{model.name} must be one network. Received: two layers called {layer.name}. "
                "Give one of its networks alone."
            )
        arrays[layer.name] = (
            [] if hasattr(layer, "layers") or layer.name == "normalize" else layer.get_weights()
        )
        if layer.name == "normalize":
            known = getattr(layer, "input_mean", None) is not None
            normalize = (
                {"mean": layer.input_mean, "variance": layer.input_variance} if known else {}
            )
        for part in getattr(layer, "layers", ()):
            walk(part)

    walk(model)
    weights = make_weights(arrays, normalize, f"The network {model.name}", "a Keras model")
    return replace(weights, map_sides=find_map_sides(model) if normalize else None)


def find_map_sides(model):
    """Return height and width of the feature map that fc1 reads; None without a head."""
    for layer in model.layers:
        if layer.name == "flatten":
            return layer.input.shape[1:-1] or None
        if layer.name == "fc1":
            return getattr(layer, "kernel_size", None)
    return None


def make_weights(arrays, normalize, where, form, about=None):
    """Convert arrays by layer to `Weights`.

    Args:
        arrays: Dict from layer to a list of arrays, in Keras' order of variables.
        normalize: Mean and variance of the layer `normalize`, as `keras_files.read_archive` returns
            them.
        where: Name of the file or model, for messages.
        form: Format of the source, such as `a .keras file`.
        about: Metadata that `writing.write_weights` stored, or None.

    Returns:
        `Weights`.

    Raises:
        ValueError: There are no layers of a VGG network, or a layer has unexpected arrays.
    """
    layers = _name_variables(arrays, where)
    others = [name for name, values in arrays.items() if values and name not in layers]
    if not layers:
        found = ", ".join(others[:6]) + (", ..." if len(others) > 6 else "") or "no arrays at all"
        raise ValueError(
            f"{where} must have layers of a VGG network, such as block1_conv1 and fc1. Received: "
            f"{found}. Give weights of a VGG network."
        )
    if torchvision.LRN in arrays:
        layers[torchvision.LRN] = {}
    weights = Weights(layers, form, notes=note_unused(others))
    if about:
        return weights.add_metadata(about)
    if normalize:
        mean, std = np.ravel(normalize["mean"]), np.sqrt(np.ravel(normalize["variance"]))
        return replace(
            weights,
            mean=tuple(mean.tolist()),
            std=None if (std == 1).all() else tuple(std.tolist()),
        )
    if normalize is not None or any(name.startswith(_NOT_CAFFE) for name in arrays):
        return weights.add_notes(UNKNOWN_MEAN)
    return _convert_from_caffe(weights)


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


def _convert_from_caffe(weights):
    """Convert weights for BGR minus Caffe's mean, as in keras.applications, to RGB."""
    first = weights.layers.get("block1_conv1")
    if first is None or first["kernel"].shape[2:3] != (3,):
        return weights.add_notes(UNKNOWN_MEAN)
    kernel = np.ascontiguousarray(first["kernel"][:, :, ::-1])
    layers = weights.layers | {"block1_conv1": {**first, "kernel": kernel}}
    return replace(weights, layers=layers, mean=IMAGENET_MEAN).add_notes(
        "no layer normalize: assumed BGR minus Caffe's mean, as in keras.applications; "
        "first kernel converted to RGB"
    )
