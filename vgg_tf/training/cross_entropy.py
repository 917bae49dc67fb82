"""The loss on logits: the cross entropy, with smoothed labels and weighted classes."""

import keras
import numpy as np


def make_cross_entropy(smoothing=0.0, weights=None):
    """Make the loss on logits: int labels `[B]` and logits `[B, classes]` to `[B]`, in nats.

    Args:
        smoothing: fraction of the target that is spread evenly over all classes.
        weights: `[classes]`, a factor for the loss of the images of each class. With smoothing, the
            factor is that of the label. None is 1 for all classes.

    Returns:
        A function of labels and logits.
    """

    def loss(labels, scores):
        labels = keras.ops.reshape(labels, (-1,))
        nats = keras.ops.sparse_categorical_crossentropy(labels, scores, from_logits=True)
        if smoothing:
            spread = keras.ops.mean(keras.ops.log_softmax(scores), axis=-1)
            nats = (1 - smoothing) * nats - smoothing * spread
        if weights is None:
            return nats
        # Keras' class_weight would weight the metrics too, and refuses batches with a mask.
        table = keras.ops.convert_to_tensor(np.asarray(weights), dtype=nats.dtype)
        return nats * keras.ops.take(table, keras.ops.cast(labels, "int32"), axis=0)

    return loss
