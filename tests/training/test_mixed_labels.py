"""Loss and errors of mixed images; a resumed run sees the same mixtures."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from tests.making import QUICK, ROOT, TINY, call, needs_jax, shallow, undrawn
from tests.making_survivals import same_bits
from tests.training.making_mixed import CLASSES, WEIGHTS, draw, train
from tests.training.slow_loss import slow_loss
from vgg_tf.evaluation import metrics as reported
from vgg_tf.training.class_balance import MeanClassRecall
from vgg_tf.training.cross_entropy import (
    choose_labels,
    make_cross_entropy,
    make_metrics,
    rank_labels,
)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_loss_of_mixed_images_is_that_of_a_slow_loop_with_both_labels(smoothing, weights):
    labels, logits = draw()
    factors = weights or [1] * CLASSES
    own, other = (slow_loss(labels[:, i].astype(int), logits, smoothing, factors) for i in (0, 1))
    expected = labels[:, 2] * own + (1 - labels[:, 2]) * other
    found = make_cross_entropy(smoothing, weights)(labels, logits)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_loss_of_images_mixed_with_themselves_is_that_of_plain_labels():
    labels, logits = draw()
    labels[:, 1] = labels[:, 0]
    loss = make_cross_entropy(0.1, WEIGHTS)
    plain = loss(labels[:, 0].astype(np.int32), logits)
    np.testing.assert_allclose(loss(labels, logits), plain, rtol=1e-6)


def test_equal_scores_count_the_same_in_the_log_and_in_reports():
    random = np.random.default_rng(0)
    scores = random.integers(0, 3, (200, 9)).astype(np.float32)  # mostly ties
    labels = random.integers(0, 9, 200).astype(np.int32)
    found = np.asarray(rank_labels(labels, scores))
    np.testing.assert_array_equal(found, reported.rank_labels(scores, labels))
    slow = [
        sorted(range(9), key=lambda c: (-row[c], c)).index(i)
        for row, i in zip(scores, labels, strict=True)
    ]
    assert found.tolist() == slow
    scores[:, 4] = np.nan
    assert not (np.asarray(rank_labels(labels, scores)) == 0)[labels != 4].any()


def test_metrics_count_the_label_with_the_larger_share():
    labels, logits = draw()
    larger = np.where(labels[:, 2] >= 0.5, labels[:, 0], labels[:, 1]).astype(np.int32)
    np.testing.assert_array_equal(choose_labels(labels), larger)
    assert choose_labels(larger) is larger
    mask = np.float32(np.arange(30) < 27)
    metrics = [*make_metrics(), MeanClassRecall(CLASSES)]
    found = {}
    for form in (labels, larger, larger[:, np.newaxis]):
        for metric in metrics:
            metric.reset_state()
            metric.update_state(form, logits, mask)
            found.setdefault(metric.name, []).append(float(metric.result()))
    order = np.argsort(-logits, axis=1)[:27]
    right = order == larger[:27, np.newaxis]
    nats = slow_loss(larger[:27], logits[:27], 0.0, [1] * CLASSES)
    recall = balanced_accuracy_score(larger[:27], order[:, 0])
    assert found["top1"] == pytest.approx([right[:, 0].mean()] * 3)
    assert found["top5"] == pytest.approx([right[:, :5].any(1).mean()] * 3)
    assert found["mean_class_recall"] == pytest.approx([recall] * 3)
    assert found["cross_entropy"][1:] == pytest.approx([np.mean(nats)] * 2, rel=1e-5)
    mixed = np.mean(make_cross_entropy()(labels[:27], logits[:27]))
    assert found["cross_entropy"][0] == pytest.approx(float(mixed), rel=1e-5)


# 8 s: two networks are traced. `tests/images/test_mixing.py` has this claim for batches alone.
@pytest.mark.slow
def test_a_resumed_run_sees_the_same_mixtures_and_ends_with_the_same_bits(
    pictures_folder, tmp_path, monkeypatch
):
    undrawn(monkeypatch)
    words = "--arch shallow --strategy cpu --precision float32 --recipe cifar --epochs 2 --mixup"
    words = [*words.split(), "0.4", "--cutmix", "1", "--batch-size", "8", "--accumulate", "2"]
    words += ["--class-weights", "balanced", "--hold-out", "0", "--data", pictures_folder, *TINY]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with shallow():
        first = call("vgg_tf.train", *words, "--out", whole)
        assert first.returncode == 0, first.stderr
        shutil.copytree(whole, parts)
        for name in ("last.safetensors", "model.keras", "report.json"):  # as a kill in epoch 2
            (parts / name).unlink()
        again = call("vgg_tf.train", *words, "--out", parts)
    assert "continuing after epoch 1" in again.stdout, again.stderr
    assert same_bits(whole, parts)
    texts = [(run / "log.csv").read_text().splitlines() for run in (whole, parts)]
    logs = [list(csv.DictReader(lines)) for lines in texts]
    for one, other in zip(*logs, strict=True):
        assert (one["loss"], one["train_error"]) == (other["loss"], other["train_error"])
    assert "check of one batch: ok" in first.stdout


@needs_jax
@pytest.mark.slow
def test_both_engines_train_on_mixed_labels_with_the_same_losses_and_errors():
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"} | QUICK
    words = [sys.executable, "-m", "tests.training.making_mixed"]
    result = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-3000:]
    engine, *others = json.loads(result.stdout.splitlines()[-1])
    assert engine == "jax"
    for values, found in zip(train()[1:], others, strict=True):
        assert found.keys() == values.keys()
        for name, numbers in values.items():
            assert found[name] == pytest.approx(numbers, rel=1e-4), name
