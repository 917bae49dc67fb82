"""Weights from preset folders of Keras Hub."""

import json
from dataclasses import replace

import numpy as np

from vgg_tf.weights import keras_files
from vgg_tf.weights.file_checks import naming_damage
from vgg_tf.weights.keras_layers import HEAD, UNKNOWN_MEAN, make_weights


def is_preset(path):
    """Return whether a folder (`pathlib.Path`) is a preset of Keras Hub."""
    return bool(list(path.glob("*.weights.h5"))) and (path / "config.json").exists()


def read_preset(path):
    """Read the weights of a preset folder.

    The trunk is in model.weights.h5, the head in task.weights.h5, which is optional.

    Args:
        path: `pathlib.Path` of the folder.

    Returns:
        `Weights`.
    """
    arrays = {}
    for name in ("model.weights.h5", "task.weights.h5"):
        part = path / name
        if part.exists():
            with naming_damage(part), keras_files.open_hdf5(part, part) as file:
                arrays |= {
                    layer: values
                    for layer, values in keras_files.read_hdf5(file)[0].items()
                    if values
                }
    # The network takes RGB. The preprocessor normalizes it, so no layer has the mean.
    weights = make_weights(arrays, {}, str(path), "a Keras Hub preset")
    weights = replace(weights, notes=tuple(note for note in weights.notes if note != UNKNOWN_MEAN))
    if lacking := [name for name in HEAD if name not in weights.layers]:
        weights = weights.add_notes(f"not in the preset: {', '.join(lacking)}")
    scaling = _read_scaling(path / "preprocessor.json")
    if scaling is None:
        return weights.add_notes(UNKNOWN_MEAN)
    scale, offset = scaling
    return replace(
        weights, mean=tuple((0 - offset / scale).tolist()), std=tuple((1 / scale).tolist())
    )


def _read_scaling(path):
    """Return scale and offset of the preprocessor, float64 `[3]` each; None if it has none."""
    with naming_damage(path):
        config = (
            json.loads(path.read_text())["config"]["image_converter"] if path.exists() else None
        )
    if config is None:
        return None
    given = ((config["config"].get(key), none) for key, none in (("scale", 1), ("offset", 0)))
    return tuple(
        np.broadcast_to(np.float64(none if value is None else value), 3) for value, none in given
    )
