"""What TensorBoard and Weights & Biases are told: the log, every epoch of it, and nothing that changes the training."""

import csv
import dataclasses
import json
import os
import struct
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from tests.test_engines import needs_jax
from tests.test_programs import program
from tests.test_training import TINY, VALIDATION, StopError, batches, collection, open_run
from vgg_tf import runs, tracking, training

RECIPE = dataclasses.replace(TINY, epochs=4)
TENSORBOARD = {  # charts of each of its runs, by the log's columns
    "train": {
        "epoch_loss": "loss",
        "epoch_top1_error": "train_error",
        "epoch_learning_rate": "learning_rate",
        "epoch_images_per_second": "images_per_second",
    },
    "validation": {
        "epoch_loss": "validation_loss",
        "epoch_top1_error": "validation_error",
        "epoch_top5_error": "validation_top5_error",
    },
}
WANDB = {
    "epoch/epoch": "epoch",
    "epoch/loss": "loss",
    "epoch/top1_error": "train_error",
    "epoch/learning_rate": "learning_rate",
    "epoch/images_per_second": "images_per_second",
    "epoch/val_loss": "validation_loss",
    "epoch/val_top1_error": "validation_error",
    "epoch/val_top5_error": "validation_top5_error",
}


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))


def train(folder, words="", stop_after=None, validation=VALIDATION):
    """Four epochs, or an interruption after some of them; gives the lines that were said."""
    lines = []

    def say(line):
        lines.append(line)
        if line.startswith(f"epoch {stop_after}/"):
            raise StopError

    keras.utils.set_random_seed(RECIPE.seed)
    with open_run(folder, RECIPE) as run, tracking.opened(words, run, lines.append) as track:
        model = training.build("vgg11", RECIPE, collection())
        training.train(run, model, 3, 8, lambda e: batches(24, 8, seed=e), validation, say, track=track)
    return lines


def log(folder):
    """The rows of log.csv, as numbers."""
    rows = csv.DictReader((folder / "log.csv").read_text().splitlines())
    return [{name: float(value) for name, value in row.items() if value} for row in rows]


