"""Class names of the highest probabilities, for any list of classes and without a download."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from vgg_tf.records.collection import Collection
from vgg_tf.runtime import files


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
        [(classes[i], texts[i] or classes[i], float(row[i])) for i in indices]
        for row, indices in zip(posteriors, best, strict=True)
    ]


def read_classes(network, path):
    """Return the classes of a network that the user runs.

    Args:
        network: a `checkpoint.Checkpoint`.
        path: value of --classes: a run or shard folder, or a text file with one name per line.
            Empty for the class names that the network contains, else `class 0`, `class 1` and so
            on.

    Returns:
        classes: class names, in the order of the labels.
        texts: descriptions of the classes; may be empty.

    Raises:
        ValueError: the network contains class names and `path` is not empty, or the number of
            classes differs.
        FileNotFoundError: `path` does not exist.
    """
    if network.classes and path:
        raise ValueError(
            f"--classes must be omitted: {network.path} contains its class names. Received: "
            f"--classes {path}. Remove it."
        )
    if network.classes:
        return network.classes, network.texts
    if not path:
        return tuple(f"class {i}" for i in range(network.number)), ()
    if files.is_folder(path):
        collection = Collection.read(path)
        classes, texts = collection.classes, collection.texts
    else:
        classes, texts = tuple(files.read_text(path).splitlines()), ()
    network.check_classes(classes, path)
    return classes, texts


def describe_classes(classes, texts=()):
    """Return what a person reads instead of the class names.

    Args:
        classes: class names.
        texts: descriptions of the classes, such as words for synsets; may be empty.

    Returns:
        Tuple of str: the descriptions, or the name where a description is empty. A description of
        several classes is followed by the name, such as `crane (n02012849)`.
    """
    if not texts:
        return tuple(classes)
    shown = [text or name for name, text in zip(classes, texts, strict=True)]
    counts = Counter(shown)
    return tuple(
        f"{text} ({name})" if counts[text] > 1 else text
        for name, text in zip(classes, shown, strict=True)
    )
