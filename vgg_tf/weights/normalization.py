"""Mean and std of a network's input: read, set and convert them."""

from dataclasses import replace

import numpy as np

from vgg_tf.weights.preprocessing import FIRST, UNKNOWN


def read_statistics(model):
    """Return the mean and std of the first layer of a `build_vgg` network.

    Args:
        model: Network of `build_vgg`.

    Returns:
        mean: Tuple of one value per channel, 0..255.
        std: Tuple of one value per channel, or None, which means 1.
    """
    layer = model.get_layer("normalize")
    std = tuple(float(v) ** 0.5 for v in layer.input_variance)
    return tuple(float(v) for v in layer.input_mean), None if set(std) == {1.0} else std


def set_statistics(model, mean, std):
    """Set the mean and std of a `build_vgg` network, as `read_statistics` returns them.

    Compiled functions of the model are discarded.

    Args:
        model: Network of `build_vgg`, changed in place.
        mean: Sequence of one value per channel, 0..255.
        std: Sequence of one value per channel, or None, which means 1.
    """
    layer = model.get_layer("normalize")
    layer.input_mean = list(mean)
    layer.input_variance = [1.0] * len(mean) if std is None else [v**2 for v in std]
    layer.build(layer.input.shape)  # converts mean and variance to constants
    model.train_function = model.test_function = model.predict_function = None


def adapt_statistics(values, channels):
    """Convert the mean or std of RGB to another number of channels.

    One channel gets the average of the three. Other numbers of channels repeat the three.

    Args:
        values: Tuple of three values, or None.
        channels: Number of channels.

    Returns:
        Tuple of `channels` values; None for None.
    """
    if values is None or len(values) == channels:
        return values
    return (
        (float(np.mean(values)),)
        if channels == 1
        else tuple(values[i % len(values)] for i in range(channels))
    )


def settle_input(weights, found, mean=None, std=None, channels="auto"):
    """Give weights their mean and std, and a first kernel that takes RGB.

    What the user says wins over the file, and the file over an assumption.

    Args:
        weights: `Weights`, whose first kernel takes the channels in the order of `found`.
        found: `preprocessing.Preprocessing` of the file.
        mean: What the user says: three numbers for RGB or one, 0..255, or None.
        std: What the user says, likewise.
        channels: What the user says: `rgb`, `bgr`, or `auto`.

    Returns:
        `Weights`, with a note if the input is assumed.

    Raises:
        ValueError: The user's numbers cannot be right, or the channels are unknown.
    """
    if channels not in ("auto", "rgb", "bgr"):
        raise ValueError(f"channels must be auto, rgb or bgr. Received: {channels}. Try rgb.")
    mean, std = _check_stated("mean", mean), _check_stated("std", std)
    said = bool(mean or std)
    known = UNKNOWN if said and found.guessed else found
    if said:
        mean = mean or known.mean or (0.0, 0.0, 0.0)
    weights = replace(weights, mean=mean or known.mean, std=std or known.std)
    if "bgr" in (channels, channels == "auto" and known.channels):
        weights = _turn_to_rgb(weights)
    if said or not known.note:
        return weights
    if channels == "auto":
        return weights.add_notes(known.note)
    return weights.add_notes(f"channels {channels.upper()}, as stated; mean and std assumed")


def _check_stated(name, values):
    """Return what the user says of the mean or std, as a tuple of three floats or None."""
    if values is None:
        return None
    values = tuple(float(value) for value in np.atleast_1d(values))
    if len(values) not in (1, 3) or not np.isfinite(values).all():
        raise ValueError(
            f"{name} must be three finite numbers for RGB, or one. Received: {values}. Try "
            f"{'123.68,116.779,103.939' if name == 'mean' else '255'}."
        )
    if name == "std" and min(values) < 1:
        raise ValueError(
            f"std must be in gray levels of 0..255, at least 1. Received: {values}. Multiply mean "
            "and std of pixels of 0..1 by 255."
        )
    return values if len(values) == 3 else values * 3


def _turn_to_rgb(weights):
    """Return the weights with a first kernel that takes RGB in place of BGR."""
    first = weights.layers[FIRST]
    if first["kernel"].shape[2] != 3:
        raise ValueError(
            f"channels must be rgb for a first kernel that takes {first['kernel'].shape[2]} "
            "channels. Received: bgr. Leave --channels out."
        )
    kernel = np.ascontiguousarray(first["kernel"][:, :, ::-1])
    return replace(weights, layers=weights.layers | {FIRST: {**first, "kernel": kernel}})


def take_statistics(model, mean, std):
    """Set the mean and std of RGB in a network with any number of input channels.

    Args:
        model: Network of `build_vgg`, changed in place.
        mean: Tuple of three values, RGB 0..255.
        std: Tuple of three values, or None, which means 1.

    Returns:
        str, a note for the report.
    """
    channels = model.input.shape[-1]
    theirs = tuple(adapt_statistics(values, channels) for values in (mean, std))
    ours = read_statistics(model)
    note = f"input {_describe(*theirs)}: from the source"
    if all(_are_close(a, b) for a, b in zip(theirs, ours, strict=True)):
        return note
    set_statistics(model, *theirs)
    return f"{note}, before: {_describe(*ours)}"


def _are_close(a, b):
    a, b = ([1.0] if values is None else values for values in (a, b))
    return np.allclose(a, b, rtol=1e-6, atol=0)


def _describe(mean, std):
    mean, std = (values and ", ".join(f"{v:.6g}" for v in values) for values in (mean, std))
    return f"mean ({mean})" + (f", std ({std})" if std else ", no std")
