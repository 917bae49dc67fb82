"""Views made a batch at a time equal the views made one by one."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from vgg_tf.images import batched_views
from vgg_tf.images.augmentation import View
from vgg_tf.images.views import make_train_view_of_pixels

CROP, BATCH, EPOCH = 16, 8, 5 + (3 << 32)
SIZES = [(16, 16)] * 3 + [(20, 16), (16, 16), (16, 20), (33, 40), (12, 9)]


def examples(sizes, n):
    random = np.random.default_rng(0)
    for i, (h, w) in enumerate(itertools.islice(itertools.cycle(sizes), n)):
        yield (
            np.int64(random.integers(2**62)),
            random.integers(0, 256, (h, w, 3), np.uint8),
            np.int64(i),
        )


@pytest.mark.parametrize(
    ("sizes", "flip", "padding", "cutout"),
    [
        (SIZES[:1], True, 3, 6),
        (SIZES, True, 3, 6),
        (SIZES, True, 0, 5),
        (SIZES, False, CROP - 1, 0),
        (SIZES, False, 0, CROP),
    ],
)
def test_a_batch_has_the_views_that_are_made_one_by_one(sizes, flip, padding, cutout):
    n = 20
    options = View(CROP, CROP, flip, 0.0, None, padding, cutout)
    kinds = (
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec([None, None, 3], tf.uint8),
        tf.TensorSpec([], tf.int64),
    )
    dataset = tf.data.Dataset.from_generator(lambda: examples(sizes, n), output_signature=kinds)
    batches = batched_views.make_batches(dataset, tf.constant(EPOCH, tf.int64), BATCH, options)
    assert batches.element_spec[0] == tf.TensorSpec([BATCH, CROP, CROP, 3], tf.uint8)
    found = list(batches)
    assert len(found) == n // BATCH
    views, labels = (np.concatenate(part) for part in zip(*found, strict=True))
    assert labels.tolist() == list(range(n // BATCH * BATCH))
    for view, (key, image, _) in zip(views, examples(sizes, len(views)), strict=True):
        alone = make_train_view_of_pixels(image, [key, EPOCH], options)
        np.testing.assert_array_equal(view, alone)
