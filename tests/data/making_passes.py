"""Numbered pictures, and passes over them, which the tests compare."""

import functools

import numpy as np

from vgg_tf.data.loading import load_dataset

TRAIN, TEST = 12, 5  # images


def picture(i, h, w):
    """Image `i`: its red tells which it is, green and blue where a crop was cut."""
    y, x = np.mgrid[:h, :w]
    return np.stack([0 * x + 10 + 20 * i, 7 * x, 7 * y], 2).astype(np.uint8)


def identities(batch):
    """Which images these views `[n, h, w, 3]` show, if their colours were not shifted."""
    return np.round((batch[..., 0].mean((1, 2)) - 10) / 20).astype(int)


def upright(views):
    """Whether green rises by the column, as it does unless a view is mirrored."""
    return views[:, 8, 12, 1] > views[:, 8, 4, 1]


def by_image(views):
    """`[n, ...]`, the views in the order of their images."""
    return views[np.argsort(identities(views))]


# The graph of a view takes 0.3 s to trace, and all passes with the same options share it.
PASS = {"batch_size": 4, "size": 16, "scale": (16, 24), "shift": 0}
TESTED = PASS | {"scale": 18}


def gather(dataset):
    """All batches as one array for images, labels and, in evaluation, the mask."""
    return [np.concatenate(column) for column in zip(*dataset.as_numpy_iterator(), strict=True)]


def read_again(source, split="train", **options):
    return gather(
        load_dataset(
            source, split, **(PASS if split == "train" else TESTED) | {"epoch": 0} | options
        )
    )


# A pass takes a quarter of a second; many claims compare the same ones.
read = functools.cache(read_again)


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
