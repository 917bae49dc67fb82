"""Weights from preset folders of Keras Hub."""

import json

from vgg_tf.weights import keras_files
from vgg_tf.weights.file_checks import naming_damage
from vgg_tf.weights.keras_layers import HEAD, make_weights
from vgg_tf.weights.preprocessing import UNKNOWN, read_scaling


def is_preset(path):
    """Return whether a folder (`pathlib.Path`) is a preset of Keras Hub."""
    return bool(list(path.glob("*.weights.h5"))) and (path / "config.json").exists()


def read_preset(path):
    """Read the weights and the preprocessing of a preset folder.

    The trunk is in model.weights.h5, the head in task.weights.h5, which is optional.

    Args:
        path: `pathlib.Path` of the folder.

    Returns:
        weights: `Weights`, for `normalization.settle_input`.
        found: `Preprocessing`.
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
    weights = make_weights(arrays, str(path), "a Keras Hub preset")
    if lacking := [name for name in HEAD if name not in weights.layers]:
        weights = weights.add_notes(f"not in the preset: {', '.join(lacking)}")
    # The network takes RGB. The preprocessor normalizes it, so no layer has the mean.
    return weights, _read_preprocessor(path / "preprocessor.json")


def _read_preprocessor(path):
    """Return the `Preprocessing` of a preset; `UNKNOWN` if it has none."""
    if not path.exists():
        return UNKNOWN
    with naming_damage(path):
        return read_scaling(json.loads(path.read_text())["config"]["image_converter"]["config"])
