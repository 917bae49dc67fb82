"""Figures that explain a network's output: heatmaps, feature maps, receptive fields."""

import os

from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.figures import networks
from vgg_tf.images import decoding
from vgg_tf.images.rescaling import make_center_view
from vgg_tf.models import chain, heatmaps
from vgg_tf.runtime import files

METHODS = ("grad-cam", "grad-cam++", "saliency")


def draw_heat(network, picture, layers, label, method):
    """Draw heatmaps over a picture.

    Args:
        network: a run folder, a weight file, or `cifar10`.
        picture: path of an image.
        layers: names separated by commas. Empty is the last convolution; `blocks` is the last
            convolution of each block.
        label: name of the class, or its number from 0; empty is the most likely class.
        method: one of `METHODS`, or `all`.

    Returns:
        A matplotlib `Figure`.
    """
    model, opened, view = open_network_and_view(network, picture)
    named, number, maps = _list_layers(model, layers), find_label(label, opened), {}
    for each in METHODS if method == "all" else (method,):
        for layer in named if each != "saliency" else [""]:
            found, said = heatmaps.compute_heat(model, view, layer or None, number, each)
            maps[f"{each} {layer}".strip()] = found
    name = opened.classes[said] if opened.classes else f"class {said}"
    title = f"{os.path.basename(picture)}: evidence for {name}"
    return networks.draw_heat(view, maps, title)


def draw_features(network, picture, layer):
    """Draw the feature maps that a layer computes for a picture.

    Args:
        network: as for `draw_heat`.
        picture: path of an image.
        layer: name of the layer.

    Returns:
        A matplotlib `Figure`.
    """
    model, _, view = open_network_and_view(network, picture)
    values = heatmaps.compute_features(model, view, layer)
    h, w, channels = values.shape
    title = f"{layer} of {os.path.basename(picture)}: {channels} maps of {w} x {h}"
    return networks.draw_maps(values, title)


def draw_field(network, picture, layer, unit):
    """Draw the receptive field of a unit over a picture.

    Args:
        network: as for `draw_heat`.
        picture: path of an image.
        layer: name of the unit's layer.
        unit: row and column of the unit, such as `1,0`; empty is the unit in the middle.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: the layer has no such unit.
    """
    model, _, view = open_network_and_view(network, picture)
    seen = heatmaps.find_receptive_field(model, layer)
    h, w, _ = heatmaps.compute_features(model, view, layer).shape
    words = unit.split(",") if unit else (str(h // 2), str(w // 2))
    numbers = [int(word) for word in words if word.strip().isdecimal()]
    if not (len(numbers) == len(words) == 2 and numbers[0] < h and numbers[1] < w):
        raise ValueError(
            f"--unit must be between 0,0 and {h - 1},{w - 1} in {layer}. Received: --unit {unit}. "
            f"Try --unit {h // 2},{w // 2}."
        )
    row, column = numbers
    return networks.draw_field(view, seen.of(row, column), f"{layer} at {row}, {column}")


def draw_filters(network):
    """Draw the filters of a network's first layer."""
    opened = open_checkpoint(network, headless=True)
    title = f"filters of {opened.name}'s first layer; gray is a weight of zero"
    return networks.draw_kernels(heatmaps.read_filters(opened.load()), title)


def open_network_and_view(network, picture):
    """Return a network, its `checkpoint.Checkpoint`, and the center crop of a picture."""
    opened = open_checkpoint(network, headless=True)
    whole = decoding.decode_named(files.read(picture), picture)
    (Q,) = opened.scales("one")
    crop = opened.crop if opened.number else 224
    return opened.load(), opened, make_center_view(whole, crop, max(Q, crop)).numpy()


def find_label(word, opened):
    """Return the number of a class.

    Args:
        word: name or number of the class; may be empty.
        opened: the `checkpoint.Checkpoint` of the network.

    Returns:
        The number of the class, from 0; None for an empty word.

    Raises:
        ValueError: the network has no such class.
    """
    if not word:
        return None
    if opened.classes and word in opened.classes:
        return opened.classes.index(word)
    if not (word.isdecimal() and (not opened.number or int(word) < opened.number)):
        numbers = f"0 to {opened.number - 1}" if opened.number else "numbers from 0"
        raise ValueError(
            f"--label must be a class of {opened.path}. Received: --label {word}. Choose from: "
            f"{', '.join(opened.classes or [numbers])}."
        )
    return int(word)


def _list_layers(model, words):
    """Return the names of the layers that `words` stands for; see `draw_heat`."""
    if not words:
        return [chain.find_last_map(model)]
    if words != "blocks":
        return [name.strip() for name in words.split(",")]
    last = {name.split("_")[0]: name for name in chain.list_map_names(model) if "conv" in name}
    return list(last.values())
