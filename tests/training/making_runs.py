"""A recipe, pictures and runs of a network of one convolution, and the state of a run."""

import functools
import json

import keras
import numpy as np
import tensorflow as tf
from safetensors import safe_open

from vgg_tf.images.colors import measure_colors
from vgg_tf.paper.recipes import Recipe
from vgg_tf.records.splits import Source, Split
from vgg_tf.records.statistics import Measures
from vgg_tf.runs import run_folder
from vgg_tf.runs.settings import Settings
from vgg_tf.training import loop
from vgg_tf.training.model import (
    build,
    compile_scores,
    drop_softmax,
    make_classification_task,
    make_optimizer,
)
from vgg_tf.weights.inheritance import inherit_weights

CLASSES = 4
# With dropout, whose seeds a .keras file lacks, a plateau that is reached, and averaged weights.
RECIPE = Recipe(
    epochs=5,
    batch_size=8,
    learning_rate=0.02,
    patience=1,
    drops=1,
    size=32,
    scale=(32, 32),
    rgb_shift=0.0,
    width=0.0625,
    head_width=16,
    standardize=True,
    seed=5,
    average=0.9,
)


def pictures(n, seed=0):
    """Return noise images whose brightness depends on the class, and their labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, n).astype(np.int32)
    images = random.uniform(0, 80, (n, 32, 32, 3)) + 50 * labels[:, None, None, None]
    return images.astype(np.uint8), labels


def batches(n, batch, seed=0):
    return tf.data.Dataset.from_tensor_slices(pictures(n, seed)).batch(batch, drop_remainder=True)


def masked(n, batch, seed=1):
    images, labels = pictures(n, seed)
    fill = -n % batch
    arrays = (
        np.pad(images, [(0, fill)] + [(0, 0)] * 3),
        np.pad(labels, (0, fill)),
        np.float32([1] * n + [0] * fill),
    )
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch)


@functools.cache
def collection():
    (images, labels), (_, others) = pictures(32), pictures(13, seed=1)
    measures = Measures()
    for image in images:
        measures.add(*measure_colors(image), min(image.shape[:2]), 100)
    splits = {
        split: Split([str(i) for i in range(len(y))], y.astype(np.int64), [b""] * len(y))
        for split, y in (("train", labels), ("validation", others))
    }
    return measures.make_collection(Source("noise", tuple("abcd"), splits))


def open_run(folder, recipe=RECIPE, arch="shallow"):
    return run_folder.open_run(folder, Settings(arch, "noise", "0" * 16, "float32", recipe))


class StopError(Exception):
    pass


def train(
    folder,
    recipe=RECIPE,
    stop=None,
    batch=8,
    validated=True,
    source=None,
    check=True,
    arch="shallow",
    **hooks,
):
    """Train on 24 pictures, which depend on the epoch.

    A line that begins with `stop` raises StopError, which interrupts the run as a kill would.
    """
    keras.utils.set_random_seed(recipe.seed)
    lines = []

    def say(line):
        lines.append(line)
        print(line)
        if stop and line.startswith(stop):
            raise StopError(line)

    with open_run(folder, recipe, arch) as run:
        model = build(arch, recipe, collection())

        def begin():
            if source:
                inherit_weights(source, model, say=say)

        state = loop.train(
            run,
            model,
            loop.Feed(
                24 // batch,
                batch,
                lambda e: batches(24, batch, seed=e),
                masked(13, 8) if validated else None,
            ),
            loop.Hooks(say, begin, **hooks),
            make_classification_task(recipe, collection().splits),
            check=check,
        )
    return state, lines


def compiled(model, recipe, steps, **options):
    """Compile a network of logits in eager mode, which traces nothing."""
    scores = drop_softmax(model)
    compile_scores(scores, make_optimizer(recipe, steps), **options)
    scores.run_eagerly = True
    return scores


def state_of(folder):
    """Return the last state without its variables and times."""
    with safe_open(folder / run_folder.LAST, framework="numpy") as file:
        state = json.loads(file.metadata()["state"])
    for row in state["rows"]:
        del row["seconds"], row["images_per_second"]
    return state
