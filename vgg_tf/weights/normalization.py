"""Mean and std of a network's input: read, set, and converted to other numbers of channels."""

import numpy as np


def read_statistics(model):
    """Return mean and std that a network of `build_vgg` normalizes its input by.

    Returns:
        mean, std: tuples of a number a channel, 0..255; std None means 1.
    """
    layer = model.get_layer("normalize")
    std = tuple(float(v) ** 0.5 for v in layer.input_variance)
    return tuple(float(v) for v in layer.input_mean), None if set(std) == {1.0} else std


def set_statistics(model, mean, std):
    """Give a network of `build_vgg` another mean and std, as `read_statistics` returns them.

    What Keras has compiled is dropped.
    """
    layer = model.get_layer("normalize")
    layer.input_mean = list(mean)
    layer.input_variance = [1.0] * len(mean) if std is None else [v**2 for v in std]
    layer.build(layer.input.shape)  # which makes its constants of them
    model.train_function = model.test_function = model.predict_function = None


def adapt_statistics(values, channels):
    """Return mean or std of RGB for another number of channels; None stays None.

    Grey takes the average of the three. Other numbers of channels repeat them.
    """
    if values is None or len(values) == channels:
        return values
    return (
        (float(np.mean(values)),)
        if channels == 1
        else tuple(values[i % len(values)] for i in range(channels))
    )


def take_statistics(model, mean, std):
    """Set mean and std of RGB input in a network of any number of channels.

    Args:
        model: a network of `build_vgg`.
        mean: of RGB, 0..255.
        std: of RGB, or None for 1.

    Returns:
        str: what was done, for a report.
    """
    channels = model.input.shape[-1]
    theirs = tuple(adapt_statistics(values, channels) for values in (mean, std))
    ours = read_statistics(model)
    note = f"{_describe(*theirs)} of the source"
    if all(_are_close(a, b) for a, b in zip(theirs, ours, strict=True)):
        return note
    set_statistics(model, *theirs)
    return f"{note} taken, {_describe(*ours)} before"


def _are_close(a, b):
    a, b = ([1.0] if values is None else values for values in (a, b))
    return np.allclose(a, b, rtol=1e-6, atol=0)


def _describe(mean, std):
    mean, std = (values and ", ".join(f"{v:.6g}" for v in values) for values in (mean, std))
    return f"mean ({mean})" + (f" and std ({std})" if std else " and no std")
