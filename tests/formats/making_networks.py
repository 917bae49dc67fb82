"""Files of shallow networks, their input pixels, and copies of files."""

import shutil
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from vgg_tf import build_vgg, write_weights
from vgg_tf.evaluation import checkpoint
from vgg_tf.formats import coreml, litert, onnx, saved_model, source_network
from vgg_tf.paper.architectures import Architecture

ROOMS = {
    "onnx": (onnx, "a.onnx"),
    "savedmodel": (saved_model, "a"),
    "litert": (litert, "a.tflite"),
    "coreml": (coreml, "a.mlpackage"),
}
CLASSES = ("cat", "dog", "tench, Tinca tinca", "église")
# All kinds of layers with two or three convolutions, because the writers convert layer by layer.
# The fixture `done` has a network of real depth.
SHALLOW = {
    "shallow": Architecture("shallow", "-", ((3,), (), (), (), (3,))),
    "shallow_bn": Architecture("shallow_bn", "-", ((3,), (), (), (), (3,)), batch_norm=True),
    "shallow_c_bn": Architecture("shallow_c_bn", "-", ((3,), (), (), (), (3, 1)), batch_norm=True),
    "shallow_lrn": Architecture("shallow_lrn", "-", ((3,), (), (), (), (3,)), lrn=True),
}


def weights(folder, arch="shallow_bn", crop=32, width=1 / 8):
    """Write a file with the weights of a tiny network whose probabilities differ."""
    model = build_vgg(
        arch,
        input_shape=(crop, crop, 3),
        classes=4,
        width=width,
        head_width=16,
        seed=0,
        std=(60, 50, 40),
        initializer="he",
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # not the initial values
            random = np.random.default_rng(1)
            shape = layer.gamma.shape
            layer.set_weights(
                [random.uniform(0.8, 1.2, shape), random.normal(0, 0.1, shape)] * 1
                + [random.normal(0, 0.1, shape), random.uniform(0.8, 1.2, shape)]
            )
    path = folder / f"{arch}.safetensors"
    write_weights(model, path, classes=CLASSES)
    return path


_NETWORKS = {}  # each network is built once for all formats


def network_of(folder, arch="shallow_bn", crop=32, size=None, width=1 / 8):
    key = (arch, crop, size, width)
    if key not in _NETWORKS:
        _NETWORKS[key] = source_network.prepare_network(
            checkpoint.open_checkpoint(weights(folder, arch, crop, width)), size
        )
    return _NETWORKS[key]


def pixels(h, w, n=3):
    return np.random.default_rng(0).integers(0, 256, (n, h, w, 3), dtype=np.uint8)


def picture(path, size=(70, 50)):
    Image.fromarray(pixels(size[1], size[0], 1)[0]).save(path)
    return str(path)


def copied(path, to):
    """Return a copy of a file or folder of `done`.

    Coremltools writes to the manifest of a package when it reads it.
    """
    return Path((shutil.copytree if path.is_dir() else shutil.copy)(path, to))
