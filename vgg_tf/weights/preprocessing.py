"""The preprocessing inside a Keras network: what its layers do to a pixel before block1_conv1.

The layers of the configuration are computed with NumPy on a few pixels, which gives the mean, the
std and the order of the channels. Nothing of the file is executed: a Lambda or a custom layer is
unknown.
"""

from dataclasses import dataclass, replace

import numpy as np

from vgg_tf.paper.architectures import IMAGENET_MEAN, TORCHVISION_MEAN, TORCHVISION_STD
from vgg_tf.weights.container import check_statistics
from vgg_tf.weights.pixel_layers import UnknownLayer, apply_layer, get_name, rescale

FIRST = "block1_conv1"
_ORDERS = {(0, 1, 2): "rgb", (2, 1, 0): "bgr"}  # of the channels that the first kernel takes


@dataclass(frozen=True)
class Preprocessing:
    """What happens to the pixels before the first convolution.

    Attributes:
        mean: Mean, one value per channel of RGB, 0..255; None if unknown.
        std: Standard deviation, one value per channel of RGB; None means 1.
        channels: Order in which the first kernel takes the channels: `rgb` or `bgr`.
        note: What the user should know; empty where the file states the preprocessing.
        guessed: If True, the file states nothing, and this is an assumption.
    """

    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None = None
    channels: str = "rgb"
    note: str = ""
    guessed: bool = False


# Names of layers, in files of weights alone, whose network does not take its input as in Caffe.
# Keras Hub stores the preprocessing of its models in separate files.
_NOT_CAFFE = ("normalize", "rescaling", "normalization", "vgg_backbone", "vgg_image_classifier")
_STATE = "State it with --mean, --std and --channels"
UNKNOWN_MEAN = f"unknown mean of the input: the target keeps its own. {_STATE}"
UNKNOWN = Preprocessing(None, note=UNKNOWN_MEAN, guessed=True)
CAFFE = Preprocessing(
    IMAGENET_MEAN,
    None,
    "bgr",
    "no preprocessing in the file: assumed BGR minus Caffe's mean, as in keras.applications; first "
    f"kernel converted to RGB. {_STATE}, if this is wrong",
    True,
)
TORCHVISION = Preprocessing(
    TORCHVISION_MEAN,
    TORCHVISION_STD,
    "rgb",
    f"no metadata: assumed RGB with torchvision's mean and std. {_STATE}, if this is wrong",
    True,
)


def find_preprocessing(config, arrays):
    """Return the preprocessing of a Keras network.

    Args:
        config: Configuration of the model, as in config.json of a `.keras` file; of Keras 2 or 3.
            None if the file has weights alone.
        arrays: Dict from layer to its list of arrays. A layer Normalization may have learned its
            mean and variance.

    Returns:
        A `Preprocessing`. It is `CAFFE` where no layer changes the pixels, and has the mean None
        where a layer is unknown.

    Raises:
        ValueError: The mean or the std cannot be right.
    """
    channels = _count_channels(arrays)
    identity = CAFFE if channels == 3 else UNKNOWN
    by_names = UNKNOWN if any(name.startswith(_NOT_CAFFE) for name in arrays) else identity
    if config is None:
        return by_names
    try:
        pixels = _make_pixels(channels)
        with np.errstate(all="ignore"):
            seen = _trace(config, pixels, arrays, FIRST)
        if seen is pixels:  # no layer computes anything
            return identity
        if np.isfinite(seen).all():
            return _restore_digits(_fit(seen, pixels), config)
    except UnknownLayer as layer:
        return replace(UNKNOWN, note=f"the effect of {layer} is unknown; {UNKNOWN_MEAN}")
    # A configuration of another form, such as that of a network which is not a graph of layers.
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError):
        return by_names
    raise ValueError(
        "The preprocessing in the file must give finite numbers. Received: NaN or infinity. Give "
        "another file, or write the weights again."
    )


def read_scaling(config):
    """Return the preprocessing of a configuration of Keras Hub with `scale` and `offset`.

    Args:
        config: Configuration of a layer ImageConverter.

    Returns:
        A `Preprocessing`.

    Raises:
        ValueError: The mean or the std cannot be right.
    """
    pixels = _make_pixels(3)
    found = _fit(rescale(config, pixels), pixels)
    check_statistics(found.mean, found.std, "The image converter of the preset")
    return found


def _count_channels(arrays):
    kernel = (arrays.get(FIRST) or [np.zeros([3])])[0]
    return kernel.shape[2] if kernel.ndim == 4 else 0


def _make_pixels(channels):
    """Return float64 `[channels + 3, 1, 1, channels]`: black, each color, and two any others."""
    black = np.zeros([1, channels])
    others = np.random.default_rng(0).uniform(0, 255, [2, channels])
    return np.concatenate([black, 255 * np.eye(channels), others])[:, None, None]


