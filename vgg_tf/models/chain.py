"""The layers of a network in order, so that part of it can run."""

import inspect

import keras
import numpy as np


def list_layers(model):
    """The layers of a network in the order in which they are applied, nested models taken apart;
    without dropout.

    Whether the network is such a chain is not seen here but by whoever applies it: see
    `compute_logits`.
    """
    layers = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            layers += list_layers(layer)
        elif not isinstance(layer, (keras.layers.InputLayer, keras.layers.Dropout)):
            layers.append(layer)
    return layers


def list_map_names(model):
    """Names of the layers that have a map, `[h, w, channels]`: what heat maps can be had of."""
    return [layer.name for layer in list_layers(model) if _is_map(layer)]


def find_last_map(model):
    """Name of the last layer with a map that is not the head's: block5_pool's input in networks
    of ours.
    """
    convolutions = [
        layer.name for layer in list_layers(model) if isinstance(layer, keras.layers.Conv2D)
    ]
    named = [name for name in convolutions if name.startswith("block")]
    if not convolutions:
        raise ValueError(
            f"{model.name} has no convolution, and so no map. It has "
            f"{', '.join(x.name for x in model.layers)}."
        )
    return (named or convolutions)[-1]


def compute_logits(model, layers, x):
    """Scores of one image `[1, h, w, 3]` by the chain, float64 `[classes]`; a ValueError where
    the network is none.
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
            f"{model.name} does not take an image of {x.shape[1:]}, or is no chain of layers: "
            f"{error}"
        ) from None
    if not same:
        raise ValueError(
            f"{model.name} is no chain of layers, each applied to what the one before it gives."
        )
    return keras.ops.convert_to_numpy(found).astype(np.float64).reshape(-1, found.shape[-1]).mean(0)


def apply_layers(layers, x):
    """What a chain makes of `x` in a test, up to the scores: a softmax at its end is left away."""
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
    """The chain up to a layer, with the batch normalisation and ReLU that follow it, and the
    rest.
    """
    known = {layer.name: i for i, layer in enumerate(layers)}
    if name not in known:
        raise ValueError(f"No layer {name!r}. The network has {', '.join(known)}.")
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
        raise ValueError(f"{name} has no map, but numbers alone. Maps have {maps}.")
    return layers[:end], layers[end:]


def _is_map(layer):
    return isinstance(layer, (keras.layers.Conv2D, keras.layers.MaxPooling2D))
