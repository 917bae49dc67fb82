"""Grad-CAM, Grad-CAM++, saliency, feature maps and receptive fields, as arrays.

The functions run the layers of a network one by one (`chain`), to differentiate a logit with
respect to the feature map of a layer. The dense form has a map of logits; their mean is used.
A network without a head that pools its last feature map has no logits; the pooled channels are used
instead. Everything runs on TensorFlow and on JAX.
"""

from dataclasses import dataclass

import keras
import numpy as np

from vgg_tf.models.chain import apply_layers, compute_logits, find_last_map, list_layers, split_at

METHODS = ("grad-cam", "grad-cam++", "saliency")


def compute_heat(model, image, layer=None, label=None, method="grad-cam"):
    """Return a heatmap: how much each position of a layer's feature map supports a class.

    Grad-CAM (Selvaraju et al. 2017) is a weighted sum of the channels, clipped at 0. The weight of
    a channel is the mean derivative of the logit with respect to it. Grad-CAM++ (Chattopadhay et
    al. 2018) uses only positive derivatives, and weights them by position. Saliency (Simonyan et
    al. 2014) is the largest absolute derivative with respect to the colors of each input pixel.

    Args:
        model: A `keras.Model` that is a chain of layers. It may be from `build_vgg`, imported,
            nested, dense or without a head.
        image: `[h, w, 3]`, RGB 0..255, of a size that the network accepts.
        layer: Name of the layer. Its map is taken after batch normalization and ReLU. None is the
            last convolution. Ignored for saliency.
        label: Index of the class, or of the output, from 0. None is the one with the highest logit.
        method: One of `METHODS`.

    Returns:
        heatmap: float32 `[h', w']`, from 0 to 1, with the size of the layer's map, or of the image
            for saliency. The maximum is 1, or 0 if nothing supports the class.
        label: Int, index of the class.

    Raises:
        ValueError: The method, the layer or the label is unknown, or the network is not a chain of
            layers.
    """
    if method not in METHODS:
        raise ValueError(f"Unknown method {method!r}. Expected one of: {', '.join(METHODS)}.")
    layers, x = list_layers(model), np.float32(image)[np.newaxis]
    expected = compute_logits(model, layers, x)
    label = int(expected.argmax()) if label is None else int(label)
    if not 0 <= label < len(expected):
        raise ValueError(
            f"The label for {model.name} must be from 0 to {len(expected) - 1}. Received: {label}."
        )
    front, back = (
        ([], layers) if method == "saliency" else split_at(layers, layer or find_last_map(model))
    )
    activations = apply_layers(front, x)
    gradient = _gradient(lambda values: _score(apply_layers(back, values), label), activations)[0]
    activations = keras.ops.convert_to_numpy(activations).astype(np.float64)[0]
    if method == "saliency":
        found = np.abs(gradient).max(-1)
    elif method == "grad-cam":
        found = np.maximum(activations @ gradient.mean((0, 1)), 0)
    else:
        second, third = gradient**2, gradient**3
        below = 2 * second + activations.sum((0, 1)) * third
        alphas = second / np.where(below != 0, below, 1)
        found = np.maximum(activations @ (alphas * np.maximum(gradient, 0)).sum((0, 1)), 0)
    return np.float32(found / (found.max() or 1)), label


def compute_features(model, image, layer=None):
    """Return the feature map of a layer for an image, after batch normalization and ReLU.

    Args:
        model: A `keras.Model` that is a chain of layers.
        image: `[h, w, 3]`, RGB 0..255, of a size that the network accepts.
        layer: Name of the layer; None is the last convolution.

    Returns:
        float32 `[h', w', channels]`.
    """
    layers, x = list_layers(model), np.float32(image)[np.newaxis]
    compute_logits(model, layers, x)
    front, _ = split_at(layers, layer or find_last_map(model))
    return keras.ops.convert_to_numpy(apply_layers(front, x)).astype(np.float32)[0]


def _score(values, label):
    """Return the logit of a class, averaged over positions if there are several."""
    return keras.ops.mean(keras.ops.cast(values[..., label], "float32"))


def _gradient(function, x):
    """Return the derivatives of a scalar function with respect to `x`, as a float64 array."""
    if keras.config.backend() == "jax":
        import jax

        found = jax.grad(function)(keras.ops.convert_to_tensor(x))
    else:
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        found = tape.gradient(value, x)
    return keras.ops.convert_to_numpy(keras.ops.cast(found, "float32")).astype(np.float64)


@dataclass(frozen=True)
class Field:
    """Receptive fields of the units of a layer: squares of the input.

    Attributes:
        side: Side of each square, in pixels.
        step: Distance between the squares of neighboring units, in pixels.
        start: Top and left of the first unit's square, in pixels; below 0 if it includes padding.
    """

    side: int
    step: int
    start: int

    def of(self, row, column):
        """Return the receptive field of one unit.

        Args:
            row: Row of the unit in its feature map, from 0.
            column: Column of the unit in its feature map, from 0.

        Returns:
            `(xmin, ymin, xmax, ymax)`, in pixels. The square may extend beyond the image.
        """
        top, left = self.start + self.step * row, self.start + self.step * column
        return left, top, left + self.side, top + self.side


def find_receptive_field(model, layer=None):
    """Return the receptive fields of the units of a layer.

    They follow from the kernels, strides and paddings of the layers up to this one.

    Args:
        model: A `keras.Model` that is a chain of layers.
        layer: Name of the layer; None is the last convolution.

    Returns:
        The `Field`.
    """
    layers = list_layers(model)
    front, _ = split_at(layers, layer or find_last_map(model))
    side, step, start = 1, 1, 0
    for each in front:
        if isinstance(each, keras.layers.Conv2D):
            kernel, stride = each.kernel_size[0], each.strides[0]
        elif isinstance(each, keras.layers.MaxPooling2D):
            kernel, stride = each.pool_size[0], each.strides[0]
        else:
            continue
        padding = (kernel - 1) // 2 if each.padding == "same" and stride == 1 else 0
        side, start, step = side + (kernel - 1) * step, start - padding * step, step * stride
    return Field(side, step, start)


def read_filters(model):
    """Return the first convolution's kernels as pictures.

    Args:
        model: A `keras.Model`.

    Returns:
        float32 `[filters, h, w, channels]`, from 0 to 1. Each kernel is scaled on its own; 0.5
        (gray) means a weight of 0.
    """
    first = next(layer for layer in list_layers(model) if isinstance(layer, keras.layers.Conv2D))
    kernels = np.moveaxis(keras.ops.convert_to_numpy(first.kernel).astype(np.float32), -1, 0)
    largest = np.abs(kernels).max((1, 2, 3), keepdims=True)
    return 0.5 + kernels / np.where(largest > 0, largest, 1) / 2
