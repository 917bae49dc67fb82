"""Posteriors and labels become numbers: errors with intervals, precision and recall, ROC,
calibration, confusions, mistakes.
"""

import warnings

import numpy as np

BINS = 15  # of the calibration curve, as Guo et al. 2017 (arXiv:1706.04599)
CONFUSED = 20  # pairs of classes that are told
TINY = 1e-38  # the smallest posterior that the loss knows


def compute_metrics(posteriors, labels, classes):
    """All numbers that are known of a test.

    Args:
        posteriors: `[n, classes]`, rows of sum 1.
        labels: int `[n]`, 0-based.
        classes: names.

    Returns:
        dict that JSON can hold. Errors are in %, each with its 95 % interval (Wilson's); the loss
        in nats; the other rates 0..1. A class without images has None where it has no number, and
        does not count in the means over classes.

    Raises:
        ValueError: posteriors that are not numbers, or of another shape than the labels and
            classes.
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
        "confused": _confused(count_confusion(labels, predicted, len(classes)), classes),
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
    """The posteriors as float64 and the labels, or a ValueError that says what is wrong with
    them.
    """
    posteriors, labels = np.float64(posteriors), np.asarray(labels)
    if posteriors.shape != (len(labels), len(classes)) or not len(labels):
        raise ValueError(
            f"posteriors are [{len(labels)}, {len(classes)}] for {len(labels)} labels and "
            f"{len(classes)} classes, and at least one. Received: {posteriors.shape}."
        )
    bad = np.flatnonzero(~np.isfinite(posteriors).all(1))
    if len(bad):
        raise ValueError(
            f"{len(bad)} rows of posteriors have numbers that are none (NaN or infinite), first "
            f"row {bad[0]}."
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f"labels are 0 to {len(classes) - 1}. Received: {labels.min()} to {labels.max()}."
        )
    return posteriors, labels


def rank_labels(posteriors, labels):
    """Place of each image's own class among its posteriors, 0 for the most likely; of equal ones
    the lower label is first.
    """
    own = posteriors[np.arange(len(labels)), labels][:, np.newaxis]
    before = np.arange(posteriors.shape[1]) < np.asarray(labels)[:, np.newaxis]
    return ((posteriors > own) | ((posteriors == own) & before)).sum(1)


def compute_interval(wrong, n):
    """Wilson's 95 % interval of an error of `wrong` among `n`, two numbers in %."""
    from scipy.stats import binomtest

    low, high = binomtest(wrong, n).proportion_ci(0.95, method="wilson")
    return [100 * float(low), 100 * float(high)]


def compute_area(posteriors, positive):
    """Area under the ROC curve of one class against all others; None where all images are of one
    side.
    """
    from sklearn.metrics import roc_auc_score

    return (
        float(roc_auc_score(positive, posteriors)) if 0 < positive.sum() < len(positive) else None
    )


def compute_roc(posteriors, positive):
    """ROC curve of one class against all others: false and true positive rate, 0..1, float64
    `[points]` each.
    """
    from sklearn.metrics import roc_curve

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return roc_curve(positive, posteriors)[:2]


def count_confusion(labels, predicted, classes):
    """Counts, int64 `[true, predicted]`."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(labels, predicted, labels=np.arange(classes))


def measure_calibration(posteriors, labels):
    """How often the most likely class is right, against how likely it was said to be.

    Returns:
        dict: `ece`, the expected calibration error 0..1: the mean over the images of what lies
        between the two in their bin; `bins`, for each of `BINS` equal ones that holds images its
        mean `confidence`, its `accuracy` (0..1) and its `n`.
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
    """Average precision of one class, as Pascal-VOC counts it.

    Args:
        scores: float `[n]`, higher for surer.
        positive: bool `[n]`.
        form: `compute_area` under the precision, made to fall (VOC 2010 and later), or `11-point`:
            the mean of the precision at recalls of 0, 0.1, ... 1 (VOC 2007).

    Returns:
        0..1, or None where nothing is positive. Equal scores are one step, so that their order does
        not count.
    """
    scores, positive = np.float64(scores), np.asarray(positive, bool)
    if not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # of each run of equal scores
    hits = np.cumsum(positive[order])[last]
    recall, precision = hits / positive.sum(), hits / (1 + np.flatnonzero(last))
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or a higher one
    if form == "area":
        return float((np.diff(recall, prepend=0) * best).sum())
    if form != "11-point":
        raise ValueError(f"form is 'area' or '11-point'. Received: {form!r}.")
    places = np.searchsorted(recall, np.arange(11) / 10 - 1e-9)  # 0.1 * 3 is more than 3 / 10
    return float(np.append(best, 0.0)[places].mean())


def find_worst_mistakes(posteriors, labels, n):
    """Numbers of up to `n` images whose wrong class was the most likely by the highest
    posterior, that one first.
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


def _confused(counts, classes):
    """The pairs of classes that are taken for each other most often."""
    off = counts * (1 - np.eye(len(counts), dtype=int))
    order = np.argsort(-off, axis=None, kind="stable")[:CONFUSED]
    return [
        {
            "true": classes[i],
            "predicted": classes[j],
            "n": int(off[i, j]),
            "share": float(off[i, j] / counts[i].sum()),
        }
        for i, j in zip(*np.unravel_index(order, off.shape), strict=True)
        if off[i, j]
    ]
