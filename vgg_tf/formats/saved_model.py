"""SavedModel: a signature for pixels, one for encoded pictures, and the variables stored once."""

import os

import numpy as np
import tensorflow as tf

from vgg_tf.formats.metadata import parse_metadata
from vgg_tf.images import decoding, rescaling
from vgg_tf.runtime import files


class _Served(tf.Module):
    """The module that `tf.saved_model.save` writes.

    Keras' own export would store every variable twice.
    """

    def __init__(self, network):
        super().__init__(name=network.arch)
        self.kept = [variable.value for variable in network.model.variables]
        model, classes, about = (
            network.model,
            tf.constant(network.classes),
            tf.constant(network.about()),
        )

        def outputs(pixels):
            return {
                "posteriors": model(tf.cast(pixels, tf.float32), training=False),
                "classes": classes,
            }

        def view(contents):
            whole = rescaling.rescale(decoding.decode_exportable(contents), network.scale)
            corner = (tf.shape(whole)[:2] - (network.height, network.width)) // 2
            cut = whole[
                corner[0] : corner[0] + network.height, corner[1] : corner[1] + network.width
            ]
            return tf.ensure_shape(cut, [network.height, network.width, 3])

        shape = [None, network.height, network.width, 3]
        self.pixels = tf.function(outputs, [tf.TensorSpec(shape, tf.uint8, "image")])
        self.encoded = tf.function(
            lambda contents: outputs(tf.map_fn(view, contents, fn_output_signature=tf.uint8)),
            [tf.TensorSpec([None], tf.string, "contents")],
        )
        self.about = tf.function(lambda: {"about": about}, [])


def check(path):
    """Check that `path` does not exist or is a SavedModel.

    Args:
        path: Path of the folder.

    Raises:
        FileExistsError: The path is something else.
    """
    if os.path.exists(path) and not os.path.exists(os.path.join(path, "saved_model.pb")):
        raise FileExistsError(
            f"The export overwrites SavedModels only. Received: {path}, which is not one. Choose "
            "another --out, or remove it."
        )


def write(network, path):
    """Write a network as a SavedModel, whole or not at all.

    The signature `serving_default` takes `image`, uint8 `[n, h, w, 3]`, RGB. The signature
    `encoded` takes `contents`, strings `[n]`: JPEG or PNG files, which it rescales and
    crops. Both return `posteriors`, float32 `[n, classes]`, and `classes`, strings.

    Args:
        network: A `source_network.Network`.
        path: Path of the folder.

    Raises:
        FileExistsError: The path is not a SavedModel.
    """
    path = str(path).rstrip("/")
    check(path)
    served = _Served(network)
    signatures = {
        "serving_default": served.pixels,
        "encoded": served.encoded,
        "about": served.about,
    }
    with files.writing_folder(path) as temporary:
        tf.saved_model.save(
            served,
            temporary,
            {name: call.get_concrete_function() for name, call in signatures.items()},
        )


def read(path):
    """Return the SavedModel as a function of pixels, and its metadata.

    Args:
        path: Path of the folder.

    Returns:
        run: Function from uint8 `[n, h, w, 3]`, RGB, to probabilities `[n, classes]`.
        about: dict, as `Network.describe` returns it.

    Raises:
        ValueError: The folder is not from vgg_tf, or is incomplete.
    """
    try:
        loaded = tf.saved_model.load(str(path))
        about = parse_metadata(loaded.signatures["about"]()["about"].numpy(), path)
    except (OSError, KeyError, ValueError, tf.errors.OpError, AttributeError) as error:
        raise ValueError(
            f"{path} must be a complete SavedModel from vgg_tf. Received: "
            f"{str(error).splitlines()[0][:200]}. Write it again with python -m vgg_tf.export."
        ) from None
    call = loaded.signatures["serving_default"]

    def run(pixels):
        return call(image=tf.constant(pixels))["posteriors"].numpy()

    run.loaded = loaded  # keeps the variables alive
    return run, about


def read_contents(path):
    """Return the number of layers with weights in the folder, and all its weights.

    Args:
        path: Path of the folder.

    Returns:
        layers: int.
        arrays: List of arrays.
    """
    arrays = [np.asarray(variable) for variable in tf.saved_model.load(str(path)).kept]
    return sum(array.ndim > 1 for array in arrays), arrays
