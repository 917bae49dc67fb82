"""Classes of unequal size: weights in the loss, the mean class recall, and a note on them."""

import keras

from vgg_tf.training.cross_entropy import choose_labels

NOTED = 5  # times the images of the smallest class; a larger class is noted


def are_unequal(counts):
    """Return whether the classes that have images differ in their numbers of images.

    Args:
        counts: numbers of images of all classes.

    Returns:
        bool.

    Examples:
        >>> are_unequal([30, 30, 0]), are_unequal([30, 31])
        (False, True)
    """
    return len({n for n in counts if n}) > 1


def compute_class_weights(rule, counts):
    """Return the factor of each class in the loss.

    The images of each class together have the same weight, and the mean weight of the training
    images is 1. So the learning rate keeps its meaning. A class without training images has weight
    0 and does not count as a class: none of its images is ever in the loss.

    Args:
        rule: `none` or `balanced`.
        counts: numbers of training images of all classes.

    Returns:
        tuple of float, one for each class; None for `none`.

    Raises:
        ValueError: `balanced` without any image.

    Examples:
        >>> compute_class_weights("balanced", [30, 10, 0])
        (0.6666666666666666, 2.0, 0.0)
    """
    if rule == "none":
        return None
    images, classes = sum(counts), sum(n > 0 for n in counts)
    if not images:
        raise ValueError(
            "--class-weights balanced needs the number of training images of each class. Received: "
            f"{list(counts)}. Use --class-weights none."
        )
    return tuple(images / (classes * n) if n else 0.0 for n in counts)


def describe_balance(rule, counts):
    """Return a note where the largest class has more than `NOTED` times the smallest one's images.

    Args:
        rule: `none` or `balanced`.
        counts: numbers of training images of all classes. Classes without images are passed over.

    Returns:
        str, or None where the classes are equal enough.
    """
    sizes = sorted(n for n in counts if n)
    if not sizes or sizes[-1] <= NOTED * sizes[0]:
        return None
    note = (
        f"classes are unequal ({sizes[0]:,} to {sizes[-1]:,} images): --class-weights balanced "
        "weights the loss"
    )
    if weights := compute_class_weights(rule, sizes):
        note += f" by {weights[-1]:.2g} to {weights[0]:.2g}"
    return note


class MeanClassRecall(keras.metrics.Metric):
    """Mean over the classes of the share of their images that are classified right, in 0..1.

    Classes without images are passed over. This is the balanced accuracy of scikit-learn.
    """

    def __init__(self, classes, name="mean_class_recall"):
        """Begin without images.

        Args:
            classes: number of classes.
            name: key of the result in the logs of Keras.
        """
        super().__init__(name=name)
        self.classes = classes
        self.images = self.add_variable((classes,), "zeros", name="images")
        self.right = self.add_variable((classes,), "zeros", name="right")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count the images of a batch.

        Args:
            y_true: int labels `[B]` or `[B, 1]`, or those of mixed images, float `[B, 3]`.
            y_pred: logits or probabilities `[B, classes]`.
            sample_weight: `[B]`, 0 for images that are only padding, else 1; None counts all.
        """
        ops = keras.ops
        labels = ops.cast(ops.reshape(choose_labels(y_true), (-1,)), "int32")
        found = ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        rows = ops.one_hot(labels, self.classes, dtype=self.dtype)
        if sample_weight is not None:
            rows *= ops.cast(ops.reshape(sample_weight, (-1, 1)), self.dtype)
        right = ops.cast(ops.expand_dims(ops.equal(labels, found), -1), self.dtype)
        self.images.assign(self.images + ops.sum(rows, axis=0))
        self.right.assign(self.right + ops.sum(rows * right, axis=0))

    def result(self):
        """Return the mean class recall in 0..1; 0 without images."""
        ops = keras.ops
        classes = ops.sum(ops.cast(self.images > 0, self.dtype))
        return ops.sum(self.right / ops.maximum(self.images, 1)) / ops.maximum(classes, 1)
