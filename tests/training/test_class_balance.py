"""Class weights act like repeated images; the mean class recall is the balanced accuracy."""

import dataclasses
import json
import re

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from tests.making import TINY, call, noise, save, shallow
from tests.training.making_runs import RECIPE, collection, compiled, masked, pictures
from tests.training.slow_loss import slow_loss
from vgg_tf.training.class_balance import (
    MeanClassRecall,
    are_unequal,
    compute_class_weights,
    describe_balance,
)
from vgg_tf.training.cross_entropy import make_cross_entropy
from vgg_tf.training.model import build, evaluate, make_classification_task

COUNTS = [(5,), (4, 4, 4), (1, 800), (30, 0, 800, 7), (0, 3)]
WEIGHTS = (0.5, 3.0, 0.0, 1.25)


@pytest.fixture(autouse=True, scope="module")
def of_one_convolution():
    with shallow():
        yield


@pytest.mark.parametrize("counts", COUNTS)
def test_all_classes_have_the_same_total_weight_and_the_mean_weight_of_images_is_one(counts):
    weights = compute_class_weights("balanced", counts)
    totals = np.multiply(counts, weights)
    assert totals.sum() == pytest.approx(sum(counts))
    there = np.array(counts) > 0
    np.testing.assert_allclose(totals[there], totals.max())
    assert not np.any(np.array(weights)[~there])
    assert compute_class_weights("none", counts) is None


def test_weights_without_numbers_of_images_are_refused():
    make_classification_task(RECIPE)
    with pytest.raises(ValueError, match=r"--class-weights balanced needs .* Received: \[\]"):
        make_classification_task(dataclasses.replace(RECIPE, class_weights="balanced"))


@pytest.mark.parametrize(
    ("rule", "counts", "note"),
    [
        ("none", (10, 50), None),
        ("none", (0, 50), None),
        ("none", (10, 51), "(10 to 51 images): --class-weights balanced weights the loss"),
        (
            "balanced",
            (2000, 400, 0, 100),
            "(100 to 2,000 images): --class-weights balanced weights the loss by 0.42 to 8.3",
        ),
    ],
)
def test_a_class_of_more_than_five_times_the_smallest_is_noted(rule, counts, note):
    assert describe_balance(rule, counts) == (note and f"classes are unequal {note}")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_with_class_weights_is_that_of_a_slow_loop(smoothing):
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 3, (9, 4)).astype(np.float32), random.integers(0, 4, 9)
    result = make_cross_entropy(smoothing, WEIGHTS)(labels[:, None], logits)
    expected = slow_loss(labels, logits, smoothing, WEIGHTS)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_balanced_weights_make_the_update_of_small_classes_repeated_to_equal_size():
    # 6 images of one class and 2 of another; repeated three times, they are 6 as well.
    # Tolerance: float32 sums in a different order.
    recipe = dataclasses.replace(RECIPE, dropout=0.0, average=0.0)
    images, _ = pictures(8)
    labels = np.int32([0, 3, 0, 0, 0, 3, 0, 0])
    repeated = np.repeat(np.arange(8), np.where(labels == 3, 3, 1))
    weights = compute_class_weights("balanced", np.bincount(labels, minlength=4).tolist())
    start = build("shallow", recipe, collection()).get_weights()
    ends = []
    for order, options in ((np.arange(8), {"weights": weights}), (repeated, {})):
        scores = compiled(build("shallow", recipe, collection()), recipe, 1, **options)
        scores.train_on_batch(images[order], labels[order])
        ends.append(scores.get_weights())
    for one, other, before in zip(*ends, start, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(one - before).max())


def test_weights_change_the_loss_of_a_step_and_no_error():
    recipe = dataclasses.replace(RECIPE, dropout=0.0)
    found, losses = [], []
    for weights in (None, WEIGHTS):
        scores = compiled(build("shallow", recipe, collection()), recipe, 1, weights=weights)
        step = scores.test_on_batch(*pictures(24), return_dict=True)
        losses.append(step.pop("loss"))
        found.append((step, evaluate(scores, masked(13, 8))))
    assert found[0] == found[1]
    assert losses[0] != pytest.approx(losses[1], rel=0.01)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("batch", [1, 8, 64])
@pytest.mark.parametrize("classes", [2, 7, 30])  # of 30 classes, some have no images
def test_the_mean_class_recall_is_the_balanced_accuracy_of_scikit_learn(classes, batch):
    random = np.random.default_rng(classes)
    labels = np.minimum(random.geometric(0.3, 45) - 1, classes - 1).astype(np.int32)
    logits = random.normal(0, 1, (45, classes)) + 2 * np.eye(classes)[labels]
    metric, fill = MeanClassRecall(classes), -45 % batch
    padded = np.pad(logits, ((0, fill), (0, 0))), np.pad(labels, (0, fill))
    mask = np.float32([1] * 45 + [0] * fill)
    for i in range(0, 45, batch):
        some = slice(i, i + batch)
        metric.update_state(padded[1][some], padded[0][some].astype(np.float32), mask[some])
    expected = balanced_accuracy_score(labels, logits.argmax(1))
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


def test_the_recall_of_a_network_is_computed_where_classes_are_unequal():
    entries = {"equal": [4, 0, 4], "unequal": [4, 0, 5]}
    assert [are_unequal(counts) for counts in entries.values()] == [False, True]
    scores = compiled(build("shallow", RECIPE, collection()), RECIPE, 1, recall=True)
    predicted = scores.predict(pictures(13, seed=1)[0], verbose=0).argmax(1)
    expected = balanced_accuracy_score(pictures(13, seed=1)[1], predicted)
    found = evaluate(scores, masked(13, 8))
    assert found["mean_class_recall"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
# 3 s: a network is traced.
def test_a_training_on_unequal_classes_notes_weights_and_reports_them(tmp_path):
    for k, (split, counts) in enumerate({"train": (12, 2), "val": (3, 1), "test": (2, 2)}.items()):
        for c, n in enumerate(counts):
            for i in range(n):
                path = tmp_path / "data" / split / f"c{c}" / f"{i}.png"
                save(path, noise(40, 40, 100 * k + 50 * c + i))
    words = ("--arch", "shallow", "--strategy", "cpu", "--precision", "float32", "--epochs", "1")
    result = call(
        *("vgg_tf.train", "--data", tmp_path / "data", "--out", tmp_path / "run", *words, *TINY),
        *("--class-weights", "balanced"),
    )
    assert result.returncode == 0, result.stderr
    note = "classes are unequal (2 to 12 images): --class-weights balanced weights the loss by "
    assert note + "0.58 to 3.5\n" in result.stdout
    assert re.search(r"epoch 1/1, .* mean class recall [\d.]+ %, rate", result.stdout)
    assert "recall" not in result.stdout.splitlines()[-1]  # the classes of the test split are equal
    header, row = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert header.endswith(",validation_recall")
    assert 0 <= float(row.rpartition(",")[2]) <= 100
    recipe, report = (
        json.loads((tmp_path / "run" / f"{name}.json").read_text()) for name in ("recipe", "report")
    )
    assert recipe["recipe"]["class_weights"] == report["class_weights"] == "balanced"
