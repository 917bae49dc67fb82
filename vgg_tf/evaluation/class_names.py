"""Posteriors into words, for any list of classes and without a download."""

import numpy as np

from vgg_tf.records.collection import Collection


def decode_predictions(posteriors, classes, top=5):
    """The most likely classes of each image, in the form of keras.applications.

    Args:
        posteriors: `[B, classes]`, of a network.
        classes: what the network was trained on: a sequence of names in the order of the labels, a
            run or shard folder (its dataset.json), or a `collection.Collection`.
        top: how many of each image; fewer where there are fewer classes.

    Returns:
        a list an image of `(name, text, posterior)`, the most likely first. `text` is the
        description of the class where dataset.json has one, as for synsets, else the name again.

    Raises:
        ValueError: not as many names as posteriors, or posteriors that are not numbers.
    """
    texts = None
    if isinstance(classes, str) or hasattr(classes, "__fspath__"):
        classes = Collection.read(classes)
    if isinstance(classes, Collection):
        classes, texts = classes.classes, classes.texts
    posteriors = np.asarray(posteriors)
    if posteriors.ndim != 2 or posteriors.shape[1] != len(classes):
        raise ValueError(
            f"posteriors are [B, {len(classes)}] for {len(classes)} classes. Received: "
            f"{posteriors.shape}."
        )
    if not np.isfinite(posteriors).all():
        raise ValueError("posteriors has numbers that are none (NaN or infinite).")
    if top < 1:
        raise ValueError(f"top is at least 1. Received: {top}.")
    best = np.argsort(-posteriors, axis=1, kind="stable")[:, :top]
    texts = texts or classes
    return [
        [(classes[i], texts[i], float(row[i])) for i in indices]
        for row, indices in zip(posteriors, best, strict=True)
    ]
