"""How kernels start: the paper's Gaussian and what made deep networks train, as data. Biases start at 0 everywhere."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Initialization:
    """Keras initialisers, as configs, by the kind of layer.

    Attributes:
        convolutions: of the five blocks.
        connected: of fc1 and fc2.
        predictions: of the last layer.
        source: where it comes from.
    """

    convolutions: dict
    connected: dict
    predictions: dict
    source: str


def _gaussian(std):
    return {"class_name": "RandomNormal", "config": {"stddev": std}}


def _scaled(scale, fan, distribution):
    return {"class_name": "VarianceScaling", "config": {"scale": scale, "mode": fan, "distribution": distribution}}


_GLOROT = _scaled(1.0, "fan_avg", "uniform")
_HE = _scaled(2.0, "fan_in", "untruncated_normal")

INITIALIZERS = {
    "paper": Initialization(*[_gaussian(0.1)] * 3, "section 3.1 to the letter: variance 1e-2"),
    "gaussian": Initialization(*[_gaussian(0.01)] * 3, "std 1e-2, AlexNet's, which the paper's variance may have meant"),
    "glorot": Initialization(*[_GLOROT] * 3, "Glorot & Bengio 2010; section 3.1 found it, later, to need no pre-training"),
    "he": Initialization(*[_HE] * 3, "He et al. 2015, over the inputs"),
    "torchvision": Initialization(
        _scaled(2.0, "fan_out", "untruncated_normal"), *[_gaussian(0.01)] * 2, "He's over the outputs, std 1e-2 in the head"
    ),
}


def automatic(standardized):
    """What `auto` is for an input, as `initialization` explains it: the config of a Keras initialiser."""
    return {"class_name": "HeNormal", "config": {}} if standardized else _GLOROT


def initialization(name, standardized):
    """The initialisers of a name.

    Args:
        name: a name of `INITIALIZERS`; `auto` or None; else a Keras initialiser, by name or config, for all kernels but those
            of predictions, which are Glorot's.
        standardized: the signal has a standard deviation of about 1 in front of the layers (the input is divided by its std,
            or batch normalisation follows): `auto` is He's then and Glorot's where the input is 0..255 minus the mean. Both
            with Glorot's predictions: the first loss is near ln(classes).

    Raises:
        ValueError: no such initialiser.
    """
    import keras

    if isinstance(name, str) and name in INITIALIZERS:
        return INITIALIZERS[name]
    if name in (None, "auto"):
        name = automatic(standardized)
    try:
        config = keras.saving.serialize_keras_object(keras.initializers.get(name))
    except ValueError:
        raise ValueError(f"No initializer {name!r}. Known: auto, {', '.join(INITIALIZERS)}, and Keras' own names.") from None
    return Initialization(config, config, _GLOROT, "Keras' own")
