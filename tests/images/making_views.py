"""Helpers that call functions eagerly and inside tf.data, and that make many views."""

import numpy as np
import pytest
import tensorflow as tf

from vgg_tf.images.augmentation import View
from vgg_tf.images.views import make_train_view_of_pixels


def eagerly(function, *columns):
    """Return the results of `function` for each row of the columns."""
    rows = tf.data.Dataset.from_tensor_slices(columns)
    return [tf.nest.map_structure(lambda value: value.numpy(), function(*row)) for row in rows]


def in_tf_data(function, *columns):
    """Return the same results, computed inside tf.data.

    All rows share one pipeline, since building it takes longer than running it.
    """
    return list(
        tf.data.Dataset.from_tensor_slices(columns)
        .map(function, num_parallel_calls=4)
        .as_numpy_iterator()
    )


both_ways = pytest.mark.parametrize("call", [eagerly, in_tf_data])


def columns(rows):
    return map(list, zip(*rows, strict=True))


def seeds(n, key=0):
    return np.stack([np.arange(n), np.full(n, key)], 1)


def views(picture, n, *options, **more):
    """Return views of a picture for `n` seeds, `[n, crop, crop, 3]`."""
    rows = tf.data.Dataset.from_tensor_slices(seeds(n))
    rows = rows.map(
        lambda seed: make_train_view_of_pixels(picture, seed, View(*options, **more)),
        num_parallel_calls=4,
    )
    return next(rows.batch(n).as_numpy_iterator())
