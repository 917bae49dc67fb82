"""Linear SVMs and the protocols of appendix B."""

import numpy as np
import pytest

from vgg_tf.features import svm


def blobs(n, classes=3, spread=0.05, seed=0):
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), n)
    rows = np.eye(classes, 8)[labels] + random.normal(0, spread, (len(labels), 8))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def test_caltech_splits_have_disjoint_training_and_test_images_of_each_category():
    rows, labels = blobs(20)
    found = svm.run_caltech(rows, labels, seed=1, train=12, test=5)
    assert np.bincount(labels[found.train]).tolist() == [12] * 3
    assert np.bincount(labels[found.test]).tolist() == [5] * 3
    assert not set(found.train) & set(found.test)
    assert found.mean == 1.0
    other = svm.run_caltech(rows, labels, seed=2, train=12, test=5)
    assert set(found.test) != set(other.test)


def test_a_small_category_keeps_one_image_to_test():
    rows, labels = blobs(20)
    some = np.append(np.arange(40), 40 + np.arange(2))
    found = svm.run_caltech(rows[some], labels[some], seed=0, train=12, test=5)
    assert np.bincount(labels[some][found.test]).tolist() == [5, 5, 1]
    with pytest.raises(ValueError, match="Received: 1 image of category 2"):
        svm.run_caltech(rows[:41], labels[:41], seed=0)


def test_mean_class_recall_weights_categories_equally():
    rows, labels = blobs(40)
    rows = np.where(
        (labels == 2)[:, None], rows[::-1][:1], rows
    )  # all images of the third category equal one of the first
    rows[labels == 2] = rows[0]
    found = svm.run_caltech(rows, labels, seed=0, train=10, test=30)
    by_hand = np.mean([(found.predicted[labels[found.test] == k] == k).mean() for k in range(3)])
    assert found.mean == pytest.approx(by_hand)
    assert found.counts.sum() == len(found.test)


@pytest.mark.parametrize("present", [(1, 2, 3), (0, 1, 3), (0, 2, 3)])
def test_a_category_without_pictures_does_not_change_other_recalls(present):
    rows, labels = blobs(8)
    found = svm.run_caltech(rows, np.array(present)[labels], seed=0, train=5, test=3)
    assert found.recalls.tolist() == [1.0, 1.0, 1.0]


def test_c_is_chosen_on_a_held_out_part_of_the_training_images():
    asked = []

    def measure(labels, predicted):
        asked.append(len(labels))
        return float(len(asked) == 3)  # the third C is the best

    rows, labels = blobs(10)
    assert svm.choose_cost(rows, labels, 0, measure) == svm.COSTS[2]
    assert asked == [6] * len(svm.COSTS)


def test_voc_scores_each_class_of_pictures_that_show_several():
    rows, labels = blobs(30, classes=4)
    targets = np.eye(4, dtype=bool)[labels]
    targets[:, 1] |= targets[:, 0]  # images of class 0 also show class 1
    ask = np.arange(0, len(rows), 3)
    found, cost = svm.run_voc(rows, targets, np.setdiff1d(np.arange(len(rows)), ask), ask)
    assert cost in svm.COSTS
    for form in ("area", "11-point"):
        assert found[form] == pytest.approx([1.0] * 4)
    targets[:, 3] = False
    assert (
        svm.run_voc(rows, targets, np.setdiff1d(np.arange(len(rows)), ask), ask)[0]["area"][3]
        is None
    )
