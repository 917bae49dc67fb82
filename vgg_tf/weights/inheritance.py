"""Copies weights from one network into another by the names of the layers, with a report.

Every layer that is not copied is in the report, with the reason.
"""

from dataclasses import dataclass, replace

from vgg_tf.weights.fitting import Unfit, fit_layer
from vgg_tf.weights.keras_layers import HEAD, find_layers_with_weights, find_map_sides
from vgg_tf.weights.normalization import take_statistics
from vgg_tf.weights.reading import read_weights
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
    """Copy layers into another network, as the paper started B to E from A (section 3.1).

    The other network may be deeper. Batch normalization goes with its convolution. Where
    block1_conv1 is copied, so are the mean and the std of the input it was trained on. A first
    kernel for RGB is summed for gray images and repeated for other numbers of channels.

    Args:
        source: a Keras model, or the path of a run folder, `.keras`, `.weights.h5`, `.h5`,
            `.safetensors` (torchvision's or timm's names) or Keras Hub preset; or `Weights` that
            `read_weights` returned.
        target: a network of `build_vgg`; its weights are changed.
        layers: `"paper"` for the seven layers the paper copies, `"all-matching"`, or a list of
            names of layers.
        classes: names of the target's classes; `predictions` of a source with other names is
            skipped.
        say: called with the report; None says nothing.

    Returns:
        The `Report`.

    Raises:
        ValueError: nothing could be copied, or no such layers; the target is unchanged. And as
            `read_weights` raises.
    """
    weights, ours = read_weights(source), find_layers_with_weights(target)
    wanted = _choose(layers, ours)
    arrays, copied, skipped = _fit({name: ours[name] for name in wanted}, weights, target, classes)
    random = tuple(name for name in ours if name not in wanted)
    known = {layer.name for layer in target.layers}
    theirs = [name for name in sorted(weights.layers) if name not in known]
    notes = (f"in the source alone: {', '.join(theirs)}",) if theirs else ()
    report = Report(_name(weights), copied, random, skipped, weights.notes + notes)
    if not copied:
        raise ValueError(f"No layer could be copied.\n{report}")
    return _apply(weights, target, arrays, report, say)


def load_weights(target, source, new_head=False, say=print):
    """Copy all weights from a source of the same architecture, or refuse.

    Args:
        target: a network of `build_vgg`.
        source: as for `inherit_weights`.
        new_head: a head that the source lacks, or has for another number of classes, stays random,
            and the report says so.
        say: called with the report; None says nothing.

    Returns:
        The `Report`.

    Raises:
        ValueError: a layer is missing on either side or has another shape; the message lists what
            was expected and found. The target is unchanged.
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
            f"{_name(weights)} is not for this {target.name}: {'; '.join(faults[:_SHOWN])}{more}. "
            "Build the network that the weights belong to, or take what fits with inherit_weights."
        )
    headless = "fc1" not in ours and set(HEAD) & weights.layers.keys()
    notes = (*weights.notes, *(("its head is not used",) if headless else ()))
    return _apply(weights, target, arrays, Report(_name(weights), copied, (), skipped, notes), say)


def _name(weights):
    return f"{weights.source} ({weights.form})"


def _choose(layers, ours):
    """Return the names of the layers to copy into, in the target's order.

    Args:
        layers: as for `inherit_weights`.
        ours: the target's layers with weights, by name.
    """
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


def _fit(layers, weights, target, classes=None):
    """Fit weights into layers of the target, which stays as it is.

    Returns:
        three dicts by layer: arrays, what was done to them, and why others cannot be copied.
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
    """Copy the arrays into the target, and mean and std with the first layer.

    Returns:
        The report, with a note about mean and std.
    """
    if "block1_conv1" in arrays and weights.mean is not None:
        note = take_statistics(target, weights.mean, weights.std)
        report = replace(report, notes=(*report.notes, note))
    for name, values in arrays.items():
        target.get_layer(name).set_weights(values)
    if say:
        say(str(report))
    return report
