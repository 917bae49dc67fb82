"""Labels of mixed images, and a training on them.

As a program it prints the results of the training on the engine of KERAS_BACKEND.
"""

import json

import keras
import numpy as np
import tensorflow as tf

from tests.making import shallow
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper.recipes import Recipe
from vgg_tf.training.cross_entropy import make_cross_entropy
from vgg_tf.training.model import compile_scores, drop_softmax, evaluate, make_optimizer

CLASSES, WEIGHTS = 7, (0.5, 3.0, 0.0, 1.25, 1.0, 2.0, 0.25)


def draw(n=30, seed=0):
    """Return labels of mixed images, float32 `[n, 3]`, and logits `[n, CLASSES]`."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, (n, 2))
    shares = random.uniform(0, 1, (n, 1))
    shares[:3, 0] = 0, 0.5, 1
    logits = random.normal(0, 3, (n, CLASSES)).astype(np.float32)
    return np.float32(np.hstack([labels, shares])), logits


def train():
    """Train a network on mixed labels and test it on plain ones, some of them masked.

    Returns:
        The engine, the losses of `draw`, the history of the training, and the errors of the test.
    """
    labels, logits = draw()
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3)).astype(np.uint8)
    with shallow():
        size = {"width": 0.125, "head_width": 16, "dropout": 0.0, "std": (74.0,) * 3}
        model = build_vgg("shallow", input_shape=(32, 32, 3), classes=CLASSES, **size)
    for i, variable in enumerate(model.weights):
        if variable.name == "kernel":
            values = np.random.default_rng(i).normal(0, 0.05, tuple(variable.shape))
            variable.assign(values.astype(np.float32))
    scores, recipe = drop_softmax(model), Recipe(learning_rate=0.02)
    compile_scores(scores, make_optimizer(recipe, 3), 0.1, WEIGHTS, recall=True)
    batches = tf.data.Dataset.from_tensor_slices((images[:24], labels[:24])).batch(8)
    history = scores.fit(batches, shuffle=False, verbose=0).history
    mask = np.float32([1] * 5 + [0] * 3)
    plain = tf.data.Dataset.from_tensors((images[24:], np.int32(labels[:8, 0]), mask))
    nats = keras.ops.convert_to_numpy(make_cross_entropy(0.1, WEIGHTS)(labels, logits))
    losses = {"loss": nats.tolist()}
    return [keras.config.backend(), losses, history, evaluate(scores, plain)]


if __name__ == "__main__":
    print(json.dumps(train()))
