"""Metrics compared with loops over images, formulas, and cases by hand."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from vgg_tf.evaluation import metrics

CLASSES = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu"]


@pytest.fixture(scope="module")
def case():
    """300 images of six of seven classes; a third of them have ties."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 6, 300)
    logits = random.normal(size=(300, 7)) + 1.5 * np.eye(7)[labels]
    logits[:100] = np.round(logits[:100])
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True), labels


@pytest.fixture(scope="module")
def found(case):
    return metrics.compute_metrics(*case, CLASSES)


def in_order(row):
    """Return the classes by probability; the lower label comes first in ties."""
    return sorted(range(len(row)), key=lambda i: (-row[i], i))


def test_errors_equal_those_of_a_loop_that_sorts_each_row(case, found):
    posteriors, labels = case
    for k in (1, 5):
        wrong = [
            label not in in_order(row)[:k] for row, label in zip(posteriors, labels, strict=True)
        ]
        assert found[f"top{k}_error"] == pytest.approx(100 * np.mean(wrong))
        for i in range(6):
            assert found["per_class"][i][f"top{k}_error"] == pytest.approx(
                100 * np.mean(np.array(wrong)[labels == i])
            )
    assert [metrics.rank_labels(posteriors, labels)[i] for i in range(300)] == [
        in_order(row).index(label) for row, label in zip(posteriors, labels, strict=True)
    ]
    assert found["loss"] == pytest.approx(
        np.mean([-np.log(row[label]) for row, label in zip(posteriors, labels, strict=True)])
    )


@pytest.mark.parametrize(("wrong", "n"), [(10, 100), (0, 40), (40, 40), (812, 10_000)])
def test_the_interval_is_the_wilson_interval(wrong, n):
    z, p = 1.959963984540054, wrong / n
    middle, half = (
        (p + z**2 / (2 * n)) / (1 + z**2 / n),
        z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)),
    )
    assert metrics.compute_interval(wrong, n) == pytest.approx(
        [100 * (middle - half), 100 * (middle + half)], abs=1e-9
    )
    if (wrong, n) == (10, 100):
        assert metrics.compute_interval(wrong, n) == pytest.approx([5.52, 17.44], abs=0.005)


def test_precision_recall_and_f1_equal_those_of_counting(case, found):
    posteriors, labels = case
    said = np.array([in_order(row)[0] for row in posteriors])
    rows = []
    for i in range(7):
        hits, taken, there = sum((said == i) & (labels == i)), sum(said == i), sum(labels == i)
        precision, recall = hits / taken if taken else 0, hits / there if there else 0
        rows.append(
            (precision, recall, 2 * precision * recall / (precision + recall) if hits else 0, there)
        )
        assert [
            found["per_class"][i][key] for key in ("precision", "recall", "f1")
        ] == pytest.approx(rows[-1][:3])
    of_six = np.array(rows)[:6]
    assert list(found["macro"].values()) == pytest.approx(of_six[:, :3].mean(0))
    assert list(found["weighted"].values()) == pytest.approx(
        (of_six[:, :3] * of_six[:, 3:]).sum(0) / 300
    )
    assert found["mean_class_recall"] == found["macro"]["recall"]


def test_a_class_without_images_has_no_metrics_and_is_excluded_from_means(case, found):
    gnu = found["per_class"][6]
    assert gnu["class"] == "gnu"
    assert gnu["n"] == 0
    assert {gnu[key] for key in ("top1_error", "top1_interval", "top5_error", "auc")} == {None}
    assert found["auc_macro"] == pytest.approx(
        np.mean([row["auc"] for row in found["per_class"][:6]])
    )


def test_the_area_is_the_fraction_of_pairs_in_the_right_order(case, found):
    posteriors, labels = case
    for i in range(6):
        inside, outside = posteriors[labels == i, i], posteriors[labels != i, i]
        pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in inside for b in outside]
        assert found["per_class"][i]["auc"] == pytest.approx(np.mean(pairs))
        false, true = metrics.compute_roc(posteriors[:, i], labels == i)
        assert np.trapezoid(true, false) == pytest.approx(np.mean(pairs))


