"""Random views of small images, cut batch by batch: the pixels of `views.train_view_of_pixels` for
less of the processor.

Where images are squares of the crop's side and none is rescaled, as CIFAR's, a view is rows and
columns of its image in another order, and most of its time goes into starting small operations. So
only what is random is drawn image by image (`benchmarks/small_views.py`).
"""

import functools

import tensorflow as tf

from vgg_tf.images import views as images_views
from vgg_tf.runtime.pipelines import BATCHES

AUTO = tf.data.AUTOTUNE


def batches(examples, number, batch, crop, flip, padding, cutout):
    """Batches of random views, without a shift of the colours.

    Args:
        examples: dataset of `(key, uint8 [h, w, 3], label)`. Images of other sizes than the crop's
            are cut one by one.
        number: int64 scalar, of the pass; with an image's key it is the seed of the view.
        batch: images in each; those that fill none are left out.
        crop: side of the crop, and S, in pixels.
        flip, padding, cutout: as for `views.train_view`.

    Returns:
        A dataset of `(uint8 [batch, crop, crop, 3], int32 [batch])`.

    Raises:
        ValueError: the padding is not below the crop's side.
    """
    draw, cut = _steps(crop, flip, padding, cutout)
    drawn = examples.map(
        lambda key, image, label: draw(key, image, label, number), num_parallel_calls=AUTO
    )
    return drawn.batch(batch, drop_remainder=True, num_parallel_calls=BATCHES).map(
        cut, num_parallel_calls=BATCHES
    )


@functools.lru_cache
def _steps(crop, flip, padding, cutout):
    """What is done to each image, and to each batch: graphs that all epochs share, as tracing
    them takes 0.2 s.
    """

    @tf.function(autograph=False)
    def draw(key, image, label, number):
        """A canvas of the crop's size, whether it is the view itself, and else what the view is
        drawn by.
        """
        seed = tf.stack([key, number])

        def view():
            return images_views.train_view_of_pixels(
                image, seed, crop, (crop, crop), flip, 0.0, None, padding, cutout
            )

        apart = tf.reduce_any(tf.shape(image)[:2] != crop)
        canvas = tf.ensure_shape(tf.cond(apart, view, lambda: image), [crop, crop, 3])
        centre = images_views.centre_of_cutout(seed, crop) if cutout else tf.zeros([2], tf.int32)
        return canvas, tf.cast(label, tf.int32), apart, images_views.draws(seed), centre

    @tf.function(autograph=False)
    def cut(canvas, labels, apart, draws, centre):
        corner, flipped = images_views.place(draws, 2 * padding, flip)
        order = tf.range(crop)
        across = tf.where(flipped[:, tf.newaxis], crop - 1 - order, order)
        rows, columns = (
            images_views.mirrored(along + corner[:, i, tf.newaxis] - padding, crop)
            for i, along in enumerate((order, across))
        )
        views = tf.gather(
            tf.gather(canvas, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1
        )
        if cutout:
            views = images_views.cut_out(views, centre, cutout)
        return tf.where(apart[:, tf.newaxis, tf.newaxis, tf.newaxis], canvas, views), labels

    return draw, cut