def _fit(seen, pixels):
    """Return the `Preprocessing` that turns `pixels` into `seen`."""
    channels = pixels.shape[-1]
    if np.shape(seen) != pixels.shape:
        raise UnknownLayer(f"layers that give {np.shape(seen)[-1]} channels")
    seen, pixels = seen[:, 0, 0], pixels[:, 0, 0]
    offset = seen[0]
    scales = (seen[1 : channels + 1] - offset).T / 255  # [channel of the kernel, channel of RGB]
    order = np.abs(scales).argmax(1)
    scale = scales[range(channels), order]
    if not np.allclose(seen, pixels[:, order] * scale + offset, rtol=1e-5, atol=1e-4):
        raise UnknownLayer("layers that mix channels or are not linear")
    if (scale <= 0).any() and np.isfinite(scale).all():
        raise UnknownLayer("layers that invert or remove channels")
    names = _ORDERS if channels == 3 else {tuple(range(channels)): "rgb"}
    if tuple(order) not in names:
        raise UnknownLayer(f"layers that put the channels in the order {order.tolist()}")
    back = np.argsort(order)
    mean, std = (0 - offset / scale)[back], (1 / scale)[back]
    std = None if np.allclose(std, 1, rtol=1e-12, atol=0) else tuple(std.tolist())
    return Preprocessing(tuple(mean.tolist()), std, names[tuple(order)])


def _restore_digits(found, config):
    """Return the statistics with the digits of the layer `normalize`, where they are its own."""
    for layer in _list_layers(config):
        own = layer.get("config", {})
        if get_name(layer) == "normalize" and own.get("mean") is not None:
            mean, std = np.ravel(own["mean"]), np.sqrt(np.ravel(own["variance"]))
            exact = tuple(mean.tolist()), None if (std == 1).all() else tuple(std.tolist())
            both = zip(exact, (found.mean, found.std), strict=True)
            if all(np.allclose(1 if a is None else a, 1 if b is None else b) for a, b in both):
                return replace(found, mean=exact[0], std=exact[1])
    return found


def _list_layers(model):
    """Return the layers of a model and of the models in it."""
    layers = _get_layers(model) or []
    return [*layers, *(layer for nested in layers for layer in _list_layers(nested))]


def _get_layers(layer):
    """Return the configurations of a model's layers; None for another layer."""
    config = layer.get("config") if isinstance(layer, dict) else None
    return config if isinstance(config, list) else (config or {}).get("layers")


def _trace(model, pixels, arrays, target=None):
    """Compute the layers of a model.

    Args:
        model: Configuration of the model.
        pixels: Float64 array, the input.
        arrays: Dict from layer to its list of arrays.
        target: Name of a layer.

    Returns:
        Float64 array that enters the target. Without a target, the output of the model.

    Raises:
        UnknownLayer: The effect of a layer is unknown.
        KeyError: No layer is called `target`.
    """
    layers = {get_name(layer): layer for layer in _get_layers(model)}
    names, values = list(layers), {}
    chained = not any("inbound_nodes" in layer for layer in layers.values())

    def compute(name, node=0, *_):
        if (name, node) not in values:
            values[name, node] = None
            layer = layers[name]
            if layer["class_name"] == "InputLayer":
                values[name, node] = pixels
            else:
                operands, more = enter(name, node)
                values[name, node] = (
                    apply_layer(layer, operands, more, arrays.get(name))
                    if _get_layers(layer) is None
                    else _trace(layer, operands[0], arrays)
                )
        if values[name, node] is None:
            raise UnknownLayer(f"a circle at {name}")
        return values[name, node]

    def enter(name, node=0):
        """Return the positional and keyword arguments of a layer."""
        if chained:
            place = names.index(name)
            return [compute(names[place - 1]) if place else pixels], {}
        nodes = layers[name]["inbound_nodes"]
        # Keras 2 also counts the calls that built a nested model, which are not in the list.
        return _decode_call(nodes[min(node, len(nodes) - 1)], compute, layers)

    if target in layers:
        return enter(target)[0][0]
    if target is None:
        return compute(*_get_output(model, names))
    for name, layer in layers.items():
        if any(get_name(part) == target for part in _list_layers(layer)):
            return _trace(layer, enter(name)[0][0], arrays, target)
    raise KeyError(target)


def _get_output(model, names):
    """Return the layer and the node of a model's output."""
    config = model["config"]
    outputs = config.get("output_layers") if isinstance(config, dict) else None
    if not outputs:
        return (names[-1],)
    return tuple(outputs[0] if isinstance(outputs[0], list) else outputs)[:2]


def _decode_call(node, compute, layers):
    """Return the positional and keyword arguments of a node, of Keras 3 or of Keras 2."""

    def decode(value):
        if isinstance(value, dict):
            kind, config = value.get("class_name"), value.get("config")
            if kind == "__keras_tensor__":
                return compute(*config["keras_history"])
            if kind in ("__numpy__", "__tensor__"):
                return np.float64(config["value"])
            if kind == "__ellipsis__":
                return ...
            part = config if kind == "__slice__" else value
            return slice(part["start"], part["stop"], part["step"])
        if isinstance(value, list):
            if len(value) == 3 and isinstance(value[0], str) and value[0] in layers:
                return compute(*value)
            return [decode(part) for part in value]
        return value

    if isinstance(node, dict):
        return decode(node["args"]), {key: decode(part) for key, part in node["kwargs"].items()}
    calls = [node] if isinstance(node[0], str) else node  # operations are not in a list
    tensors = [
        call[2] if call[0] == "_CONSTANT_VALUE" else compute(call[0], call[1]) for call in calls
    ]
    more = calls[0][3] if len(calls[0]) > 3 else {}
    return tensors, {key: decode(part) for key, part in more.items()}
