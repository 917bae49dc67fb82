"""Class names of the highest probabilities, for any list of classes and without a download."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from vgg_tf.records.collection import Collection


def decode_predictions(
    posteriors: np.ndarray,
    classes: Sequence[str] | str | os.PathLike[str] | Collection,
    top: int = 5,
) -> list[list[tuple[str, str, float]]]:
    """Return the most likely classes of each image, in the format of `keras.applications`.

    Args:
        posteriors: probabilities from a network, `[B, classes]`.
        classes: the classes of the network, in the order of the labels: a sequence of names, a run
            or shard folder (with dataset.json), or a `collection.Collection`.
        top: number of classes per image; all classes if there are fewer.

    Returns:
        A list for each image of `(name, text, probability)`, the most likely class first. `text`
        is the description from dataset.json if there is one, as for synsets, else the name.

    Raises:
        ValueError: the shape does not fit the classes, a value is NaN or infinity, or `top` is
            below 1.

    Examples:
        >>> import numpy as np
        >>> from vgg_tf import decode_predictions
        >>> decode_predictions(np.array([[0.1, 0.6, 0.3]]), ["cat", "dog", "owl"], top=2)
        [[('dog', 'dog', 0.6), ('owl', 'owl', 0.3)]]
    """
    texts = None
    if isinstance(classes, str) or hasattr(classes, "__fspath__"):
        classes = Collection.read(classes)
    if isinstance(classes, Collection):
        classes, texts = classes.classes, classes.texts
    posteriors = np.asarray(posteriors)
    if posteriors.ndim != 2 or posteriors.shape[1] != len(classes):
        raise ValueError(
            f"posteriors must have shape [B, {len(classes)}] for {len(classes)} classes. "
            f"Received: {posteriors.shape}. Give the classes that the network was trained on."
        )
    if not np.isfinite(posteriors).all():
        bad = int((~np.isfinite(posteriors)).any(1).sum())
        raise ValueError(
            f"posteriors must be finite. Received: NaN or infinity in {bad} of {len(posteriors)} "
            "rows. Check the weights and the precision of the network."
        )
    if top < 1:
        raise ValueError(f"top must be at least 1. Received: {top}. Try top=5.")
    best = np.argsort(-posteriors, axis=1, kind="stable")[:, :top]
    texts = texts or classes
    return [
        [(classes[i], texts[i], float(row[i])) for i in indices]
        for row, indices in zip(posteriors, best, strict=True)
    ]
