"""Numbered images, and passes over them that the tests compare."""

import functools

import numpy as np

from vgg_tf.data.loading import load_dataset

TRAIN, TEST = 12, 5  # images


def picture(i, h, w):
    """Return image `i`: red encodes its number, green and blue the position of a pixel."""
    y, x = np.mgrid[:h, :w]
    return np.stack([0 * x + 10 + 20 * i, 7 * x, 7 * y], 2).astype(np.uint8)


def identities(batch):
    """Return the numbers of the images in views `[n, h, w, 3]` without a color shift."""
    return np.round((batch[..., 0].mean((1, 2)) - 10) / 20).astype(int)


def upright(views):
    """Return whether each view is not mirrored: green then rises from left to right."""
    return views[:, 8, 12, 1] > views[:, 8, 4, 1]


def by_image(views):
    """Return the views `[n, ...]` in the order of their images."""
    return views[np.argsort(identities(views))]


# Tracing the graph of a view takes 0.3 s. All passes with the same options share it.
PASS = {"batch_size": 4, "size": 16, "scale": (16, 24), "shift": 0}
TESTED = PASS | {"scale": 18}


def gather(dataset):
    """Return all batches as arrays of images, labels and, in evaluation, the mask."""
    return [np.concatenate(column) for column in zip(*dataset.as_numpy_iterator(), strict=True)]


def read_again(source, split="train", **options):
    return gather(
        load_dataset(
            source, split, **(PASS if split == "train" else TESTED) | {"epoch": 0} | options
        )
    )


# A pass takes 0.25 s, and many tests compare the same ones.
read = functools.cache(read_again)


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
