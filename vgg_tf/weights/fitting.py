"""Fits the arrays of a layer to the same layer of another network."""

import numpy as np

from vgg_tf.weights.keras_layers import HEAD


class Unfit(Exception):  # noqa: N818 - a reason, not an error
    """Reason why a layer cannot be copied."""


def fit_layer(name, weights, layer, sides, classes=None):
    """Return the arrays of a layer in the shapes of the target network.

    Args:
        name: Name of the layer.
        weights: `Weights` of the source.
        layer: Keras layer of the target.
        sides: Height and width of the feature map that fc1 of the target reads, or None.
        classes: Names of the target's classes, or None.

    Returns:
        arrays: List of float32 arrays, in Keras' order of variables.
        how: How the kernel was adapted; an empty str if it was not.

    Raises:
        Unfit: The arrays do not fit. The message is the reason.
    """
    if name not in weights.layers:
        raise Unfit("not in the source")
    values = list(weights.layers[name].values())
    shapes = [tuple(variable.shape) for variable in layer.weights]
    if len(values) != len(shapes):
        raise Unfit(f"{len(values)} arrays in the source, {len(shapes)} in the target")
    if name == "predictions":
        _check_classes(values[0].shape, shapes[0], weights.classes, classes)
    how = ""
    kernel, shape = values[0], shapes[0]
    if name == "block1_conv1" and kernel.shape[2] == 3 != shape[2]:
        values[0] = adapt_channels(kernel, shape[2], weights.std)
        how = "summed over RGB" if shape[2] == 1 else f"repeated over {shape[2]} channels"
    elif name in HEAD and _has_another_form(kernel.shape, shape):
        values[0] = kernel.reshape(shape)
        how = f"kernel {kernel.shape} as {shape}"
    for value, shape in zip(values, shapes, strict=True):
        if value.shape != shape:
            raise Unfit(f"shape {value.shape} in the source, {shape} in the target")
    if name == "fc1" and None not in (weights.map_sides, sides) and weights.map_sides != sides:
        raise Unfit(
            "a map of {}x{} in the source, of {}x{} in the target".format(
                *weights.map_sides, *sides
            )
        )
    return values, how


def _check_classes(shape, wanted, classes, wanted_classes):
    """Raise `Unfit` if the last layer has another number or other names of classes."""
    if shape[-1] != wanted[-1]:
        raise Unfit(
            f"{shape[-1]} classes in the source {shape}, {wanted[-1]} in the target {wanted}"
        )
    if None not in (wanted_classes, classes) and tuple(wanted_classes) != classes:
        raise Unfit("the source and the target have other names of classes")


def _has_another_form(shape, other):
    """Return whether one is a convolution and the other a matrix, with equal inputs and outputs."""
    equal = np.prod(shape[:-1]) == np.prod(other[:-1]) and shape[-1] == other[-1]
    return bool(equal) and len(shape) != len(other)


def adapt_channels(kernel, channels, std=None):
    """Convert the first kernel to another number of input channels.

    For one channel the kernel is summed over RGB. A gray image then gives the same output as its
    RGB copy, except for differences between the means of the three channels. For other numbers
    the channels are R, G, B, R, ..., scaled by 3 / channels to keep the size of the sum.

    Args:
        kernel: `[h, w, 3, out]`, for RGB.
        channels: Number of input channels.
        std: Standard deviations that the RGB input is divided by, or None. A gray input is divided
            by their mean.

    Returns:
        float32 `[h, w, channels, out]`.
    """
    if channels == 1:
        kernel = (
            kernel if std is None else kernel * np.float32(np.mean(std) / np.array(std))[:, None]
        )
        return kernel.sum(axis=2, keepdims=True, dtype=np.float32)
    return np.float32(kernel[:, :, np.arange(channels) % 3] * (3 / channels))
