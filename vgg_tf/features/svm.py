"""Linear support vector machines on descriptors, one against the rest (appendix B)."""

import warnings
from dataclasses import dataclass

import numpy as np

from vgg_tf.evaluation import metrics

COSTS = tuple(2.0**k for k in range(-5, 10, 2))  # values of C to choose from
VALIDATION = 0.2  # share of the training images that choose C (appendix B)
TRAIN, TEST = 30, 50  # images per category, for Caltech-101


@dataclass(frozen=True)
class Recalls:
    """Result of one random split of categories.

    Attributes:
        recalls: float64 `[categories]`, in 0..1, of the categories that were tested.
        counts: int64 `[true, predicted]`.
        cost: C of the SVM.
        train: numbers of the training images.
        test: numbers of the test images.
        predicted: predicted categories of the test images.
    """

    recalls: np.ndarray
    counts: np.ndarray
    cost: float
    train: np.ndarray
    test: np.ndarray
    predicted: np.ndarray

    @property
    def mean(self):
        """Mean class recall, in 0..1."""
        return float(self.recalls.mean())


def run_caltech(descriptors, labels, seed, train=TRAIN, test=TEST):
    """Train on some images of each category and test on others, drawn at random.

    Args:
        descriptors: float `[n, d]`.
        labels: int `[n]`, from 0; each category has at least 2 images.
        seed: seed of the draw.
        train: training images per category. A category that has no more than these keeps one image
            to test.
        test: maximum number of test images per category.

    Returns:
        `Recalls`.

    Raises:
        ValueError: a category has fewer than 2 images.
    """
    labels = np.asarray(labels)
    random, learn, ask = np.random.default_rng(seed), [], []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise ValueError(
                "Each category must have at least 2 images, one to train on and one to test on. "
                f"Received: {len(members)} image of category {label}. Add images, or remove it."
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
    """Return the average precision of each class, for images that may show several classes.

    Args:
        descriptors: float `[n, d]`.
        targets: bool `[n, classes]`.
        learn: int, numbers of the training images.
        ask: int, numbers of the test images.
        seed: seed of the draw of the images that choose C.

    Returns:
        precisions: dict from each form of `metrics.average_precision` to a list with a number in
            0..1 for each class. It is None if all or none of the training images show the class,
            or none of the test images.
        cost: C of the SVM, the same for all classes. It has the highest mean average precision on
            a fifth of `learn`.
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
    """Return the mean of the values that are not None; 0 if there are none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else 0.0


def choose_cost(descriptors, labels, seed, measure):
    """Return the C with the best score on a fifth of the images of each category.

    Args:
        descriptors: float `[n, d]`.
        labels: int `[n]`.
        seed: seed of the draw.
        measure: function of labels and predicted labels to a score.

    Returns:
        The lowest of the best values in `COSTS`; 1.0 if each category has one image.
    """
    random, held = np.random.default_rng(seed), []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        held.append(members[: min(len(members) - 1, max(1, round(VALIDATION * len(members))))])
    held = np.concatenate(held)
    if not len(held):  # one image per category leaves nothing to choose C on
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
        # At a high C it may not converge; its score then decides.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LinearSVC(C=cost, random_state=seed).fit(descriptors, labels)
