"""Calls of the program `evaluate`, its results, and digits as pictures for it."""

import csv
import functools
import json

import numpy as np

from tests import making
from vgg_tf import evaluate
from vgg_tf.data import opening
from vgg_tf.paper import protocols

FEW = (
    "--data",
    "few",
    "--protocol",
    "dense",
    "--scales",
    "36",
)  # stored by the fixture `several`


def call(*words):
    evaluate.main([*map(str, words), "--strategy", "cpu"])


def report(folder):
    return json.loads((folder / "report.json").read_text())


def predictions(folder):
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


@functools.cache
def digits():
    """Return the test split of the digits; encoding it takes a third of a second."""
    return opening.open_source("digits").splits["test"]


def put(folder, numbers, name="{}.png"):
    """Write images of the digits' test split as class folders."""
    split = digits()
    for i in numbers:
        path = folder / str(split.labels[i]) / name.format(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(split.contents[i])


def put_few(folder):
    """Write 21 test images, and one training image of each class.

    The training images alone would identify the classes.
    """
    labels = digits().labels
    put(folder / "train", [int(np.flatnonzero(labels == label)[-1]) for label in range(10)])
    put(folder / "test", range(21))
    return folder


def sketch(patch):
    """Make evaluation fast: no figures, which take two seconds, and no compilation.

    Multi-crop uses few crops.
    """
    making.uncompile(patch)
    patch.setattr(protocols, "GRID", 2)
    making.undrawn(patch)
