"""Trackers receive every epoch of the log once, and do not affect training."""

import json
import os
import shutil

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.making import QUICK, call, needs_jax, shallow, shallow_program
from tests.making_survivals import noise_batches
from tests.runs.reading_charts import (
    TENSORBOARD,
    WANDB,
    in_float32,
    log,
    only,
    tensorboard,
    wandb_records,
    wandb_rows,
)
from vgg_tf import build_vgg
from vgg_tf.paper.recipes import Recipe
from vgg_tf.runs import run_folder, tracking
from vgg_tf.runs.settings import Settings
from vgg_tf.training import loop

RECIPE = Recipe(
    epochs=3, batch_size=8, learning_rate=0.02, patience=1, size=32, scale=(32, 32), seed=5
)


class StopError(Exception):
    pass


def train(folder, words="", stop_after=None):
    """Train for three epochs of two steps, or stop after an epoch. Return the printed lines."""
    lines = []

    def say(line):
        lines.append(line)
        if line.startswith(f"epoch {stop_after}/"):
            raise StopError

    batches, validation = noise_batches()
    settings = Settings("shallow", "noise", "0" * 16, "float32", RECIPE)
    keras.utils.set_random_seed(RECIPE.seed)
    with (
        run_folder.open_run(folder, settings) as run,
        tracking.open_trackers(words, run, lines.append) as track,
        shallow(),
    ):
        shape = {"input_shape": (32, 32, 3), "classes": 2, "width": 0.0625, "head_width": 16}
        model = build_vgg("shallow", **shape, std=(75,) * 3, seed=RECIPE.seed)
        feed = loop.Feed(2, 8, lambda epoch: batches, validation)
        loop.train(run, model, feed, loop.Hooks(say, track=track))
    return lines


@pytest.fixture(scope="module")
def plain(once):
    """A run without trackers."""
    return once("plain_training", lambda folder: train(folder / "run")) / "run"


@pytest.fixture(scope="module")
def tracked(once):
    """The same run with both trackers, interrupted after two epochs and continued.

    It costs two training runs, and starts W&B's service twice.
    """

    def make(folder):
        with pytest.raises(StopError):
            train(folder / "run", "tensorboard,wandb", stop_after=2)
        train(folder / "run", "wandb, tensorboard")

    return once("tracked_training", make) / "run"


@pytest.mark.slow
def test_an_interrupted_run_continues_its_charts_with_every_epoch_once(tracked):
    rows = log(tracked)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert tensorboard(tracked) == {
        split: in_float32(rows, names) for split, names in TENSORBOARD.items()
    }

    sessions = wandb_records(tracked)
    sent = [{name: row[column] for name, column in WANDB.items()} for row in rows]
    assert [wandb_rows(records) for records in sessions] == [sent[:2], sent[2:]]
    assert [only(records, "exit")[0].exit_code for records in sessions] == [1, 0]
    starts = [only(records, "run")[0] for records in sessions]
    assert [(start.run_id, start.project, start.display_name) for start in starts] == [
        (starts[0].run_id, "vgg_tf", "run")
    ] * 2
    config = {item.key: json.loads(item.value_json) for item in starts[0].config.update}
    settings = run_folder.read_run(tracked).settings.to_json()
    assert {name: config[name] for name in settings} == json.loads(json.dumps(settings))
    assert ("epoch/*", "epoch/epoch") in [
        (metric.glob_name, metric.step_metric) for metric in only(sessions[0], "metric")
    ]


def test_training_with_trackers_gives_the_same_weights_as_without(plain, tracked):
    states = [load_file(folder / run_folder.LAST) for folder in (plain, tracked)]
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][key], states[1][key]) for key in states[0])
    assert not {"tensorboard", "wandb"} & {path.name for path in plain.iterdir()}


def test_a_tracker_that_starts_later_receives_all_epochs(plain, tmp_path):
    folder = shutil.copytree(plain, tmp_path / "run")
    train(folder, "tensorboard")
    rows = log(folder)
    assert tensorboard(folder) == {
        split: in_float32(rows, names) for split, names in TENSORBOARD.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tensorflow", pytest.param("jax", marks=needs_jax)])
@pytest.mark.usefixtures("shallow_known")
def test_the_program_tracks_on_both_engines(tmp_path, engine, monkeypatch):
    # TensorFlow: in this process. JAX: in a child process; there the learning rate of a schedule is
    # an array without .numpy(), which W&B's callback calls.
    monkeypatch.chdir(tmp_path)
    words = "vgg_tf.train --arch shallow --smoke --track tensorboard,wandb --out run".split()
    if engine == "jax":
        result = shallow_program(
            *words, env=os.environ | {"KERAS_BACKEND": engine, "JAX_PLATFORMS": "cpu"} | QUICK
        )
    else:
        result = call(*words)
    assert result.returncode == 0, result.stderr
    assert "--track" not in result.stdout
    rows = log(tmp_path / "run")
    assert len({row["learning_rate"] for row in rows}) == len(rows) == 2
    # The digits have unequal classes.
    recall = {"epoch_mean_class_recall": "validation_recall"}
    charts = TENSORBOARD | {"validation": TENSORBOARD["validation"] | recall}
    assert tensorboard(tmp_path / "run") == {
        split: in_float32(rows, names) for split, names in charts.items()
    }
    columns = WANDB | {"epoch/val_mean_class_recall": "validation_recall"}
    (records,) = wandb_records(tmp_path / "run")
    assert wandb_rows(records) == [
        {name: row[column] for name, column in columns.items()} for row in rows
    ]
