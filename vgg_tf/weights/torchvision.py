"""Conversion of names and layouts between torchvision or timm and Keras.

Torch stores kernels as `[out, in, h, w]` and `[out, in]`. `features.0.weight` is the transposed
kernel of `block1_conv1`. Torch flattens the feature map for fc1 channel by channel, Keras row by
row.
"""

import math

import numpy as np

from vgg_tf.paper.architectures import ARCHITECTURES

TORCHVISION_HEAD = {"fc1": "classifier.0", "fc2": "classifier.3", "predictions": "classifier.6"}
# The first two are convolutions.
TIMM_HEAD = {"fc1": "pre_logits.fc1", "fc2": "pre_logits.fc2", "predictions": "head.fc"}
LRN = "block1_lrn"  # has no arrays; its name distinguishes A-LRN from A
_CONNECTED = {"kernel": "weight", "bias": "bias"}
_NORMALIZED = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_TO_KERAS = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
_TO_TORCH = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}


def make_trunk_names(row):
    """Return torchvision's names of the layers with weights, without the head.

    Args:
        row: `Architecture` of the network.

    Returns:
        Dict from Keras' name to torchvision's, such as `block1_conv1` to `features.0`.
    """
    names, index = {}, 0
    for block, kernels in enumerate(row.kernels, start=1):
        for j in range(1, len(kernels) + 1):
            names[f"block{block}_conv{j}"] = f"features.{index}"
            if row.batch_norm:
                names[f"block{block}_bn{j}"] = f"features.{index + 1}"
            index += 3 if row.batch_norm else 2  # plus the ReLU
        index += 2 if row.lrn and block == 1 else 1  # the pooling
    return names


def from_state_dict(arrays, map_sides=None):
    """Convert a state dict to layers in Keras' layout.

    Args:
        arrays: Dict from torchvision's or timm's names to arrays, with or without the head.
        map_sides: `(h, w)` of the feature map that fc1 reads. Defaults to None, a square map.

    Returns:
        layers: Dict from layer to a dict from variable to array. A layer has all its variables or
            is missing. fc1 is `[h * w * c, out]`, or `[h, w, c, out]` if it is a convolution.
        others: List of the names that were not used.

    Raises:
        ValueError: The names are not those of a VGG network, or a layer is incomplete. The message
            has the expected names and those found.
    """
    arrays = {
        key: value for key, value in arrays.items() if not key.endswith("num_batches_tracked")
    }
    row = next(
        (row for row in ARCHITECTURES.values() if _fits(make_trunk_names(row), arrays)), None
    )
    if row is None:
        found = ", ".join(sorted(arrays)[:6]) or "nothing"
        raise ValueError(
            "names must be features.0.weight, features.0.bias, ... and all other layers of one of "
            f"{', '.join(ARCHITECTURES)} in torchvision or timm. Received: {found}. Give weights "
            "of such a network"
        )
    heads = [
        head
        for head in (TORCHVISION_HEAD, TIMM_HEAD)
        if any(f"{name}.weight" in arrays for name in head.values())
    ]
    layers, others = {LRN: {}} if row.lrn else {}, dict(arrays)
    for name, theirs in (make_trunk_names(row) | (heads[0] if heads else {})).items():
        keys = {
            ours: f"{theirs}.{word}"
            for ours, word in (_NORMALIZED if "_bn" in name else _CONNECTED).items()
        }
        lacking = [key for key in keys.values() if key not in arrays]
        if lacking and len(lacking) < len(keys):
            raise ValueError(
                f"{' and '.join(keys.values())} must be in the file. Received: no "
                f"{' and no '.join(lacking)}. Copy or download the file again"
            )
        if not lacking:
            layers[name] = {
                ours: _transpose(others.pop(key), _TO_KERAS, key) for ours, key in keys.items()
            }
    if "fc1" in layers and (kernel := layers["fc1"]["kernel"]).ndim == 2:
        last = f"block5_conv{len(row.kernels[4])}"
        h, w, c = _find_map_shape(len(kernel), len(layers[last]["bias"]), map_sides)
        layers["fc1"]["kernel"] = (
            kernel.reshape(c, h, w, -1).transpose(1, 2, 0, 3).reshape(h * w * c, -1)
        )
    return layers, sorted(others)


def to_state_dict(layers, row, map_sides):
    """Convert layers in Keras' layout to a state dict of torchvision.

    Args:
        layers: Dict from layer to a dict from variable to array.
        row: `Architecture` of the network.
        map_sides: `(h, w)` of the feature map that fc1 reads; None without a head.

    Returns:
        Dict from torchvision's names to arrays.
    """
    arrays = {}
    for name, theirs in (make_trunk_names(row) | TORCHVISION_HEAD).items():
        for ours, value in layers.get(name, {}).items():
            if name == "fc1" and ours == "kernel":
                h, w = map_sides
                value = (
                    value.reshape(h, w, -1, value.shape[-1])
                    .transpose(2, 0, 1, 3)
                    .reshape(-1, value.shape[-1])
                )
            elif name in TORCHVISION_HEAD and ours == "kernel":  # also if the head is convolutions
                value = value.reshape(-1, value.shape[-1])
            word = (_NORMALIZED if "_bn" in name else _CONNECTED)[ours]
            arrays[f"{theirs}.{word}"] = np.ascontiguousarray(_transpose(value, _TO_TORCH, name))
        if "_bn" in name:
            arrays[f"{theirs}.num_batches_tracked"] = np.array(0, np.int64)  # torch requires it
    return arrays


def _fits(names, arrays):
    """Return whether the trunk has exactly these convolutions, and a bias in each layer."""
    kernels = {f"{theirs}.weight" for ours, theirs in names.items() if "conv" in ours}
    found = {
        key for key, value in arrays.items() if key.startswith("features.") and value.ndim == 4
    }
    return found == kernels and all(f"{theirs}.bias" in arrays for theirs in names.values())


def _transpose(value, orders, name):
    if value.ndim not in orders:
        raise ValueError(
            f"{name} must have the shape of a kernel or bias. Received: {value.shape}. Give "
            "weights of a VGG network"
        )
    return value.transpose(orders[value.ndim])


def _find_map_shape(inputs, channels, sides):
    if sides is None:
        sides = (math.isqrt(inputs // channels),) * 2
    if math.prod(sides) * channels != inputs:
        raise ValueError(
            f"fc1 must read a map of {sides[0]}x{sides[1]} with {channels} channels. Received: "
            f"{inputs} inputs. Give map_sides in the metadata vgg_tf"
        )
    return (*sides, channels)
