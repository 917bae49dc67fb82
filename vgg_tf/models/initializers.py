"""Initial values of kernels, as data; biases start at 0 everywhere.

Examples:
    >>> INITIALIZERS["he"].source
    'He et al. 2015, fan-in'
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Initialization:
    """Keras initializers for each kind of layer, as configs.

    Each layer replaces the `seed` of a config by its own.

    Attributes:
        convolutions: Config for the convolutions of the five blocks.
        connected: Config for fc1 and fc2.
        predictions: Config for the last layer.
        source: Where the initializer comes from.
        identity: If True, kernels start as identities (`make_identity`). Batch normalization still
            rescales their outputs.
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

INITIALIZERS: dict[str, Initialization] = {
    "paper": Initialization(*[_gaussian(0.1)] * 3, "section 3.1, taken literally: variance 1e-2"),
    "gaussian": Initialization(
        *[_gaussian(0.01)] * 3, "std 1e-2, as in AlexNet; the paper may mean this by variance"
    ),
    "glorot": Initialization(
        *[_GLOROT] * 3, "Glorot & Bengio 2010; section 3.1: it works without pre-training"
    ),
    "he": Initialization(*[_HE] * 3, "He et al. 2015, fan-in"),
    "torchvision": Initialization(
        _scaled(2.0, "fan_out", "untruncated_normal"),
        *[_gaussian(0.01)] * 2,
        "He et al. 2015, fan-out; std 1e-2 in the head",
    ),
    "dirac": Initialization(
        *[_HE_TRUNCATED] * 2,
        _GLOROT,
        "Zagoruyko & Komodakis 2017 (arXiv:1706.00388); Jordan 2024 (arXiv:2404.00498)",
        True,
    ),
}


def make_identity(kernel):
    """Return the kernel of an identity, as `torch.nn.init.dirac_` makes it.

    Args:
        kernel: Array `[side, side, channels, filters]` of a convolution, with an odd side, or
            `[channels, filters]` of a fully connected layer.

    Returns:
        A copy. Filter i returns channel i unchanged. If there are more filters than channels, the
        others keep their values.
    """
    same = range(min(kernel.shape[-2:]))
    kernel = kernel.copy()
    kernel[..., same] = 0
    kernel[(*(side // 2 for side in kernel.shape[:-2]), same, same)] = 1
    return kernel


def choose_initializer(name, standardized):
    """Return the initializer that is used for a name.

    Args:
        name: as for `find_initialization`.
        standardized: as for `find_initialization`.

    Returns:
        The config of a Keras initializer for `auto`, None, and `dirac` without standardized input.
        Otherwise `name`.
    """
    if name in (None, "auto") or (name == "dirac" and not standardized):
        return _HE_TRUNCATED if standardized else _GLOROT
    return name


def find_initialization(name, standardized):
    """Return the initializers of a name.

    `auto` is He's initializer for standardized input, and Glorot's for input of 0..255 minus the
    mean. The layer `predictions` starts with Glorot's, except for the names of `INITIALIZERS`. Then
    the first loss is near ln(classes). Identities would pass 0..255 on to the logits, so `dirac` is
    `auto` if the input is not standardized.

    Args:
        name: A key of `INITIALIZERS`, `auto`, None (`auto`), or a Keras initializer, by name or
            config.
        standardized: True if layers get inputs with a standard deviation of about 1. Either the
            image is divided by its std, or the network has batch normalization.

    Returns:
        The `Initialization`.

    Raises:
        ValueError: The initializer is unknown; the message lists the known ones.
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
            f"Unknown initializer {name!r}. Expected one of: auto, {', '.join(INITIALIZERS)}, or "
            "the name of a Keras initializer."
        ) from None
    finally:
        # Keras draws a seed for this initializer, of which only the config is used.
        random.setstate(before)
    return Initialization(config, config, _GLOROT, "Keras' own")