def tensorboard(folder):
    """Charts of TensorBoard's runs: `{run: {chart: [(step, value)]}}`."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    charts = {}
    for path in sorted((folder / "tensorboard").iterdir()):
        if path.is_dir():
            events = EventAccumulator(str(path)).Reload()
            charts[path.name] = {
                name: [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in events.Tensors(name)]
                for name in events.Tags()["tensors"]
            }
    return charts


def wandb_records(folder):
    """What W&B wrote of each session, oldest first: a LevelDB log of protobufs, for which wandb 0.31 has no reader."""
    from wandb.proto.wandb_internal_pb2 import Record

    sessions = []
    for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb")):
        data, at, whole, records = path.read_bytes(), 7, b"", []
        while at + 7 <= len(data):
            if (left := -at % 32768) < 7 and left:  # the rest of a block, too small for a header
                at += left
                continue
            _, length, kind = struct.unpack_from("<IHB", data, at)
            part, at = data[at + 7 : at + 7 + length], at + 7 + length
            whole = part if kind in (1, 2) else whole + part  # whole, first, middle, last
            if kind in (1, 4):
                records.append(Record.FromString(whole))
        sessions.append(records)
    return sessions


def wandb_rows(records):
    histories = [record.history.item for record in records if record.WhichOneof("record_type") == "history"]
    rows = [{".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items} for items in histories]
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]


def only(records, kind):
    return [getattr(record, kind) for record in records if record.WhichOneof("record_type") == kind]


def in_float32(rows, names):
    return {name: [(row["epoch"], float(np.float32(row[column]))) for row in rows] for name, column in names.items()}


def test_an_interrupted_run_goes_on_in_the_same_charts_with_every_epoch_of_the_log_once(tmp_path):
    with pytest.raises(StopError):
        train(tmp_path / "run", "tensorboard,wandb", stop_after=2)
    train(tmp_path / "run", "wandb, tensorboard")
    rows = log(tmp_path / "run")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert tensorboard(tmp_path / "run") == {split: in_float32(rows, names) for split, names in TENSORBOARD.items()}

    sessions = wandb_records(tmp_path / "run")
    told = [{name: row[column] for name, column in WANDB.items()} for row in rows]
    assert [wandb_rows(records) for records in sessions] == [told[:2], told[2:]]
    assert [only(records, "exit")[0].exit_code for records in sessions] == [1, 0]
    starts = [only(records, "run")[0] for records in sessions]
    assert [(start.run_id, start.project, start.display_name) for start in starts] == [(starts[0].run_id, "vgg_tf", "run")] * 2
    config = {item.key: json.loads(item.value_json) for item in starts[0].config.update}
    settings = runs.read_run(tmp_path / "run").settings.to_json()
    assert {name: config[name] for name in settings} == json.loads(json.dumps(settings))
    assert ("epoch/*", "epoch/epoch") in [(metric.glob_name, metric.step_metric) for metric in only(sessions[0], "metric")]


def test_a_training_ends_with_the_same_bits_with_and_without_trackers(tmp_path):
    train(tmp_path / "plain")
    train(tmp_path / "tracked", "tensorboard,wandb")
    plain, tracked = (load_file(tmp_path / name / runs.LAST) for name in ("plain", "tracked"))
    assert all(np.array_equal(plain[key], tracked[key]) for key in plain)
    assert not {"tensorboard", "wandb"} & {path.name for path in (tmp_path / "plain").iterdir()}


def test_a_tracker_that_joins_later_is_told_of_all_epochs_and_without_validation_of_no_empty_numbers(tmp_path):
    with pytest.raises(StopError):
        train(tmp_path / "run", stop_after=3, validation=None)
    train(tmp_path / "run", "tensorboard", validation=None)
    assert tensorboard(tmp_path / "run") == {"train": in_float32(log(tmp_path / "run"), TENSORBOARD["train"])}


class Callback:
    """Takes epochs, and is asked for no more after a failure."""

    def __init__(self, fails_at=None):
        self.fails_at, self.epochs = fails_at, []

    def set_model(self, model):
        self.model = model

    def on_epoch_end(self, epoch, logs):
        self.epochs.append(epoch)
        if epoch == self.fails_at:
            raise OSError("the cable is cut")


def fake(monkeypatch, callback, delay):
    opener = (lambda run, name: (callback, lambda code: None), delay)
    monkeypatch.setitem(tracking.TRACKERS, "tensorboard", opener)


def test_what_a_tracker_may_still_have_had_in_memory_when_it_was_killed_is_told_again(tmp_path, monkeypatch):
    rows = [{"epoch": epoch, **dict.fromkeys(tracking.LOGS, 1.0)} for epoch in (1, 2, 3)]
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(tracking, "time", SimpleNamespace(monotonic=lambda: clock.now))
    run = SimpleNamespace(folder=tmp_path)
    callback = Callback()
    fake(monkeypatch, callback, 30)
    killed = tracking.opened("tensorboard", run)
    track = killed.__enter__()  # and never left
    track(rows[:1])
    clock.now += 31
    track(rows[:2])
    assert callback.epochs == [1, 2]
    again = Callback()
    fake(monkeypatch, again, 30)
    with tracking.opened("tensorboard", run) as track:
        track(rows)
    assert again.epochs == [2, 3]
    last = Callback()
    fake(monkeypatch, last, 30)
    with tracking.opened("tensorboard", run) as track:
        track(rows)
    assert last.epochs == []


def test_a_tracker_that_fails_is_told_of_and_the_training_goes_on(tmp_path, monkeypatch):
    callback = Callback(fails_at=2)
    fake(monkeypatch, callback, 0)
    lines = train(tmp_path / "run", "tensorboard")
    assert callback.epochs == [1, 2]
    assert [line for line in lines if "--track" in line] == [
        "--track tensorboard failed: the cable is cut. The training goes on; what is missing follows when the run is continued."
    ]
    assert len(log(tmp_path / "run")) == 4
    (tmp_path / "run2").mkdir()
    monkeypatch.setitem(tracking.TRACKERS, "tensorboard", (lambda run, name: 1 / 0, 0))
    with tracking.opened("tensorboard", SimpleNamespace(folder=tmp_path / "run2"), lines.append) as track:
        track(())
    assert lines[-1].startswith("--track tensorboard failed: division by zero.")


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_a_missing_package_is_answered_with_the_pip_command(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf'pip install "vgg_tf\[{name}\]"'):
        tracking.check(name)


def test_a_folder_called_like_a_package_is_none(tmp_path, monkeypatch):
    (tmp_path / "bare").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(tracking.TRACKERS, "bare", None)
    with pytest.raises(ModuleNotFoundError, match="needs a package"):
        tracking.check("bare")


def test_words_are_names_with_commas_between():
    assert tracking.check("") == []
    assert tracking.check(" wandb,tensorboard,wandb,") == ["wandb", "tensorboard"]
    with pytest.raises(ValueError, match=r"No tracker 'tensorbord'\. Known: tensorboard, wandb, or both"):
        tracking.check("wandb,tensorbord")


def test_an_unknown_tracker_costs_nothing(tmp_path):
    result = program("vgg_tf.train", "--smoke", "--track", "tensorbord", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == "error: No tracker 'tensorbord'. Known: tensorboard, wandb, or both with a comma between.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [{}, {"WANDB_MODE": "disabled"}])
def test_without_a_login_wandb_neither_asks_nor_waits(tmp_path, mode):
    hidden = ("WANDB", "NETRC", "KAGGLE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | mode
    environment |= {"HOME": str(tmp_path), "WANDB_CONFIG_DIR": str(tmp_path)}
    code = "from vgg_tf import programs, tracking; programs.run(lambda: print(tracking.check('wandb')))"
    words = [sys.executable, "-c", code]
    result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=60)
    if mode:
        assert result.stdout == "[]\n"
    else:
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1] == (
            "error: --track wandb finds no login: call wandb login, or set WANDB_MODE=offline and wandb sync later."
        )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tensorflow", pytest.param("jax", marks=needs_jax)])
def test_the_program_tracks_on_both_engines(tmp_path, engine):
    # On JAX the rate of a schedule is an array without .numpy(), which W&B's callback would ask for.
    words = ["--arch", "vgg11", "--smoke", "--track", "tensorboard,wandb", "--out", "run"]
    result = program("vgg_tf.train", *words, cwd=tmp_path, env=os.environ | {"KERAS_BACKEND": engine, "JAX_PLATFORMS": "cpu"})
    assert result.returncode == 0, result.stderr
    assert "--track" not in result.stdout
    rows = log(tmp_path / "run")
    assert len({row["learning_rate"] for row in rows}) == len(rows) == 2
    assert tensorboard(tmp_path / "run") == {split: in_float32(rows, names) for split, names in TENSORBOARD.items()}
    (records,) = wandb_records(tmp_path / "run")
    assert wandb_rows(records) == [{name: row[column] for name, column in WANDB.items()} for row in rows]
