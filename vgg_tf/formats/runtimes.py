"""Exported files at work: whatever is needed to name what is in pictures, without TensorFlow
where the runtime needs none.
"""

import io
import os

import numpy as np

from vgg_tf.runtime import files

SUFFIXES = (".onnx", ".tflite", ".mlpackage")


def open_model(path):
    """Open an exported file.

    Args:
        path: `*.onnx`, `*.tflite`, `*.mlpackage` (interpreted, slowly), or the folder of a
            SavedModel.

    Returns:
        A function of uint8 `[n, h, w, 3]` to posteriors `[n, classes]`; and a dict of what the file
        tells of itself.

    Raises:
        FileNotFoundError, ValueError, ModuleNotFoundError: it is not there, none of ours, or its
            runtime is missing.
    """
    path = str(path).rstrip("/")
    if not os.path.exists(path):
        raise FileNotFoundError(f"No model at {path}. Write one with python -m vgg_tf.export.")
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
            f"{path} is no folder of a SavedModel and does not end in {', '.join(SUFFIXES)}."
        )
    return module.read(path)


def cut_view(contents, about, name):
    """What an exported network sees of an encoded picture: rescaled as PIL does it, its centre cut
    out.

    Args:
        contents: bytes.
        about: what the file tells of itself.
        name: of the picture, for messages.

    Returns:
        uint8 `[height, width, 3]`, within a grey level of what training and tests see.

    Raises:
        ValueError: it is no picture, or one of more pixels than PIL takes for honest; the message
            names it.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(contents)) as image:
            # Grey of 16 bits: of these TensorFlow keeps the upper byte, convert clips them.
            deep = image.mode.startswith("I")
            picture = (
                Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if deep else image
            ).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise ValueError(f"cannot read {name}: {error}") from None
    w, h = picture.size
    smaller, scale = min(w, h), about["scale"]
    new = [(2 * side * scale + smaller) // (2 * smaller) for side in (w, h)]
    pixels = np.asarray(picture.resize(new, Image.Resampling.BILINEAR))
    top, left = (pixels.shape[0] - about["height"]) // 2, (pixels.shape[1] - about["width"]) // 2
    return pixels[top : top + about["height"], left : left + about["width"]]


def classify(path, paths):
    """Posteriors of pictures by an exported file.

    Args:
        path: of the file.
        paths: of the pictures.

    Returns:
        `{path: posteriors}`, `{path: what is wrong with it}`, and the names of the classes.
    """
    from tqdm import tqdm

    run, about = open_model(path)
    rows, bad = {}, {}
    for name in tqdm(paths, os.path.basename(path), unit=" pictures", disable=None):
        try:
            pixels = cut_view(files.read(name), about, name)
        except (ValueError, OSError) as error:
            bad[name] = str(error)
            continue
        rows[name] = np.float64(run(pixels[np.newaxis])[0])
    return rows, bad, about["classes"]
