"""Mean and std of a network's input: read, set and convert them."""

import numpy as np


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
