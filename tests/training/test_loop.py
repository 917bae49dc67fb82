"""The loop learns, logs, keeps the best network, and stops at a loss of NaN or infinity."""

import csv
import dataclasses
import math

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.training.making_runs import (
    RECIPE,
    StopError,
    compiled,
    masked,
    open_run,
    state_of,
    train,
)
from vgg_tf.runs import run_folder
from vgg_tf.training.model import evaluate

pytestmark = pytest.mark.usefixtures("shallow_throughout", "undrawn_curves")


def test_training_learns_and_keeps_the_best_network(tmp_path):
    recipe = dataclasses.replace(
        RECIPE, epochs=12, average=0.0, dropout=0.0, schedule="one-cycle", warmup=0.25
    )
    state, _ = train(tmp_path / "run", recipe)
    errors = [(row["validation_error"], row["validation_loss"]) for row in state.rows]
    assert state.best == min(errors)
    assert state.best[0] < 40 < errors[0][0]
    assert state.best_epoch == 1 + errors.index(min(errors))
    best = compiled(
        keras.saving.load_model(tmp_path / "run" / "model.keras", compile=False), recipe, 3
    )
    assert evaluate(best, masked(13, 8))["top1_error"] == state.best[0]


def test_the_log_has_one_row_per_epoch_and_the_curve_is_drawn(whole):
    rows = list(csv.DictReader((whole / "log.csv").read_text().splitlines()))
    assert [(float(row["epoch"]), float(row["loss"])) for row in rows] == [
        (row["epoch"], row["loss"]) for row in state_of(whole)["rows"]
    ]
    assert (whole / "history.png").read_bytes()[:4] == b"\x89PNG"


def test_a_loss_of_nan_stops_the_run_and_the_folder_accepts_other_settings(
    tmp_path,
):
    with pytest.raises(
        FloatingPointError,
        match=r"The loss is (nan|inf) at step 3 of epoch 1\..*--learning-rate 1e\+29",
    ):
        train(tmp_path / "run", dataclasses.replace(RECIPE, learning_rate=1e30))
    assert not (tmp_path / "run" / run_folder.LAST).exists()
    assert not (tmp_path / "run" / "model.keras").exists()
    with open_run(tmp_path / "run"):
        assert (
            run_folder.read_run(tmp_path / "run").settings.recipe.learning_rate
            == RECIPE.learning_rate
        )


def test_an_epoch_that_diverges_in_its_last_step_is_not_saved(tmp_path):
    # One step per epoch: the loss before the step is finite, the weights after it are not.
    recipe = dataclasses.replace(RECIPE, batch_size=24, learning_rate=1e39)
    with pytest.raises(FloatingPointError, match=r"not finite after epoch 1\."):
        train(tmp_path / "run", recipe, batch=24, validated=False)
    assert not (tmp_path / "run" / run_folder.LAST).exists()
    assert not (tmp_path / "run" / "model.keras").exists()


def test_a_network_that_fails_the_check_is_refused_unless_the_check_is_off(tmp_path, capsys):
    recipe = dataclasses.replace(RECIPE, initializer="ones", epochs=1)
    with pytest.raises(
        FloatingPointError,
        match=r"The check of one batch failed: explodes at block\d_conv\d: .*auto is safe",
    ):
        train(tmp_path / "run", recipe, arch="vgg11")
    assert not (tmp_path / "run" / run_folder.LAST).exists()

    def first_step(seconds):
        raise StopError("the first step")

    capsys.readouterr()
    with pytest.raises(StopError, match="the first step"):
        train(tmp_path / "run", recipe, arch="vgg11", check=False, heed=first_step)
    assert capsys.readouterr().out.startswith("check of one batch: explodes")


@pytest.mark.slow
def test_averaged_weights_are_saved_and_training_continues_from_the_last_ones(tmp_path):
    # Without validation the last network is the best. With dropout 0 and one step per epoch, the
    # last weights after k epochs equal those of training without averages. The saved network is
    # average_k = average_(k-1) / 2 + weights_k / 2, with average_1 = weights_1.
    recipe = dataclasses.replace(RECIPE, dropout=0.0, batch_size=24)
    average = None
    for k in (1, 2, 3):
        plain, kept = tmp_path / f"plain{k}", tmp_path / f"averaged{k}"
        train(plain, dataclasses.replace(recipe, epochs=k, average=0.0), batch=24, validated=False)
        train(kept, dataclasses.replace(recipe, epochs=k, average=0.5), batch=24, validated=False)
        weights = load_file(plain / run_folder.LAST)["model/0000"]
        np.testing.assert_array_equal(load_file(kept / run_folder.LAST)["model/0000"], weights)
        average = weights if average is None else 0.5 * average + 0.5 * weights
        best = (
            keras.saving.load_model(kept / "model.keras").get_layer("block1_conv1").kernel.numpy()
        )
        np.testing.assert_allclose(best, average, rtol=1e-5)


@pytest.mark.slow
def test_half_precision_trains_with_averaged_weights(tmp_path):
    # mixed_float16 wraps the optimizer in one that scales the loss.
    for policy in ("mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            state, _ = train(
                tmp_path / policy,
                dataclasses.replace(RECIPE, epochs=2, average=0.5),
                arch="shallow",
            )
        finally:
            keras.config.set_dtype_policy("float32")
        assert all(math.isfinite(row["loss"]) for row in state.rows)
