"""Run exported files on pictures, without TensorFlow if the runtime does not need it."""

import os

import numpy as np

from vgg_tf.images.flattening import decode_by_pillow
from vgg_tf.runtime import files, programs

SUFFIXES = (".onnx", ".tflite", ".mlpackage")


def open_model(path):
    """Open an exported file.

    Args:
        path: `*.onnx`, `*.tflite`, `*.mlpackage` (interpreted, slowly), or the folder of a
            SavedModel.

    Returns:
        run: Function from uint8 `[n, h, w, 3]`, RGB, to probabilities `[n, classes]`.
        about: dict, the file's metadata, as `Network.describe` returns it.

    Raises:
        FileNotFoundError: The path does not exist.
        ValueError: The file is not from vgg_tf, or is incomplete.
        ModuleNotFoundError: The package that runs the file is not installed.
    """
    path = str(path).rstrip("/")
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"{path} must be an exported network. Received: no file or folder of this name. Write "
            "one with python -m vgg_tf.export."
        )
    suffix = os.path.splitext(path)[1]
    if suffix == ".onnx":
        from vgg_tf.formats import onnx as module
    elif suffix == ".tflite":
        from vgg_tf.formats import litert as module
    elif suffix == ".mlpackage":
        from vgg_tf.formats import coreml as module
    elif os.path.isdir(path):
        from vgg_tf.formats import saved_model as module
    else:
        raise ValueError(
            f"An exported network ends in {', '.join(SUFFIXES)}, or is the folder of a "
            f"SavedModel. Received: {path}. Write one with python -m vgg_tf.export."
        )
    return module.read(path)


def cut_view(contents, about, name):
    """Return the view of an encoded picture that an exported network takes.

    PIL rescales the picture, and its center is cut out.

    Args:
        contents: bytes of the picture file.
        about: dict, the metadata of the exported network.
        name: Name of the picture, for error messages.

    Returns:
        uint8 `[height, width, 3]`, RGB. It differs by at most one gray level from the views of
            training and tests.

    Raises:
        ValueError: The file is not a picture, or has more pixels than PIL allows. The message names
            it.
    """
    from PIL import Image

    try:
        picture = Image.fromarray(decode_by_pillow(contents))
    except ValueError as error:
        raise ValueError(f"cannot read {name}: {error}") from None
    w, h = picture.size
    smaller, scale = min(w, h), about["scale"]
    new = [(2 * side * scale + smaller) // (2 * smaller) for side in (w, h)]
    pixels = np.asarray(picture.resize(new, Image.Resampling.BILINEAR))
    top, left = (pixels.shape[0] - about["height"]) // 2, (pixels.shape[1] - about["width"]) // 2
    return pixels[top : top + about["height"], left : left + about["width"]]


def classify(path, paths):
    """Return the probabilities of pictures by an exported network.

    Args:
        path: Path of the exported network.
        paths: Paths of the pictures.

    Returns:
        rows: dict from path to probabilities, float64 `[classes]`.
        bad: dict from path to the error, for pictures that cannot be read.
        classes: Names of the classes.
    """
    from tqdm import tqdm

    run, about = open_model(path)
    rows, bad = {}, {}
    for name in tqdm(paths, os.path.basename(path), unit=" pictures", disable=programs.hides_bar()):
        try:
            pixels = cut_view(files.read(name), about, name)
        except (ValueError, OSError) as error:
            bad[name] = str(error)
            continue
        rows[name] = np.float64(run(pixels[np.newaxis])[0])
    return rows, bad, about["classes"]
