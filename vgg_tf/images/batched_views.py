"""Random views of small images, a batch at a time.

The pixels are those of `views.make_train_view_of_pixels`, in less processor time
(`benchmarks/small_views.py`). Some images are squares of the crop's side and are not rescaled, such
as CIFAR's. A view of these only reorders rows and columns, and starting small operations takes most
of its time. So only the random numbers are drawn image by image; whole batches are cut at once.
"""

import functools

import tensorflow as tf

from vgg_tf.images import views
from vgg_tf.runtime.pipelines import BATCHES

SMALL = 64  # pixels, the largest crop whose views are made a batch at a time
AUTO = tf.data.AUTOTUNE


def can_batch(view):
    """Return whether `make_batches` can make these views.

    These are small, and have no rescaling, RGB shift or RandAugment.
    """
    unchanged = not (view.shift or view.rand_augment)
    return (view.crop, view.crop) == view.scale and view.crop <= SMALL and unchanged


def make_batches(examples, number, batch, view):
    """Make batches of random views.

    Args:
        examples: `tf.data.Dataset` of `(key, image, label)`: int64 scalar, uint8 `[h, w, 3]`,
            integer scalar. An image of another size than the crop gets its view on its own.
        number: int64 scalar, the number of the pass. With the key of an image it forms the seed of
            the view.
        batch: Number of images in a batch. The remainder that does not fill a batch is dropped.
        view: An `augmentation.View` for which `can_batch` returns True.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: uint8 `[batch, crop, crop, 3]`, int32 `[batch]`.
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
    """Return the function of one image and the function of one batch."""
    # Cached, since tracing the two graphs takes 0.2 s, and all epochs can share them.
    crop = view.crop

    @tf.function(autograph=False)
    def draw(key, image, label, number):
        """Return the image or its finished view, which of the two it is, and the random numbers."""
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
