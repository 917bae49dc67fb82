"""Flags of a training run that is interrupted, and comparisons of two runs."""

import json

import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file

from tests.making import TINY
from vgg_tf.runs import run_folder
from vgg_tf.weights import reading

# Dropout, batch normalization, short epochs, and a plateau: the learning rate is too low to learn.
WORDS = [
    "--arch",
    "shallow_bn",
    *TINY,
    "--dropout",
    "0.2",
    "--batch-size",
    "16",
    "--strategy",
    "cpu",
    "--steps-per-epoch",
    "8",
    "--schedule",
    "plateau",
    "--patience",
    "4",
    "--learning-rate",
    "1e-7",
]
PLATEAU = "learning rate 1e-08"


def noise_batches():
    """Return two batches of noise of two classes for training, and one of them for validation."""
    random = np.random.default_rng(0)
    images, labels = (
        random.integers(0, 256, (16, 32, 32, 3), np.uint8),
        random.integers(0, 2, 16).astype(np.int32),
    )
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
    return batches, tf.data.Dataset.from_tensors((images[:8], labels[:8], np.ones(8, np.float32)))


def same_bits(one, other):
    """Return whether two runs ended with the same bits in state and best network."""
    states = [load_file(folder / run_folder.LAST) for folder in (one, other)]
    best = [reading.read_weights(folder).fingerprint() for folder in (one, other)]
    same = states[0].keys() == states[1].keys() and all(
        np.array_equal(states[0][key], states[1][key]) for key in states[0]
    )
    return same and best[0] == best[1]


def same_end(one, other):
    """Return whether two runs ended with the same bits and the same errors."""
    reports = [json.loads((folder / "report.json").read_text()) for folder in (one, other)]
    return (
        same_bits(one, other)
        and len({(report["top1_error"], report["n"]) for report in reports}) == 1
    )
