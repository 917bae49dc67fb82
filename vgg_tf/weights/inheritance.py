"""Copies weights between networks by the names of their layers, with a report.

The report lists every layer that is not copied, and the reason.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vgg_tf.weights.container import Weights
from vgg_tf.weights.fitting import Unfit, fit_layer
from vgg_tf.weights.keras_layers import HEAD, find_layers_with_weights, find_map_sides
from vgg_tf.weights.normalization import take_statistics
from vgg_tf.weights.reading import read_weights
from vgg_tf.weights.torchvision import LRN

if TYPE_CHECKING:
    import keras

# "The first four convolutional layers and the last three fully-connected layers" of A (section
# 3.1), by their place in Table 1. By position they would not fit: the second convolution of B to E
# has 64 filters, that of A has 128.
PAPER_LAYERS = (
    "block1_conv1",
    "block2_conv1",
    "block3_conv1",
    "block3_conv2",
    "fc1",
    "fc2",
    "predictions",
)
_SHOWN = 3  # differences in a message


@dataclass(frozen=True)
class Report:
    """Report of the layers that were copied into a network. `str` gives it as text.

    Attributes:
        source: Where the weights come from.
        copied: Dict from the name of a copied layer to how it was adapted; mostly an empty str.
        random: Names of the layers that were not requested. They are unchanged.
        skipped: Dict from the name of a requested layer that is unchanged to the reason.
        notes: What else the user should know, one str per note.
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
                f"weights from {self.source}: {len(self.copied)} layers copied, {left} unchanged"
            ]
            lines += [f"  copied   {', '.join(self.copied)}"] if self.copied else []
        else:
            lines = [f"weights from {self.source}: all {len(self.copied)} layers copied"]
        lines += [f"  adapted  {name}: {how}" for name, how in self.copied.items() if how]
        lines += [f"  kept     {', '.join(self.random)}"] if self.random else []
        lines += [f"  skipped  {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join([*lines, *(f"  note     {note}" for note in self.notes)])


def inherit_weights(
    source: "str | os.PathLike[str] | keras.Model | Weights",
    target: "keras.Model",
    layers: str | Sequence[str] = "paper",
    classes: Sequence[str] | None = None,
    say: Callable[[str], object] | None = print,
) -> Report:
    """Copy layers into another network, as the paper initializes B to E from A (section 3.1).

    The target may be deeper than the source. A convolution is copied with its batch normalization.
    `block1_conv1` is copied with the mean and std of its training input. For gray images its kernel
    is summed over RGB. For other numbers of channels it is repeated.

    Args:
        source: Keras model, `Weights` of `read_weights`, or path of a run folder, `.keras`,
            `.weights.h5`, `.h5` or `.safetensors` file or Keras Hub preset. `"cifar10"` is the
            network that is part of the package.
        target: Network of `build_vgg`, changed in place.
        layers: `"paper"` copies the seven layers of the paper, `"all-matching"` all layers with
            equal shapes. A list of names copies these layers. Defaults to `"paper"`.
        classes: Names of the target's classes. If the source has other names, `predictions` is
            skipped. Defaults to None, which skips this comparison.
        say: Function that is called with the report as text, or None. Defaults to `print`.

    Returns:
        The `Report`.

    Raises:
        FileNotFoundError: The source does not exist.
        ValueError: No layer could be copied, `layers` has unknown names, or the source cannot be
            read (see `read_weights`). The target is unchanged.

    Examples:
        >>> from vgg_tf import build_vgg, inherit_weights
        >>> options = dict(input_shape=(32, 32, 3), classes=2, width=0.0625, head_width=16)
        >>> shallow = build_vgg("vgg11", **options)
        >>> deeper = build_vgg("vgg13", **options)
        >>> report = inherit_weights(shallow, deeper, say=None)
        >>> len(report.copied), len(report.random)
        (7, 6)
        >>> list(report.copied)[:3]
        ['block1_conv1', 'block2_conv1', 'block3_conv1']
    """
    weights, ours = read_weights(source), find_layers_with_weights(target)
    wanted = _choose(layers, ours)
    arrays, copied, skipped = _fit({name: ours[name] for name in wanted}, weights, target, classes)
    random = tuple(name for name in ours if name not in wanted)
    known = {layer.name for layer in target.layers}
    theirs = [name for name in sorted(weights.layers) if name not in known]
    notes = (f"only in the source: {', '.join(theirs)}",) if theirs else ()
    report = Report(_name(weights), copied, random, skipped, weights.notes + notes)
    if not copied:
        raise ValueError(
            f"At least one layer must fit {target.name}. Received:\n{report}\nChoose other layers, "
            "or build the target with the shapes of the source."
        )
    return _apply(weights, target, arrays, report, say)


def load_weights(
    target: "keras.Model",
    source: "str | os.PathLike[str] | keras.Model | Weights",
    new_head: bool = False,
    say: Callable[[str], object] | None = print,
) -> Report:
    """Copy all weights from a source with the same architecture.

    Args:
        target: Network of `build_vgg`, changed in place.
        source: As for `inherit_weights`.
        new_head: If True, layers of the head keep their values where the source lacks them. So does
            `predictions` if the source has another number of classes. Defaults to False.
        say: Function that is called with the report as text, or None. Defaults to `print`.

    Returns:
        The `Report`.

    Raises:
        FileNotFoundError: The source does not exist.
        ValueError: A layer is missing in source or target, or has another shape. Or the source
            cannot be read (see `read_weights`). The target is unchanged.

    Examples:
        >>> from vgg_tf import build_vgg, load_weights
        >>> options = dict(input_shape=(32, 32, 3), classes=2, width=0.0625, head_width=16)
        >>> first, second = build_vgg("vgg11", **options), build_vgg("vgg11", **options)
        >>> report = load_weights(second, first)
        weights from the network vgg11 (a Keras model): all 11 layers copied
          note     input mean (123.68, 116.779, 103.939), no std: from the source
    """
    weights, ours = read_weights(source), find_layers_with_weights(target)
    known = {layer.name for layer in target.layers}
    faults = [
        f"{name} is not in {target.name}"
        for name in sorted(weights.layers)
        if name not in known and (name not in HEAD or "fc1" in known)
    ]
    faults += [f"{LRN}: not in the source"] if LRN in known - weights.layers.keys() else []
    arrays, copied, skipped = _fit(ours, weights, target)
    faults += [
        f"{name}: {reason}"
        for name, reason in skipped.items()
        if not (new_head and name in HEAD and (name not in weights.layers or name == "predictions"))
    ]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ValueError(
            f"{_name(weights)} must have the layers and shapes of {target.name}. Received: "
            f"{'; '.join(faults[:_SHOWN])}{more}. Build the network of these weights, or copy the "
            "layers that fit with inherit_weights."
        )
    headless = "fc1" not in ours and set(HEAD) & weights.layers.keys()
    notes = (*weights.notes, *(("the head of the source is not used",) if headless else ()))
    return _apply(weights, target, arrays, Report(_name(weights), copied, (), skipped, notes), say)


def _name(weights):
    return f"{weights.source} ({weights.form})"


def _choose(layers, ours):
    """Return the names of the layers to copy, in the order of the target's layers `ours`."""
    if layers == "all-matching":
        return list(ours)
    names = PAPER_LAYERS if layers == "paper" else tuple(layers)
    if isinstance(layers, str) and layers != "paper":
        raise ValueError(
            "layers must be 'paper', 'all-matching' or a list of names. Received: "
            f"{layers!r}. Try [{layers!r}]."
        )
    if unknown := [name for name in names if name not in ours and layers != "paper"]:
        raise ValueError(
            f"layers must be in the target. Received: {', '.join(unknown)}. The target has "
            f"{', '.join(ours)}."
        )
    with_norms = {name.replace("_conv", "_bn") for name in names} | set(names)
    return [name for name in ours if name in with_norms]


def _fit(layers, weights, target, classes=None):
    """Fit weights to layers of the target, without changing it.

    Returns:
        arrays: Dict from layer to its list of arrays.
        copied: Dict from layer to how it was adapted.
        skipped: Dict from layer to the reason why it cannot be copied.
    """
    sides = find_map_sides(target)
    arrays, copied, skipped = {}, {}, {}
    for name, layer in layers.items():
        try:
            arrays[name], copied[name] = fit_layer(name, weights, layer, sides, classes)
        except Unfit as reason:
            skipped[name] = str(reason)
    return arrays, copied, skipped


def _apply(weights, target, arrays, report, say):
    """Copy the arrays into the target. Return the report with a note about mean and std."""
    if "block1_conv1" in arrays and weights.mean is not None:
        note = take_statistics(target, weights.mean, weights.std)
        report = replace(report, notes=(*report.notes, note))
    for name, values in arrays.items():
        target.get_layer(name).set_weights(values)
    if say:
        say(str(report))
    return report
