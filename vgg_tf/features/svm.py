"""Linear support vector machines on descriptors, one against the rest, and the protocols of
appendix B.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from vgg_tf.evaluation import metrics

COSTS = tuple(2.0**k for k in range(-5, 10, 2))  # C of the SVM that are tried
VALIDATION = 0.2  # share of the training part that chooses among them (appendix B)
TRAIN, TEST = 30, 50  # images a category, of Caltech-101


@dataclass(frozen=True)
class Recalls:
    """What a random split of categories gave.

    Attributes:
        recalls: float64 `[categories]`, of the categories that were asked for, 0..1.
        counts: int64 `[true, predicted]`.
        cost: C of the SVM.
        test: numbers of the images that were tested, and `predicted`, their categories.
        train: numbers of the images that were trained on.
    """

    recalls: np.ndarray
    counts: np.ndarray
    cost: float
    train: np.ndarray
    test: np.ndarray
    predicted: np.ndarray

    @property
    def mean(self):
        """Mean class recall, 0..1."""
        return float(self.recalls.mean())


def run_caltech(descriptors, labels, seed, train=TRAIN, test=TEST):
    """Train on some images of each category, test on others, drawn by chance.

    Args:
        descriptors: float `[n, d]`.
        labels: int `[n]`, 0-based; each category has 2 images at least.
        seed: of the draw.
        train: images of each category to train on; one with fewer than one more gives all but one.
        test: images of each category to test on, at most.

    Returns:
        `Recalls`.
    """
    labels = np.asarray(labels)
    random, learn, ask = np.random.default_rng(seed), [], []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise ValueError(
                f"category {label} has {len(members)} image: one to train on and one to test on "
                "are needed."
            )
        n = min(train, len(members) - 1)
        learn.append(members[:n])
        ask.append(members[n : n + test])
    learn, ask = np.concatenate(learn), np.concatenate(ask)
    cost = choose_cost(descriptors[learn], labels[learn], seed, _mean_recall)
    predicted = _trained(descriptors[learn], labels[learn], cost, seed).predict(descriptors[ask])
    counts = metrics.count_confusion(labels[ask], predicted, labels.max() + 1)
    some = counts.sum(1) > 0
    return Recalls(
        counts.diagonal()[some] / counts.sum(1)[some], counts, cost, learn, ask, predicted
    )


def run_voc(descriptors, targets, learn, ask, seed=0):
    """Average precision of each class, where an image may show several.

    Args:
        descriptors: float `[n, d]`.
        targets: bool `[n, classes]`.
        learn, ask: numbers of the images to train on and to test on.
        seed: of the draw of the part that chooses C.

    Returns:
        precisions: for each form of `metrics.average_precision`, for each class 0..1, or None where
        the images to train on
            are all, or none, of that class, or none of those to test on is.
        cost: C of the SVM, one for all classes: that of the highest mean average precision on a
        fifth of `learn`.
    """

    def values(rows, cost, others, form):
        found = []
        for target in targets.T:
            if target[rows].min() == target[rows].max():
                found.append(None)
                continue
            machine = _trained(descriptors[rows], target[rows], cost, seed)
            found.append(
                metrics.average_precision(
                    machine.decision_function(descriptors[others]), target[others], form
                )
            )
        return found

    order = np.random.default_rng(seed).permutation(learn)
    held = max(1, round(VALIDATION * len(order)))
    reached = {
        cost: average_recalls(values(order[held:], cost, order[:held], "area")) for cost in COSTS
    }
    cost = max(reached, key=reached.get)
    return {form: values(learn, cost, ask, form) for form in ("11-point", "area")}, cost


def average_recalls(values):
    """Mean of those that are no None; 0 without any."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else 0.0


def choose_cost(descriptors, labels, seed, measure):
    """C that gives the best `measure(labels, predicted)` on a fifth of these images, of each
    category; the lowest such.
    """
    random, held = np.random.default_rng(seed), []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        held.append(members[: min(len(members) - 1, max(1, round(VALIDATION * len(members))))])
    held = np.concatenate(held)
    if not len(held):  # an image of each: there is nothing to choose by
        return 1.0
    learn = np.setdiff1d(np.arange(len(labels)), held)
    reached = {
        cost: measure(
            labels[held],
            _trained(descriptors[learn], labels[learn], cost, seed).predict(descriptors[held]),
        )
        for cost in COSTS
    }
    return max(reached, key=reached.get)


def _mean_recall(labels, predicted):
    return np.mean([(predicted[labels == label] == label).mean() for label in np.unique(labels)])


def _trained(descriptors, labels, cost, seed):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    with warnings.catch_warnings():
        # How good it is at a high C, its score tells.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LinearSVC(C=cost, random_state=seed).fit(descriptors, labels)
