"""How kernels start: the paper's Gaussian and what made deep networks train, as data. Biases
start at 0 everywhere.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Initialization:
    """Keras initialisers, as configs, by the kind of layer. A `seed` in a config is replaced by one
    for each layer.

    Attributes:
        convolutions: of the five blocks.
        connected: of fc1 and fc2.
        predictions: of the last layer.
        source: where it comes from.
        identity: whether kernels begin as identities, see `make_identity`; where batch
            normalisation follows it has the last word.
    """

    convolutions: dict
    connected: dict
    predictions: dict
    source: str
    identity: bool = False


def _gaussian(std):
    return {"class_name": "RandomNormal", "config": {"stddev": std, "seed": None}}


def _scaled(scale, fan, distribution):
    config = {"scale": scale, "mode": fan, "distribution": distribution, "seed": None}
    return {"class_name": "VarianceScaling", "config": config}


_GLOROT = _scaled(1.0, "fan_avg", "uniform")
_HE = _scaled(2.0, "fan_in", "untruncated_normal")
_HE_TRUNCATED = {"class_name": "HeNormal", "config": {"seed": None}}

INITIALIZERS = {
    "paper": Initialization(*[_gaussian(0.1)] * 3, "section 3.1 to the letter: variance 1e-2"),
    "gaussian": Initialization(
        *[_gaussian(0.01)] * 3, "std 1e-2, AlexNet's, which the paper's variance may have meant"
    ),
    "glorot": Initialization(
        *[_GLOROT] * 3, "Glorot & Bengio 2010; section 3.1 found it, later, to need no pre-training"
    ),
    "he": Initialization(*[_HE] * 3, "He et al. 2015, over the inputs"),
    "torchvision": Initialization(
        _scaled(2.0, "fan_out", "untruncated_normal"),
        *[_gaussian(0.01)] * 2,
        "He's over the outputs, std 1e-2 in the head",
    ),
    "dirac": Initialization(
        *[_HE_TRUNCATED] * 2,
        _GLOROT,
        "Zagoruyko & Komodakis 2017 (arXiv:1706.00388); Jordan 2024 (arXiv:2404.00498)",
        True,
    ),
}


def make_identity(kernel):
    """The kernel of a layer that hands on what it sees: torch's `dirac_`, on as many filters as
    there are channels.

    Args:
        kernel: of a convolution, `[side, side, channels, filters]` of odd side, or of a fully
            connected layer, `[channels, filters]`.

    Returns:
        A copy; filter i gives channel i as it is, filters beyond the channels are as they were.
    """
    same = range(min(kernel.shape[-2:]))
    kernel = kernel.copy()
    kernel[..., same] = 0
    kernel[(*(side // 2 for side in kernel.shape[:-2]), same, same)] = 1
    return kernel


def choose_initializer(name, standardized):
    """The name, or for `auto`, None and a `dirac` that does not fit the input, the config of the
    Keras initialiser that does.

    Args:
        name, standardized: as for `find_initialization`.
    """
    if name in (None, "auto") or (name == "dirac" and not standardized):
        return _HE_TRUNCATED if standardized else _GLOROT
    return name


def find_initialization(name, standardized):
    """The initialisers of a name.

    Args:
        name: a name of `INITIALIZERS`; `auto` or None; else a Keras initialiser, by name or config,
            for all kernels but those of predictions, which are Glorot's.
        standardized: the signal has a standard deviation of about 1 in front of the layers (the
            input is divided by its std, or batch normalisation follows): `auto` is He's then and
            Glorot's where the input is 0..255 minus the mean. Both with Glorot's predictions: the
            first loss is near ln(classes). Identities would carry 0..255 to the scores, so that
            `dirac` is `auto` there.

    Raises:
        ValueError: no such initialiser.
    """
    import keras

    name = choose_initializer(name, standardized)
    if isinstance(name, str) and name in INITIALIZERS:
        return INITIALIZERS[name]
    before = random.getstate()
    try:
        config = keras.saving.serialize_keras_object(keras.initializers.get(name))
    except ValueError:
        raise ValueError(
            f"No initializer {name!r}. Known: auto, {', '.join(INITIALIZERS)}, and Keras' own "
            "names."
        ) from None
    finally:
        # Keras draws a seed for the initializer, which is only made for its config.
        random.setstate(before)
    return Initialization(config, config, _GLOROT, "Keras' own")
