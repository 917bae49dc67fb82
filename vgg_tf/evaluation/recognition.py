"""The architecture and the crop of weights, from the shapes of their arrays."""

import math

from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.weights.torchvision import LRN


def recognize_architecture(weights):
    """The row of the table that these weights belong to."""
    layers = weights.layers
    found = {name: values["kernel"].shape[0] for name, values in layers.items() if "_conv" in name}
    batch_norm = any("_bn" in name for name in layers)
    for row in ARCHITECTURES.values():
        stages = enumerate(row.kernels, 1)
        kernels = {
            f"block{b}_conv{i}": side for b, stage in stages for i, side in enumerate(stage, 1)
        }
        if kernels == found and row.batch_norm == batch_norm and row.lrn == (LRN in layers):
            break
    else:
        raise ValueError(
            f"{weights.source} is of no architecture of the table: it has {', '.join(found)}."
        )
    return row


def find_crop(weights):
    """Side of the crops, from the map that fc1 reads."""
    kernel, channels = (
        weights.layers["fc1"]["kernel"],
        max(v["kernel"].shape[-1] for n, v in weights.layers.items() if "_conv" in n),
    )
    inputs = math.prod(kernel.shape[:-1])
    h, w = weights.map_sides or (math.isqrt(inputs // channels),) * 2
    if h != w or h * w * channels != inputs:
        raise ValueError(
            f"{weights.source} was trained on crops that are no squares (fc1 is "
            f"{kernel.shape}), which programs do not take. Give build_vgg their input_shape and "
            "these weights."
        )
    return 32 * h
