"""Metrics of probabilities and labels.

Errors with intervals, precision and recall, ROC curves, calibration, confusion and mistakes.
"""

import warnings

import numpy as np

from vgg_tf.runs.results import compute_interval

BINS = 15  # of the calibration curve, as in Guo et al. 2017 (arXiv:1706.04599)
CONFUSED = 20  # pairs of classes in a report
TINY = 1e-38  # lower bound of probabilities in the loss, which keeps it finite


def compute_metrics(posteriors, labels, classes):
    """Return all metrics of a test.

    Args:
        posteriors: probabilities `[n, classes]`; each row sums to 1.
        labels: int `[n]`, from 0.
        classes: class names.

    Returns:
        Dict of values that JSON can hold. Errors are in %, each with its 95 % interval (Wilson).
        The loss is in nats. All other rates are in 0..1. Values that a class without images cannot
        have are None; such a class is not part of the means over classes.

    Raises:
        ValueError: a probability is NaN or infinity, or the shapes or labels do not fit.
    """
    from sklearn.metrics import precision_recall_fscore_support

    posteriors, labels = check_posteriors(posteriors, labels, classes)
    n, every = len(labels), np.arange(len(classes))
    places, predicted = rank_labels(posteriors, labels), posteriors.argmax(1)
    counts = np.bincount(labels, minlength=len(classes))
    wrong = [np.bincount(labels, places >= k, len(classes)) for k in (1, 5)]
    columns = precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)[:3]
    areas = [compute_area(posteriors[:, i], labels == i) for i in every]
    there = counts > 0
    return {
        "n": n,
        "classes": len(classes),
        **_error("top1", int(wrong[0].sum()), n),
        **_error("top5", int(wrong[1].sum()), n),
        "loss": float(-np.log(np.maximum(posteriors[np.arange(n), labels], TINY)).mean()),
        "mean_class_recall": float(columns[1][there].mean()),
        "macro": _means(columns, there / there.sum()),
        "weighted": _means(columns, counts / n),
        "auc_macro": float(np.mean(known))
        if (known := [value for value in areas if value is not None])
        else None,
        "calibration": measure_calibration(posteriors, labels),
        "confused": _list_confused(labels, predicted, classes),
        "per_class": [
            {
                "class": name,
                "n": int(counts[i]),
                "top1_error": 100 * float(wrong[0][i] / counts[i]) if counts[i] else None,
                "top1_interval": compute_interval(int(wrong[0][i]), int(counts[i]))
                if counts[i]
                else None,
                "top5_error": 100 * float(wrong[1][i] / counts[i]) if counts[i] else None,
                **{
                    key: float(column[i])
                    for key, column in zip(("precision", "recall", "f1"), columns, strict=True)
                },
                "auc": areas[i],
            }
            for i, name in enumerate(classes)
        ],
    }


def check_posteriors(posteriors, labels, classes):
    """Check the shape and values of probabilities and labels.

    Args:
        posteriors: probabilities `[n, classes]`.
        labels: int `[n]`, from 0.
        classes: class names.

    Returns:
        posteriors: float64 `[n, classes]`.
        labels: int `[n]`.

    Raises:
        ValueError: the shapes do not fit, a value is NaN or infinity, or a label is out of range.
    """
    posteriors, labels = np.float64(posteriors), np.asarray(labels)
    if posteriors.shape != (len(labels), len(classes)) or not len(labels):
        raise ValueError(
            f"posteriors must have shape [{len(labels)}, {len(classes)}] for {len(labels)} labels "
            f"and {len(classes)} classes, with at least one row. Received: {posteriors.shape}. "
            "Give one row per label."
        )
    bad = np.flatnonzero(~np.isfinite(posteriors).all(1))
    if len(bad):
        raise ValueError(
            f"posteriors must be finite. Received: NaN or infinity in {len(bad)} rows, first in "
            f"row {bad[0]}. Check the weights and the precision of the network."
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f"labels must be between 0 and {len(classes) - 1}. Received: {labels.min()} to "
            f"{labels.max()}. Number the {len(classes)} classes from 0."
        )
    return posteriors, labels


def rank_labels(posteriors, labels):
    """Return the rank of each image's label among its probabilities.

    Of equal probabilities, the one of the lower label comes first.

    Args:
        posteriors: probabilities `[n, classes]`.
        labels: int `[n]`, from 0.

    Returns:
        Int `[n]`, 0 for the most likely class.
    """
    own = posteriors[np.arange(len(labels)), labels][:, np.newaxis]
    before = np.arange(posteriors.shape[1]) < np.asarray(labels)[:, np.newaxis]
    return ((posteriors > own) | ((posteriors == own) & before)).sum(1)


