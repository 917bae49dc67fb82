"""Random views of small images, made batch by batch: the pixels of
`views.make_train_view_of_pixels` in less processor time.

Where images are squares of the crop's side and are not rescaled, as CIFAR's, a view is rows and
columns of its image in another order, and most of its time goes into starting small operations. So
only what is random is drawn image by image (`benchmarks/small_views.py`).
"""

import functools

import tensorflow as tf

from vgg_tf.images import views
from vgg_tf.runtime.pipelines import BATCHES

SMALL = 64  # pixels, the largest side of a crop whose views are made batch by batch
AUTO = tf.data.AUTOTUNE


def can_batch(view):
    """Return whether `make_batches` makes these views: small, not rescaled, of unchanged colors."""
    return (view.crop, view.crop) == view.scale and view.crop <= SMALL and not view.shift


def make_batches(examples, number, batch, view):
    """Make batches of random views.

    Args:
        examples: dataset of `(key, uint8 [h, w, 3], label)`. Views of images of other sizes than
            the crop's are made one by one.
        number: int64 scalar, of the pass; with an image's key it is the seed of the view.
        batch: images in each; the last ones, which do not fill a batch, are dropped.
        view: an `augmentation.View` for which `can_batch` holds.

    Returns:
        A dataset of `(uint8 [batch, crop, crop, 3], int32 [batch])`.
    """
    draw, cut = _make_steps(view)
    drawn = examples.map(
        lambda key, image, label: draw(key, image, label, number), num_parallel_calls=AUTO
    )
    return drawn.batch(batch, drop_remainder=True, num_parallel_calls=BATCHES).map(
        cut, num_parallel_calls=BATCHES
    )


@functools.lru_cache
def _make_steps(view):
    """Make what is done to each image, and to each batch.

    All epochs share these two graphs, which take 0.2 s to trace.
    """
    crop = view.crop

    @tf.function(autograph=False)
    def draw(key, image, label, number):
        """Return a canvas, whether it is the view itself, and else what the view is drawn by."""
        seed = tf.stack([key, number])
        apart = tf.reduce_any(tf.shape(image)[:2] != crop)
        canvas = tf.cond(
            apart, lambda: views.make_train_view_of_pixels(image, seed, view), lambda: image
        )
        canvas = tf.ensure_shape(canvas, [crop, crop, 3])
        center = views.draw_cutout_center(seed, crop) if view.cutout else tf.zeros([2], tf.int32)
        return canvas, tf.cast(label, tf.int32), apart, views.draw_numbers(seed), center

    @tf.function(autograph=False)
    def cut(canvas, labels, apart, draws, center):
        corner, flipped = views.place(draws, 2 * view.padding, view.flip)
        order = tf.range(crop)
        across = tf.where(flipped[:, tf.newaxis], crop - 1 - order, order)
        rows, columns = (
            views.mirror_indices(along + corner[:, i, tf.newaxis] - view.padding, crop)
            for i, along in enumerate((order, across))
        )
        images = tf.gather(canvas, rows, axis=1, batch_dims=1)
        images = tf.gather(images, columns, axis=2, batch_dims=1)
        if view.cutout:
            images = views.cut_out(images, center, view.cutout)
        return tf.where(apart[:, tf.newaxis, tf.newaxis, tf.newaxis], canvas, images), labels

    return draw, cut
