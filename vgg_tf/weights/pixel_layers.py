"""Layers and operations of Keras 2 and 3 that change pixels, computed with NumPy."""

import operator

import numpy as np

_ONLY_IN_TRAINING = {
    *("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("ActivityRegularization", "Identity", "RandAugment", "AugMix", "MixUp", "CutMix"),
    *("Resizing", "CenterCrop"),  # not colors; our crop has the size that follows them
    *("Cast", "cast"),
}
_ARITHMETIC = {
    **dict.fromkeys(("Add", "math.add", "__operators__.add", "nn.bias_add"), np.add),
    **dict.fromkeys(("Subtract", "math.subtract"), np.subtract),
    **dict.fromkeys(("Multiply", "math.multiply"), np.multiply),
    **dict.fromkeys(("Divide", "TrueDivide", "math.truediv", "math.divide"), np.true_divide),
}
_OPERATIONS = {**_ARITHMETIC, **dict.fromkeys(("Negative", "math.negative"), np.negative)}
_ALONG_AXIS = {
    **dict.fromkeys(("Flip", "reverse"), np.flip),
    **dict.fromkeys(("Stack", "stack"), np.stack),
    **dict.fromkeys(("Concatenate", "concat"), np.concatenate),
}


class UnknownLayer(Exception):  # noqa: N818, no error of a user
    """The effect of a layer is unknown; the message names it."""


def get_name(layer):
    """Return the name in the configuration of a layer."""
    return layer.get("name") or layer["config"]["name"]


def apply_layer(layer, values, more, learned):
    """Return what a layer makes of pixels.

    Args:
        layer: Configuration of the layer.
        values: List of its positional arguments: float64 arrays, and numbers.
        more: Dict of its keyword arguments.
        learned: List of its arrays, or None.

    Returns:
        Float64 array.

    Raises:
        UnknownLayer: The effect of the layer is unknown.
    """
    kind, config = layer["class_name"], layer["config"]
    if kind in ("TFOpLambda", "SlicingOpLambda"):  # operations of Keras 2
        kind = config["function"]
    if kind.startswith("Random") or kind in _ONLY_IN_TRAINING:
        return values[0]
    if kind in _OPERATIONS:
        values = values[0] if isinstance(values[0], list) and kind in _ARITHMETIC else values
        operands = [*values, *(more[key] for key in ("x1", "x2", "y", "bias") if key in more)]
        return _OPERATIONS[kind](*operands)
    if kind in ("GetItem", "__operators__.getitem"):
        place = values[1] if len(values) > 1 else more["slice_spec"]
        return operator.getitem(values[0], tuple(place) if isinstance(place, list) else place)
    if kind in _ALONG_AXIS:
        axis = more.get("axis", config.get("axis", -1))
        return _ALONG_AXIS[kind](values[0], axis=axis[0] if isinstance(axis, list) else axis)
    if kind == "Rescaling":
        return rescale(config, values[0])
    if kind == "Normalization":
        return _normalize(config, learned, values[0])
    raise UnknownLayer(f"the layer {get_name(layer)} ({kind})")


def rescale(config, x):
    """Return what a layer Rescaling, or an ImageConverter of Keras Hub, makes of pixels.

    Args:
        config: Its configuration, with `scale` and `offset`.
        x: Float64 array.

    Returns:
        Float64 array.
    """

    def read(key, default):
        value = config.get(key)
        value = value["config"]["value"] if isinstance(value, dict) else value
        return np.float64(default if value is None else value)

    return x * read("scale", 1) + read("offset", 0)


def _normalize(config, learned, x):
    """Return what a layer Normalization makes of pixels; it may have learned mean and variance."""
    stated = [config.get("mean"), config.get("variance")]
    if stated[0] is None:
        if not learned:
            raise UnknownLayer("a layer Normalization without mean")
        stated = learned[:2]
    mean, variance = (np.ravel(np.float64(value)) for value in stated)
    std = np.maximum(np.sqrt(variance), 1e-7)  # Keras' epsilon
    return x * std + mean if config.get("invert") else (x - mean) / std
