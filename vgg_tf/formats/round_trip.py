"""Write exported files, read them back with their own runtime, compare, and put them in place."""

import math
import os
import shutil

from vgg_tf.runtime import files

SUFFIXES = {
    "savedmodel": "-savedmodel",
    "litert": ".tflite",
    "litert-float16": "-float16.tflite",
    "litert-int8": "-int8.tflite",
    "onnx": ".onnx",
    "coreml": ".mlpackage",
}
FOLDERS = ("savedmodel", "coreml")
# The largest difference of a log probability that passes. float16 rounds weights to three digits.
# For int8 the difference is reported and has no limit.
LIMITS = {"litert-float16": 0.2, "litert-int8": math.inf}
LIMIT = 1e-3
AGREEING = 0.9  # fraction of equal top-1 classes below which a note is printed; the file is kept


def check_space(folder, network, formats):
    """Check that the disk has space for the files and one temporary file.

    Args:
        folder: Folder of the files.
        network: A `source_network.Network`.
        formats: Number of formats.

    Raises:
        OSError: The space is too small.
    """
    needed = 4 * network.model.count_params() * (formats + 1) + 10**6
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"The export to {folder} needs up to {needed / 1e6:,.0f} MB of disk space. Received: "
            f"{free / 1e6:,.0f} MB. Free some space, or choose another --out."
        )


def _module(kind):
    """Return the module of a format."""
    if kind == "savedmodel":
        from vgg_tf.formats import saved_model as module
    elif kind == "onnx":
        from vgg_tf.formats import onnx as module
    elif kind == "coreml":
        from vgg_tf.formats import coreml as module
    else:
        from vgg_tf.formats import litert as module
    return module


def write_checked(kind, network, path, pictures, *known):
    """Write a file or folder, read it back, and put it in place if it is correct.

    What exists at `path` stays until then.

    Args:
        kind: Name of the format, as in `SUFFIXES`.
        network: A `source_network.Network`.
        path: Final path of the file or folder.
        pictures: uint8 `[n, h, w, 3]`, for the calibration of int8.
        *known: Pixels, number of layers and arrays of the network, as for `_read_back`.

    Returns:
        dict, as `_read_back` returns it.
    """
    module = _module(kind)
    if hasattr(module, "check"):
        module.check(path)
    writing = files.writing_folder if kind in FOLDERS else files.writing
    with writing(path) as fresh:
        more = (kind.partition("-")[2] or "float32", pictures) if kind.startswith("litert") else ()
        module.write(network, fresh, *more)
        return _read_back(kind, module, network, fresh, *known)


def _read_back(kind, module, network, path, pixels, layers, arrays):
    """Compare a file, run by its own runtime, with the network.

    Args:
        kind: Name of the format.
        module: Module of the format.
        network: A `source_network.Network`.
        path: Path of the file or folder.
        pixels: uint8 `[n, h, w, 3]`.
        layers: Number of layers with weights of the network.
        arrays: Weights of the network.

    Returns:
        dict for the report: the values
            of `source_network.compare`, `bytes`, `layers`, `weights`.

    Raises:
        ValueError: The file has other layers, weights, classes or probabilities than the network.
    """
    from vgg_tf.formats import runtimes, source_network

    name = os.path.basename(path)
    run, about = runtimes.open_model(path)
    found, theirs = (
        module.read_contents(path) if hasattr(module, "read_contents") else (run.layers, None)
    )
    if found != layers or (
        theirs is not None
        and source_network.compute_digest(theirs) != source_network.compute_digest(arrays)
    ):
        raise ValueError(
            f"{name} must have the network's {layers} layers with equal weights. Received: "
            f"{found} layers with weights, or other weights. Choose another --format."
        )
    if tuple(about["classes"]) != network.classes:
        raise ValueError(
            f"{name} must have the network's classes. Received: {about['classes'][:5]}. Choose "
            "another --format."
        )
    row, limit = source_network.compare(network, run, pixels), LIMITS.get(kind, LIMIT)
    if not row["log_posterior"] <= limit:
        raise ValueError(
            f"{name} may differ from the network by {limit:g} in a log probability. Received: "
            f"{row['log_posterior']:.3g}. Choose another --format."
        )
    weights = "equal" if theirs is not None else "within its operations"
    return {**row, "bytes": _bytes(path), "layers": found, "weights": weights}


def _bytes(path):
    """Return the size of a file, or of all files in a folder, in bytes."""
    if os.path.isdir(path):
        return sum(
            os.path.getsize(os.path.join(folder, name))
            for folder, _, names in os.walk(path)
            for name in names
        )
    return os.path.getsize(path)
