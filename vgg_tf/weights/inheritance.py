"""Weights from one network into another, by the names of the layers, with a report: nothing is
copied or left in silence.
"""

from dataclasses import dataclass, replace

import numpy as np

from vgg_tf.weights.reading import map_sides, read_weights
from vgg_tf.weights.torchvision import LRN

# "The first four convolutional layers and the last three fully-connected layers" of A (section
# 3.1), by their place in Table 1. By position they would not fit: the second convolution of B to E
# reads 64 channels, A's 64 to give 128.
PAPER_LAYERS = (
    "block1_conv1",
    "block2_conv1",
    "block3_conv1",
    "block3_conv2",
    "fc1",
    "fc2",
    "predictions",
)
HEAD = ("fc1", "fc2", "predictions")
_SHOWN = 3  # shapes in a message


@dataclass(frozen=True)
class Report:
    """What went from one network into another.

    Attributes:
        source: where the weights came from.
        copied: layer to what was done to it on the way; mostly nothing, an empty text.
        random: layers that were not asked for and stay as they were.
        skipped: layer that was asked for to the reason why it stays as it was.
        notes: what else the user should know.
    """

    source: str
    copied: dict[str, str]
    random: tuple[str, ...]
    skipped: dict[str, str]
    notes: tuple[str, ...] = ()

    def __str__(self):
        left = len(self.random) + len(self.skipped)
        if left:
            lines = [
                f"weights from {self.source}: {len(self.copied)} layers copied, {left} left as "
                "they were"
            ]
            lines += [f"  copied   {', '.join(self.copied)}"] if self.copied else []
        else:
            lines = [f"weights from {self.source}: all {len(self.copied)} layers copied"]
        lines += [f"  changed  {name}: {how}" for name, how in self.copied.items() if how]
        lines += [f"  left     {', '.join(self.random)}"] if self.random else []
        lines += [f"  skipped  {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join([*lines, *(f"  note     {note}" for note in self.notes)])


def inherit_weights(source, target, layers="paper", classes=None, say=print):
    """Copy layers into another network, which may be deeper, as the paper started B to E from A
    (section 3.1).

    Batch normalisation goes with its convolution. Where block1_conv1 is copied, so are the mean and
    the std of the input it was trained on. A first kernel for RGB is summed for grey images and
    repeated for other numbers of channels.

    Args:
        source: a Keras model, or the path of a run folder, `.keras`, `.weights.h5`, `.h5`,
            `.safetensors` (torchvision's or timm's names) or Keras Hub preset; or `Weights` that
            `read_weights` gave.
        target: a network of `build_vgg`; its weights are changed.
        layers: `"paper"` for the seven layers the paper copies, `"all-matching"`, or a list of
            names of layers.
        classes: names of the target's classes; `predictions` of a source that tells others is
            skipped.
        say: called with the report; None says nothing.

    Returns:
        The `Report`.

    Raises:
        ValueError: nothing could be copied, or no such layers; the target is as it was. And as
            `read_weights` raises.
    """
    weights, sides = read_weights(source), map_sides(target)
    ours = _layers(target)
    wanted = _wanted(layers, ours)
    arrays, copied, skipped = {}, {}, {}
    for name in wanted:
        try:
            arrays[name], copied[name] = _fitted(name, weights, ours[name], sides, classes)
        except _Unfit as reason:
            skipped[name] = str(reason)
    random = tuple(name for name in ours if name not in wanted)
    theirs = [
        name
        for name in sorted(weights.layers)
        if name not in {layer.name for layer in target.layers}
    ]
    notes = (f"in the source alone: {', '.join(theirs)}",) if theirs else ()
    report = Report(
        f"{weights.source} ({weights.form})", copied, random, skipped, weights.notes + notes
    )
    if not copied:
        raise ValueError(f"No layer could be copied.\n{report}")
    return _apply(weights, target, arrays, report, say)


def load_weights(target, source, new_head=False, say=print):
    """Take all weights from a source of the same architecture, or refuse.

    Args:
        target: a network of `build_vgg`.
        source: as for `inherit_weights`.
        new_head: a head that the source lacks, or has for another number of classes, stays random,
            which is said.
        say: called with the report; None says nothing.

    Returns:
        The `Report`.

    Raises:
        ValueError: a layer is missing on either side or has another shape; the message lists what
            was expected and found. The target is as it was.
    """
    weights, sides = read_weights(source), map_sides(target)
    ours = _layers(target)
    arrays, copied, skipped = {}, {}, {}
    known = {layer.name for layer in target.layers}
    unknown = [
        name
        for name in sorted(weights.layers)
        if name not in known and (name not in HEAD or "fc1" in known)
    ]
    faults = [f"{name} is not in {target.name}" for name in unknown]
    faults += [f"{LRN}: not in the source"] if LRN in known - weights.layers.keys() else []
    for name, layer in ours.items():
        try:
            arrays[name], copied[name] = _fitted(name, weights, layer, sides)
        except _Unfit as reason:
            skipped[name] = str(reason)
            if not (
                new_head and name in HEAD and (name not in weights.layers or name == "predictions")
            ):
                faults.append(f"{name}: {reason}")
    where = f"{weights.source} ({weights.form})"
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ValueError(
            f"{where} is not for this {target.name}: {'; '.join(faults[:_SHOWN])}{more}. Build "
            "the network that the weights belong to, or take what fits with inherit_weights."
        )
    headless = (
        ("its head is not used",) if "fc1" not in ours and set(HEAD) & weights.layers.keys() else ()
    )
    return _apply(
        weights,
        target,
        arrays,
        Report(where, copied, (), skipped, (*weights.notes, *headless)),
        say,
    )


class _Unfit(Exception):  # noqa: N818 - a reason, not an error
    """Why a layer cannot be copied."""


def _layers(model):
    """Layers of a network of ours that have weights, by name."""
    return {layer.name: layer for layer in model.layers if layer.weights}


def _wanted(layers, ours):
    if layers == "all-matching":
        return list(ours)
    names = PAPER_LAYERS if layers == "paper" else tuple(layers)
    if isinstance(layers, str) and layers != "paper":
        raise ValueError(
            f"layers is 'paper', 'all-matching' or a list of names. Received: {layers!r}."
        )
    if unknown := [name for name in names if name not in ours and layers != "paper"]:
        raise ValueError(
            f"No layers {', '.join(unknown)} to copy into. The network has {', '.join(ours)}."
        )
    with_norms = {name.replace("_conv", "_bn") for name in names} | set(names)
    return [name for name in ours if name in with_norms]


def _fitted(name, weights, layer, sides, classes=None):
    """Arrays of the source in the shapes of `layer`, and what was done to them; `sides` are those
    of the target's map.

    Raises:
        _Unfit: they do not fit; the message is the reason.
    """
    if name not in weights.layers:
        raise _Unfit("not in the source")
    values, shapes = (
        list(weights.layers[name].values()),
        [tuple(variable.shape) for variable in layer.weights],
    )
    if len(values) != len(shapes):
        raise _Unfit(f"{len(values)} arrays there, {len(shapes)} here")
    if name == "predictions" and values[0].shape[-1] != shapes[0][-1]:
        raise _Unfit(
            f"{values[0].shape[-1]} classes there {values[0].shape}, {shapes[0][-1]} here "
            f"{shapes[0]}"
        )
    if (
        name == "predictions"
        and None not in (classes, weights.classes)
        and tuple(classes) != weights.classes
    ):
        raise _Unfit("other classes there, as many as here")
    how = ""
    kernel, shape = values[0], shapes[0]
    if name == "block1_conv1" and kernel.shape[2] == 3 != shape[2]:
        values[0] = adapt_channels(kernel, shape[2], weights.std)
        how = "summed over RGB" if shape[2] == 1 else f"repeated over {shape[2]} channels"
    elif name in HEAD and _flat(kernel.shape) == _flat(shape) and kernel.ndim != len(shape):
        values[0] = kernel.reshape(shape)
        how = f"kernel {kernel.shape} as {shape}"
    for value, shape in zip(values, shapes, strict=True):
        if value.shape != shape:
            raise _Unfit(f"{value.shape} there, {shape} here")
    if name == "fc1" and None not in (weights.map_sides, sides) and weights.map_sides != sides:
        raise _Unfit("a map of {}x{} there, of {}x{} here".format(*weights.map_sides, *sides))
    return values, how


def _flat(shape):
    """`(inputs, outputs)` of a layer of the head, a convolution or not."""
    return int(np.prod(shape[:-1])), shape[-1]


def adapt_channels(kernel, channels, std=None):
    """The first kernel for another number of channels.

    Args:
        kernel: `[h, w, 3, out]` for RGB.
        channels: 1 sums over RGB, so that a grey image scores as the colour image of three such
            channels, up to the means of the three. Others repeat R, G, B, R, ... times 3 /
            channels, which keeps the sum over them about as large.
        std: what the RGB input is divided by, or None. A grey image is divided by its mean.

    Returns:
        float32 `[h, w, channels, out]`.
    """
    if channels == 1:
        kernel = (
            kernel if std is None else kernel * np.float32(np.mean(std) / np.array(std))[:, None]
        )
        return kernel.sum(axis=2, keepdims=True, dtype=np.float32)
    return np.float32(kernel[:, :, np.arange(channels) % 3] * (3 / channels))


def adapt_statistics(values, channels):
    """Mean or std of RGB for another number of channels: the average for grey, else repeated.
    None stays None.
    """
    if values is None or len(values) == channels:
        return values
    return (
        (float(np.mean(values)),)
        if channels == 1
        else tuple(values[i % len(values)] for i in range(channels))
    )


def statistics(model):
    """Mean and std (None: 1) that a network of `build_vgg` normalises its input by, tuples of a
    number a channel, 0..255.
    """
    layer = model.get_layer("normalize")
    std = tuple(float(v) ** 0.5 for v in layer.input_variance)
    return tuple(float(v) for v in layer.input_mean), None if set(std) == {1.0} else std


def set_statistics(model, mean, std):
    """Give a network of `build_vgg` another mean and std, as `statistics` tells them; what Keras
    has compiled is dropped.
    """
    layer = model.get_layer("normalize")
    layer.input_mean = list(mean)
    layer.input_variance = [1.0] * len(mean) if std is None else [v**2 for v in std]
    layer.build(layer.input.shape)  # which makes its constants of them
    model.train_function = model.test_function = model.predict_function = None


def freeze(model, until):
    """Freeze all layers before the first one called `until`, or of the block of that name: `block4`
    is the first to learn.

    Frozen batch normalisation keeps its moments. What is compiled must be compiled again.

    Raises:
        ValueError: no such layer or block.
    """
    names = [layer.name for layer in model.layers]
    blocks = sorted({name.split("_")[0] for name in names if name.startswith("block")})
    known = until in blocks or until in _layers(model)
    first = next(
        (
            i
            for i, name in enumerate(names)
            if known and (name == until or name.startswith(f"{until}_"))
        ),
        None,
    )
    if first is None:
        raise ValueError(
            f"No layer {until!r} to freeze until. Try {', '.join([*blocks, *_layers(model)])}."
        )
    for layer in model.layers[:first]:
        layer.trainable = False


def _apply(weights, target, arrays, report, say):
    """Copy the arrays, and the statistics of the input where the first layer is among them;
    tell.
    """
    notes = list(report.notes)
    if "block1_conv1" in arrays and weights.mean is not None:
        channels = target.input.shape[-1]
        theirs = tuple(adapt_statistics(values, channels) for values in (weights.mean, weights.std))
        ours = statistics(target)
        notes.append(f"{_said(*theirs)} of the source")
        if not all(_close(a, b) for a, b in zip(theirs, ours, strict=True)):
            set_statistics(target, *theirs)
            notes[-1] += f" taken, {_said(*ours)} before"
    for name, values in arrays.items():
        target.get_layer(name).set_weights(values)
    report = replace(report, notes=tuple(notes))
    if say:
        say(str(report))
    return report


def _close(a, b):
    a, b = ([1.0] if values is None else values for values in (a, b))
    return np.allclose(a, b, rtol=1e-6, atol=0)


def _said(mean, std):
    mean, std = (values and ", ".join(f"{v:.6g}" for v in values) for values in (mean, std))
    return f"mean ({mean})" + (f" and std ({std})" if std else " and no std")
