"""Fits the arrays of one layer into the same layer of another network, or says why they do not."""

import numpy as np

from vgg_tf.weights.keras_layers import HEAD


class Unfit(Exception):  # noqa: N818 - a reason, not an error
    """Why a layer cannot be copied."""


def fit_layer(name, weights, layer, sides, classes=None):
    """Return the arrays of a layer in the shapes of another network.

    Args:
        name: of the layer.
        weights: the `Weights` that have it.
        layer: the Keras layer of the other network.
        sides: height and width of the map that fc1 of the other network reads, or None.
        classes: names of the other network's classes, or None.

    Returns:
        arrays, in Keras' order; and what was done to them, in words, mostly an empty text.

    Raises:
        Unfit: they do not fit; the message is the reason.
    """
    if name not in weights.layers:
        raise Unfit("not in the source")
    values = list(weights.layers[name].values())
    shapes = [tuple(variable.shape) for variable in layer.weights]
    if len(values) != len(shapes):
        raise Unfit(f"{len(values)} arrays there, {len(shapes)} here")
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
            raise Unfit(f"{value.shape} there, {shape} here")
    if name == "fc1" and None not in (weights.map_sides, sides) and weights.map_sides != sides:
        raise Unfit("a map of {}x{} there, of {}x{} here".format(*weights.map_sides, *sides))
    return values, how


def _check_classes(shape, wanted, classes, wanted_classes):
    """Raise `Unfit` if the last layer has another number of classes, or classes of other names."""
    if shape[-1] != wanted[-1]:
        raise Unfit(f"{shape[-1]} classes there {shape}, {wanted[-1]} here {wanted}")
    if None not in (wanted_classes, classes) and tuple(wanted_classes) != classes:
        raise Unfit("other classes there, as many as here")


def _has_another_form(shape, other):
    """Return whether one is a convolution and the other a matrix, of equal inputs and outputs."""
    equal = np.prod(shape[:-1]) == np.prod(other[:-1]) and shape[-1] == other[-1]
    return bool(equal) and len(shape) != len(other)


def adapt_channels(kernel, channels, std=None):
    """Return the first kernel for another number of channels.

    Args:
        kernel: `[h, w, 3, out]` for RGB.
        channels: 1 sums over RGB, so that a gray image scores as the color image of three such
            channels, up to the means of the three. Others repeat R, G, B, R, ... times 3 /
            channels, which keeps the sum over them about as large.
        std: what the RGB input is divided by, or None. A gray image is divided by its mean.

    Returns:
        float32 `[h, w, channels, out]`.
    """
    if channels == 1:
        kernel = (
            kernel if std is None else kernel * np.float32(np.mean(std) / np.array(std))[:, None]
        )
        return kernel.sum(axis=2, keepdims=True, dtype=np.float32)
    return np.float32(kernel[:, :, np.arange(channels) % 3] * (3 / channels))
