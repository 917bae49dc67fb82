"""Random views of small images, cut batch by batch: the pixels of `images.train_view_of_pixels` for less of the processor.

Where images are squares of the crop's side and none is rescaled, as CIFAR's, a view is rows and columns of its image in another
order, and most of its time goes into starting small operations. So only what is random is drawn image by image.
"""

import tensorflow as tf

from vgg_tf import images

AUTO = tf.data.AUTOTUNE


def batches(examples, epoch, batch, crop, flip, padding, cutout):
    """Batches of random views.

    Args:
        examples: dataset of `(key, uint8 [h, w, 3], label)`. Images of other sizes than the crop's are cut one by one.
        epoch: int64 scalar that makes, with an image's key, the seed of its view.
        batch: images in each; those that fill none are left out.
        crop: side of the crop, and S, in pixels.
        flip, padding, cutout: as for `images.train_view`.

    Returns:
        A dataset of `(uint8 [batch, crop, crop, 3], int32 [batch])`.
    """

    def draw(key, image, label):
        """A canvas of the crop's size, whether it is the view itself, and else what the view is drawn by."""
        seed = tf.stack([key, epoch])

        def view():
            return images.train_view_of_pixels(image, seed, crop, (crop, crop), flip, 0.0, None, padding, cutout)

        apart = tf.reduce_any(tf.shape(image)[:2] != crop)
        canvas = tf.ensure_shape(tf.cond(apart, view, lambda: image), [crop, crop, 3])
        return canvas, tf.cast(label, tf.int32), apart, images.draws(seed), images.centre_of_cutout(seed, crop)

    def cut(canvas, labels, apart, draws, centre):
        corner, mirrored = images.place(draws, 2 * padding, flip)
        order = tf.range(crop)
        across = tf.where(mirrored[:, tf.newaxis], crop - 1 - order, order)
        rows, columns = (
            images.mirrored(along + corner[:, i, tf.newaxis] - padding, crop) for i, along in enumerate((order, across))
        )
        views = tf.gather(tf.gather(canvas, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
        if cutout:
            views = images.cut_out(views, centre, cutout)
        return tf.where(apart[:, tf.newaxis, tf.newaxis, tf.newaxis], canvas, views), labels

    drawn = examples.map(draw, num_parallel_calls=AUTO)
    return drawn.batch(batch, drop_remainder=True, num_parallel_calls=AUTO).map(cut, num_parallel_calls=AUTO)
