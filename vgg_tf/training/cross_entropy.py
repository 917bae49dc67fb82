"""The loss and the errors on logits, for labels of images and of mixed images.

Labels are int `[B]`. Those of mixed images are float `[B, 3]`: the label of the image, the label of
the image mixed into it, and the share of the first, 0..1 (see `images.mixing`).
"""

import keras
import numpy as np


def make_cross_entropy(smoothing=0.0, weights=None):
    """Make the loss on logits: labels and logits `[B, classes]` to `[B]`, in nats.

    The loss of a mixed image is the mean of the losses with its two labels, weighted by the shares.

    Args:
        smoothing: fraction of the target that is spread evenly over all classes.
        weights: `[classes]`, a factor for the loss of the images of each class. With smoothing, the
            factor is that of the label. None is 1 for all classes.

    Returns:
        A function of labels, int `[B]` or `[B, 1]`, or float `[B, 3]`, and logits.
    """

    def plain(labels, scores):
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

    def loss(labels, scores):
        if not are_mixed(labels):
            return plain(labels, scores)
        nats, other = (plain(keras.ops.cast(labels[:, i], "int32"), scores) for i in (0, 1))
        share = keras.ops.cast(labels[:, 2], nats.dtype)
        return share * nats + (1 - share) * other

    return loss


def are_mixed(labels):
    """Return whether labels are those of mixed images.

    Args:
        labels: tensor or array, int `[B]` or `[B, 1]`, or float `[B, 3]`.

    Returns:
        bool.
    """
    return len(labels.shape) == 2 and labels.shape[1] == 3


def choose_labels(labels):
    """Return one label for each image: of a mixed image, the one with the larger share.

    Args:
        labels: as for `are_mixed`.

    Returns:
        The labels unchanged, or int32 `[B]` of mixed images. Equal shares give the first label.
    """
    if not are_mixed(labels):
        return labels
    chosen = keras.ops.where(labels[:, 2] >= 0.5, labels[:, 0], labels[:, 1])
    return keras.ops.cast(chosen, "int32")


def rank_labels(labels, scores):
    """Return the rank of each image's label among its scores, as `evaluation.metrics` does.

    Of equal scores, the one of the lower label comes first. NaN comes before all numbers.

    Args:
        labels: int `[B]` or `[B, 1]`.
        scores: logits or probabilities `[B, classes]`.

    Returns:
        int32 `[B]`, 0 for the highest score.
    """
    ops = keras.ops
    labels = ops.cast(ops.reshape(labels, (-1, 1)), "int32")
    own = ops.take_along_axis(scores, labels, axis=-1)
    before = ops.arange(scores.shape[-1], dtype="int32")[None] < labels
    first = ops.logical_not(scores <= own) | ((scores == own) & before)
    return ops.sum(ops.cast(first, "int32"), axis=-1)


def make_metrics():
    """Make the metrics of a network of logits, which take labels of both forms.

    Returns:
        list of Keras metrics: `cross_entropy` in nats, `top1` and `top5`, the shares of right
        images, 0..1. Of a mixed image, the label with the larger share is the right one.
    """

    def make_top(k):
        return lambda labels, scores: keras.ops.cast(
            rank_labels(choose_labels(labels), scores) < k, "float32"
        )

    top1, top5 = make_top(1), make_top(5)
    named = {"cross_entropy": make_cross_entropy(), "top1": top1, "top5": top5}
    return [keras.metrics.MeanMetricWrapper(function, name) for name, function in named.items()]
