"""The layers of a network in order, to run a part of it."""

import inspect

import keras
import numpy as np


def list_layers(model):
    """Return the layers of a network in the order in which they are applied.

    Layers of nested models are included, dropout is not. `compute_logits` checks that the network
    is a chain of these layers.

    Args:
        model: A `keras.Model`.

    Returns:
        List of `keras.layers.Layer`.
    """
    layers = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            layers += list_layers(layer)
        elif not isinstance(layer, (keras.layers.InputLayer, keras.layers.Dropout)):
            layers.append(layer)
    return layers


def list_map_names(model):
    """Return the names of the layers with a feature map `[h, w, channels]`, for heatmaps."""
    return [layer.name for layer in list_layers(model) if _is_map(layer)]


def find_last_map(model):
    """Return the name of the last convolution before the head.

    Args:
        model: A `keras.Model`.

    Returns:
        str, such as `block5_conv3` for VGG-16.

    Raises:
        ValueError: The network has no convolution; the message lists its layers.
    """
    convolutions = [
        layer.name for layer in list_layers(model) if isinstance(layer, keras.layers.Conv2D)
    ]
    named = [name for name in convolutions if name.startswith("block")]
    if not convolutions:
        raise ValueError(
            f"A heatmap needs a network with a convolution. Received: {model.name} with the layers "
            f"{', '.join(x.name for x in model.layers)}. Use another network."
        )
    return (named or convolutions)[-1]


def compute_logits(model, layers, x):
    """Return the logits of one image, and check that the network is a chain of layers.

    Args:
        model: A `keras.Model`.
        layers: Its layers, from `list_layers`.
        x: float32 `[1, h, w, 3]`, RGB 0..255.

    Returns:
        float64 `[classes]`. Logits of several positions are averaged.

    Raises:
        ValueError: The network is not a chain of layers, or does not accept the shape of the image.
    """
    try:
        found = apply_layers(layers, x)
        end = found if _linear_end(layers[-1]) else keras.ops.softmax(found, -1)
        theirs = keras.ops.convert_to_numpy(model(x, training=False)).astype(np.float64)
        ours = keras.ops.convert_to_numpy(end).astype(np.float64)
        same = ours.shape == theirs.shape and np.allclose(
            ours, theirs, rtol=1e-2, atol=1e-3 * max(1, np.abs(theirs).max())
        )
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{model.name} must be a chain of layers that accepts the image. Received: an image of "
            f"shape {x.shape[1:]}. Use another image size or network. Keras reports: {error}"
        ) from None
    if not same:
        raise ValueError(
            f"{model.name} must be a chain of layers, each applied to the output of the previous "
            "one. Received: a network with other outputs than this chain. Use another network."
        )
    return keras.ops.convert_to_numpy(found).astype(np.float64).reshape(-1, found.shape[-1]).mean(0)


def apply_layers(layers, x):
    """Return the output of a chain for `x` in inference mode, without a softmax at the end."""
    for layer in layers:
        if isinstance(layer, keras.layers.Softmax) or (
            layer is layers[-1] and _softmax_within(layer)
        ):
            x = x if isinstance(layer, keras.layers.Softmax) else _without_activation(layer, x)
        elif "training" in inspect.signature(layer.call).parameters:
            x = layer(x, training=False)
        else:
            x = layer(x)
    return x


def _softmax_within(layer):
    return getattr(layer, "activation", None) is keras.activations.softmax


def _linear_end(layer):
    return not (isinstance(layer, keras.layers.Softmax) or _softmax_within(layer))


def _without_activation(layer, x):
    config = layer.get_config() | {"activation": "linear"}
    plain = layer.__class__.from_config(config)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    return plain(x)


def split_at(layers, name):
    """Split a chain after a layer, and after the batch normalization and ReLU that follow it.

    Args:
        layers: Layers of a network, from `list_layers`.
        name: Name of a layer with a feature map.

    Returns:
        `(front, back)`, two lists of layers.

    Raises:
        ValueError: No layer has this name, or the layer has no feature map.
    """
    known = {layer.name: i for i, layer in enumerate(layers)}
    if name not in known:
        raise ValueError(f"Unknown layer {name!r}. Expected one of: {', '.join(known)}.")
    end = known[name] + 1
    while end < len(layers) and isinstance(
        layers[end], (keras.layers.BatchNormalization, keras.layers.ReLU)
    ):
        end += 1
    if (
        isinstance(layers[end - 1], keras.layers.Flatten)
        or len(getattr(layers[end - 1].output, "shape", ())) != 4
    ):
        maps = ", ".join(each for each, i in known.items() if _is_map(layers[i]))
        raise ValueError(f"Layer {name!r} has no feature map. Expected one of: {maps}.")
    return layers[:end], layers[end:]


def _is_map(layer):
    return isinstance(layer, (keras.layers.Conv2D, keras.layers.MaxPooling2D))
