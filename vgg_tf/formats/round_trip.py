"""Exported files: written, read back by their own runtime, compared, then put in place."""

import os
import shutil

import numpy as np

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
# The largest difference of a log posterior that passes; float16 rounds weights to three digits,
# int8 is told and not judged.
LIMITS = {"litert-float16": 0.2, "litert-int8": np.inf}
LIMIT = 1e-3
AGREEING = 0.9  # share of equal top-1 classes below which a file is kept, and told about


def check_space(folder, network, formats):
    """Refuse a disk without module for the files, one more for the file under way."""
    needed = 4 * network.model.count_params() * (formats + 1) + 10**6
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder} lies on a disk with {free / 1e6:,.0f} MB left; up to {needed / 1e6:,.0f} "
            "MB are needed."
        )


def _module(kind):
    """The module of a format."""
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
    """Write a file or folder next to its place, read it back, and only then put it there; what was
    there stays until then.

    Args:
        kind, network: the format, and the `source_network.Network`.
        path: its place.
        pictures: to calibrate int8 by.
        known: what `_read_back` compares with.

    Returns:
        dict: what `_read_back` found.
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
    """What the file's own runtime says.

    Raises:
        ValueError: other layers, other weights, or other posteriors than the network's.
        ModuleNotFoundError: the runtime is not installed.
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
            f"{name} has {found} layers with weights, {layers} were written, or other weights."
        )
    if tuple(about["classes"]) != network.classes:
        raise ValueError(f"{name} names other classes than the network.")
    row, limit = source_network.compare(network, run, pixels), LIMITS.get(kind, LIMIT)
    if not row["log_posterior"] <= limit:
        raise ValueError(
            f"{name} differs by {row['log_posterior']:.3g} in a log posterior; {limit:g} is "
            "allowed."
        )
    weights = "equal" if theirs is not None else "within its operations"
    return {**row, "bytes": _bytes(path), "layers": found, "weights": weights}


def _bytes(path):
    """Size of a file or of all files in a folder."""
    if os.path.isdir(path):
        return sum(
            os.path.getsize(os.path.join(folder, name))
            for folder, _, names in os.walk(path)
            for name in names
        )
    return os.path.getsize(path)