def test_calibration_matches_scikit_learn_and_its_error_a_case_by_hand(case, found):
    posteriors, labels = case
    right = posteriors.argmax(1) == labels
    accuracy, confidence = calibration_curve(right, posteriors.max(1), n_bins=metrics.BINS)
    bins = found["calibration"]["bins"]
    assert [row["accuracy"] for row in bins] == pytest.approx(accuracy)
    assert [row["confidence"] for row in bins] == pytest.approx(confidence)
    assert sum(row["n"] for row in bins) == 300
    by_hand = metrics.measure_calibration(
        np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.0, 1.0]]), np.array([0, 1, 1, 1])
    )
    assert by_hand["ece"] == pytest.approx((2 * abs(0.9 - 0.5) + abs(0.6 - 0) + 0) / 4)


def test_confusions_and_mistakes_are_sorted_in_descending_order():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    said = np.array([0, 1, 1, 2, 1, 0, 2, 2])
    sure = np.array([0.9, 0.8, 0.6, 0.99, 0.9, 0.7, 0.9, 0.9])
    posteriors = np.full((8, 3), 0.0)
    posteriors[:] = (1 - sure[:, None]) / 2
    posteriors[np.arange(8), said] = sure
    np.testing.assert_array_equal(
        metrics.count_confusion(labels, said, 3), [[1, 2, 1], [1, 1, 0], [0, 0, 2]]
    )
    found = metrics.compute_metrics(posteriors, labels, ["a", "b", "c"])["confused"]
    assert found[0] == {"true": "a", "predicted": "b", "n": 2, "share": 0.5}
    assert [(row["true"], row["predicted"]) for row in found[1:]] == [("a", "c"), ("b", "a")]
    assert metrics.find_worst_mistakes(posteriors, labels, 3).tolist() == [3, 1, 5]
    assert metrics.find_worst_mistakes(posteriors, labels, 9).tolist() == [3, 1, 5, 2]


@pytest.mark.parametrize(
    ("posteriors", "labels", "message"),
    [
        (
            np.full((2, 2), np.nan),
            [0, 1],
            r"posteriors must be finite. Received: NaN or infinity in 2 rows, first in row 0",
        ),
        (
            np.full((2, 3), 1 / 3),
            [0, 1],
            r"must have shape \[2, 2\] for 2 labels and 2 classes.*Received: \(2, 3\)",
        ),
        (np.full((0, 2), 0.5), [], r"at least one row. Received: \(0, 2\)"),
        (np.full((2, 2), 0.5), [0, 2], "labels must be between 0 and 1. Received: 0 to 2"),
    ],
)
def test_invalid_probabilities_and_labels_are_refused(posteriors, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.compute_metrics(posteriors, labels, ["a", "b"])


# Ten answers, the most confident first, and which of them are right.
RIGHT = np.array([1, 0, 1, 1, 0, 0, 1, 0, 0, 0], bool)
SCORES = np.arange(10, 0, -1.0)


def test_average_precision_of_a_case_by_hand():
    # Recalls 1/4, 2/4, 3/4, 4/4 at precisions 1, 2/3, 3/4, 4/7; made monotonic: 1, 3/4, 3/4, 4/7.
    assert metrics.average_precision(SCORES, RIGHT) == pytest.approx(
        (1 + 3 / 4 + 3 / 4 + 4 / 7) / 4
    )
    # Recalls 0, .1, .2 | .3, .4, .5 | .6, .7 | .8, .9, 1.
    assert metrics.average_precision(SCORES, RIGHT, "11-point") == pytest.approx(
        (3 * 1 + 5 * 3 / 4 + 3 * 4 / 7) / 11
    )


@pytest.mark.parametrize("form", ["area", "11-point"])
def test_average_precision_is_1_for_a_perfect_order_and_the_fraction_for_ties(form):
    assert metrics.average_precision(SCORES, SCORES > 6, form) == 1
    assert metrics.average_precision(np.zeros(10), RIGHT, form) == pytest.approx(0.4)
    assert metrics.average_precision(SCORES, np.zeros(10, bool), form) is None


def test_average_precision_refuses_an_unknown_form():
    with pytest.raises(ValueError, match=r"'area' or '11-point'. Received: '10-point'"):
        metrics.average_precision(SCORES, RIGHT, "10-point")
