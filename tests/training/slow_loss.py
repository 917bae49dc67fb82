"""The loss of training by its formula, one image and one class at a time."""

import math


def slow_loss(labels, logits, smoothing, weights):
    """Return the loss of each image in nats, as a list.

    Args:
        labels: int `[n]`.
        logits: `[n, classes]`.
        smoothing: fraction of the target that is spread over all classes.
        weights: factor of each class.
    """
    losses = []
    for label, row in zip(labels, logits, strict=True):
        total, loss = sum(math.exp(value) for value in row), 0.0
        for c, value in enumerate(row):
            target = (1 - smoothing) * (c == label) + smoothing / len(row)
            loss -= target * math.log(math.exp(value) / total)
        losses.append(weights[label] * loss)
    return losses