def compute_area(posteriors, positive):
    """Return the area under the ROC curve of one class against all others.

    Args:
        posteriors: probabilities of the class, `[n]`.
        positive: bool `[n]`, whether an image belongs to the class.

    Returns:
        The area in 0..1; None if all images or no images belong to the class.
    """
    from sklearn.metrics import roc_auc_score

    return (
        float(roc_auc_score(positive, posteriors)) if 0 < positive.sum() < len(positive) else None
    )


def compute_roc(posteriors, positive):
    """Return the ROC curve of one class against all others.

    Args:
        posteriors: as for `compute_area`.
        positive: as for `compute_area`.

    Returns:
        The false and the true positive rates, float64 `[points]` each, in 0..1.
    """
    from sklearn.metrics import roc_curve

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return roc_curve(positive, posteriors)[:2]


def count_confusion(labels, predicted, classes):
    """Return the confusion matrix: counts, int64 `[true, predicted]`."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(labels, predicted, labels=np.arange(classes))


def measure_calibration(posteriors, labels):
    """Compare the probability of the most likely class with how often that class is correct.

    Args:
        posteriors: probabilities `[n, classes]`.
        labels: int `[n]`, from 0.

    Returns:
        Dict of two entries. `ece` is the expected calibration error in 0..1, the mean difference
        of confidence and accuracy over the images. `bins` lists the bins that hold images.
        Each has its mean `confidence` and its `accuracy`, both in 0..1, and `n` images.
    """
    confidence, right = posteriors.max(1), posteriors.argmax(1) == labels
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    n, sums, hits = (np.bincount(bin_of, weights, BINS) for weights in (None, confidence, right))
    some = n > 0
    confidences, accuracies = sums[some] / n[some], hits[some] / n[some]
    return {
        "ece": float((np.abs(confidences - accuracies) * n[some]).sum() / n.sum()),
        "bins": [
            {"confidence": float(c), "accuracy": float(a), "n": int(m)}
            for c, a, m in zip(confidences, accuracies, n[some], strict=True)
        ],
    }


def average_precision(scores, positive, form="area"):
    """Return the average precision of one class, as Pascal VOC defines it.

    Images of equal scores form one step, so their order does not matter.

    Args:
        scores: float `[n]`, higher for more confident.
        positive: bool `[n]`.
        form: `area` is the area under the precision, made monotonic (VOC 2010 and later).
            `11-point` is the mean of the precision at recalls of 0, 0.1, ... 1 (VOC 2007).

    Returns:
        A number in 0..1; None if nothing is positive.

    Raises:
        ValueError: `form` is something else.
    """
    scores, positive = np.float64(scores), np.asarray(positive, bool)
    if not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # the last of equal scores
    hits = np.cumsum(positive[order])[last]
    recall, precision = hits / positive.sum(), hits / (1 + np.flatnonzero(last))
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or a higher one
    if form == "area":
        return float((np.diff(recall, prepend=0) * best).sum())
    if form != "11-point":
        raise ValueError(f"form must be 'area' or '11-point'. Received: {form!r}. Try 'area'.")
    places = np.searchsorted(recall, np.arange(11) / 10 - 1e-9)  # 0.1 * 3 is more than 3 / 10
    return float(np.append(best, 0.0)[places].mean())


def find_worst_mistakes(posteriors, labels, n):
    """Return the images that are classified wrongly with the highest probability.

    Args:
        posteriors: probabilities `[n, classes]`.
        labels: int `[n]`, from 0.
        n: maximum number of images.

    Returns:
        Int, numbers of up to `n` images, the highest probability first.
    """
    predicted = posteriors.argmax(1)
    mistakes = np.flatnonzero(predicted != labels)
    return mistakes[np.argsort(-posteriors[mistakes].max(1), kind="stable")][:n]


def _error(name, wrong, n):
    return {f"{name}_error": 100 * wrong / n, f"{name}_interval": compute_interval(wrong, n)}


def _means(columns, weights):
    return {
        key: float(column @ weights)
        for key, column in zip(("precision", "recall", "f1"), columns, strict=True)
    }


def _list_confused(labels, predicted, classes):
    """Return the pairs of classes that are confused most often, without a matrix of all pairs."""
    wrong = labels != predicted
    pairs, counts = np.unique(labels[wrong] * len(classes) + predicted[wrong], return_counts=True)
    return [
        {
            "true": classes[pairs[i] // len(classes)],
            "predicted": classes[pairs[i] % len(classes)],
            "n": int(counts[i]),
            "share": float(counts[i] / (labels == pairs[i] // len(classes)).sum()),
        }
        for i in np.argsort(-counts, kind="stable")[:CONFUSED]
    ]
