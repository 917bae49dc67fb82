"""Architecture and crop of weights, from the shapes of their arrays."""

import math

from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.weights.torchvision import LRN


def recognize_architecture(weights):
    """Return the architecture that these weights belong to.

    Args:
        weights: a `container.Weights`.

    Returns:
        An `architectures.Architecture`.

    Raises:
        ValueError: no architecture has these layers.
    """
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
            f"{weights.source} must be one of {', '.join(ARCHITECTURES)}. Received: layers "
            f"{', '.join(found)}. Give weights of a VGG network."
        )
    return row


def find_crop(weights):
    """Return the side of the crops, from the input of fc1.

    Args:
        weights: a `container.Weights` with a head.

    Returns:
        The side in pixels.

    Raises:
        ValueError: the crops were not square.
    """
    kernel, channels = (
        weights.layers["fc1"]["kernel"],
        max(v["kernel"].shape[-1] for n, v in weights.layers.items() if "_conv" in n),
    )
    inputs = math.prod(kernel.shape[:-1])
    h, w = weights.map_sides or (math.isqrt(inputs // channels),) * 2
    if h != w or h * w * channels != inputs:
        raise ValueError(
            f"{weights.source} must come from a training on square crops. Received: fc1 of shape "
            f"{kernel.shape}. Call build_vgg with the input_shape of the crops and load_weights."
        )
    return 32 * h
