"""What TensorBoard and Weights & Biases are told: the log, every epoch of it, and nothing that
changes the training.
"""

import csv
import json
import os
import shutil
import struct
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from tests.making import QUICK, call, needs_jax, shallow, shallow_program
from vgg_tf import build_vgg
from vgg_tf.paper.recipes import Recipe
from vgg_tf.runs import run_folder, tracking
from vgg_tf.runs.settings import Settings
from vgg_tf.training import loop

RECIPE = Recipe(
    epochs=3, batch_size=8, learning_rate=0.02, patience=1, size=32, scale=(32, 32), seed=5
)
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


@pytest.fixture(autouse=True, scope="module")
def _offline(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("WANDB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


class StopError(Exception):
    pass


def train(folder, words="", stop_after=None):
    """Three epochs of two steps, or an interruption after some of them; gives the lines that were
    said.
    """
    lines = []

    def say(line):
        lines.append(line)
        if line.startswith(f"epoch {stop_after}/"):
            raise StopError

    random = np.random.default_rng(0)
    images, labels = (
        random.integers(0, 256, (16, 32, 32, 3), np.uint8),
        random.integers(0, 2, 16).astype(np.int32),
    )
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
    validation = tf.data.Dataset.from_tensors((images[:8], labels[:8], np.ones(8, np.float32)))
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
    """A run that nobody follows."""
    return once("plain_training", lambda folder: train(folder / "run")) / "run"


@pytest.fixture(scope="module")
def tracked(once):
    """The same run, followed by both trackers and interrupted after two epochs. Two trainings, and
    W&B's service twice.
    """

    def make(folder):
        with pytest.raises(StopError):
            train(folder / "run", "tensorboard,wandb", stop_after=2)
        train(folder / "run", "wandb, tensorboard")

    return once("tracked_training", make) / "run"


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
                name: [
                    (event.step, tf.make_ndarray(event.tensor_proto).item())
                    for event in events.Tensors(name)
                ]
                for name in events.Tags()["tensors"]
            }
    return charts


def wandb_records(folder):
    """What W&B wrote of each session, oldest first: a LevelDB log of protobufs, for which wandb
    0.31 has no reader.
    """
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
    histories = [
        record.history.item for record in records if record.WhichOneof("record_type") == "history"
    ]
    rows = [
        {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
        for items in histories
    ]
    return [
        {name: value for name, value in row.items() if not name.startswith("_")} for row in rows
    ]


def only(records, kind):
    return [getattr(record, kind) for record in records if record.WhichOneof("record_type") == kind]


def in_float32(rows, names):
    return {
        name: [(row["epoch"], float(np.float32(row[column]))) for row in rows]
        for name, column in names.items()
    }


def test_an_interrupted_run_goes_on_in_the_same_charts_with_every_epoch_of_the_log_once(tracked):
    rows = log(tracked)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert tensorboard(tracked) == {
        split: in_float32(rows, names) for split, names in TENSORBOARD.items()
    }

    sessions = wandb_records(tracked)
    told = [{name: row[column] for name, column in WANDB.items()} for row in rows]
    assert [wandb_rows(records) for records in sessions] == [told[:2], told[2:]]
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


def test_a_training_ends_with_the_same_bits_with_and_without_trackers(plain, tracked):
    states = [load_file(folder / run_folder.LAST) for folder in (plain, tracked)]
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][key], states[1][key]) for key in states[0])
    assert not {"tensorboard", "wandb"} & {path.name for path in plain.iterdir()}


def test_a_tracker_that_joins_later_receives_all_epochs(plain, tmp_path):
    folder = shutil.copytree(plain, tmp_path / "run")
    train(folder, "tensorboard")
    rows = log(folder)
    assert tensorboard(folder) == {
        split: in_float32(rows, names) for split, names in TENSORBOARD.items()
    }


def made_rows(n, **others):
    return tuple(
        {"epoch": epoch, **dict.fromkeys(tracking.LOGS, 1 / epoch)} | others
        for epoch in range(1, n + 1)
    )


def test_without_validation_a_tracker_receives_no_empty_numbers(tmp_path):
    rows = made_rows(3, validation_loss=None, validation_error=None, validation_top5_error=None)
    with tracking.open_trackers("tensorboard", SimpleNamespace(folder=tmp_path)) as track:
        track(rows)
    assert tensorboard(tmp_path) == {"train": in_float32(rows, TENSORBOARD["train"])}


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


def test_what_a_tracker_may_still_have_had_in_memory_when_it_was_killed_is_told_again(
    tmp_path, monkeypatch
):
    rows = made_rows(3)
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(tracking, "time", SimpleNamespace(monotonic=lambda: clock.now))
    run = SimpleNamespace(folder=tmp_path)
    callback = Callback()
    fake(monkeypatch, callback, 30)
    killed = tracking.open_trackers("tensorboard", run)
    track = killed.__enter__()  # and never left
    track(rows[:1])
    clock.now += 31
    track(rows[:2])
    assert callback.epochs == [1, 2]
    again = Callback()
    fake(monkeypatch, again, 30)
    with tracking.open_trackers("tensorboard", run) as track:
        track(rows)
    assert again.epochs == [2, 3]
    last = Callback()
    fake(monkeypatch, last, 30)
    with tracking.open_trackers("tensorboard", run) as track:
        track(rows)
    assert last.epochs == []


def test_a_tracker_that_fails_is_told_of_and_the_training_goes_on(tmp_path, monkeypatch):
    callback, lines, rows = Callback(fails_at=2), [], made_rows(4)
    fake(monkeypatch, callback, 0)
    with tracking.open_trackers(
        "tensorboard", SimpleNamespace(folder=tmp_path), lines.append
    ) as track:
        for n in range(5):
            track(rows[:n])
    assert callback.epochs == [1, 2]
    assert lines == [
        "--track tensorboard failed: the cable is cut. The training goes on; what is missing "
        "follows when the run is continued."
    ]
    (tmp_path / "run2").mkdir()
    monkeypatch.setitem(tracking.TRACKERS, "tensorboard", (lambda run, name: 1 / 0, 0))
    with tracking.open_trackers(
        "tensorboard", SimpleNamespace(folder=tmp_path / "run2"), lines.append
    ) as track:
        track(())
    assert lines[-1].startswith("--track tensorboard failed: division by zero.")


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_a_missing_package_is_answered_with_the_pip_command(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf'pip install "vgg_tf\[{name}\]"'):
        tracking.check_trackers(name)


def test_a_folder_called_like_a_package_is_none(tmp_path, monkeypatch):
    (tmp_path / "bare").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(tracking.TRACKERS, "bare", None)
    with pytest.raises(ModuleNotFoundError, match="needs a package"):
        tracking.check_trackers("bare")


def test_words_are_names_with_commas_between():
    assert tracking.check_trackers("") == []
    assert tracking.check_trackers(" wandb,tensorboard,wandb,") == ["wandb", "tensorboard"]
    with pytest.raises(
        ValueError, match=r"No tracker 'tensorbord'\. Known: tensorboard, wandb, or both"
    ):
        tracking.check_trackers("wandb,tensorbord")


def test_an_unknown_tracker_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("vgg_tf.train", "--smoke", "--track", "tensorbord")
    assert result.returncode == 1
    assert (
        result.stderr
        == "error: No tracker 'tensorbord'. Known: tensorboard, wandb, or both with a comma "
        "between.\n"
    )
    assert not list(tmp_path.iterdir())


def test_without_a_login_wandb_neither_asks_nor_waits(tmp_path):
    # W&B reads its settings once, from the environment of the process: a child, which imports it in
    # two seconds.
    hidden = ("WANDB", "NETRC", "KAGGLE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment |= {"HOME": str(tmp_path), "WANDB_CONFIG_DIR": str(tmp_path)}
    code = """
import os, wandb
from vgg_tf.runs import tracking
from vgg_tf.runtime import programs
os.environ["WANDB_MODE"] = "disabled"
print(tracking.check_trackers("wandb"), flush=True)
wandb.teardown()
del os.environ["WANDB_MODE"]
programs.run(lambda: print(tracking.check_trackers("wandb")))
"""
    words = [sys.executable, "-c", code]
    result = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=60
    )
    assert result.stdout == "[]\n"
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "error: --track wandb finds no login: call wandb login, or set WANDB_MODE=offline and "
        "wandb sync later."
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tensorflow", pytest.param("jax", marks=needs_jax)])
@pytest.mark.usefixtures("shallow_known")
def test_the_program_tracks_on_both_engines(tmp_path, engine, monkeypatch):
    # A program in this process, or in one on JAX. On JAX the rate of a schedule is an array without
    # .numpy(), which W&B's callback would ask for.
    monkeypatch.chdir(tmp_path)
    words = [
        "vgg_tf.train",
        "--arch",
        "shallow",
        "--smoke",
        "--track",
        "tensorboard,wandb",
        "--out",
        "run",
    ]
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
    assert tensorboard(tmp_path / "run") == {
        split: in_float32(rows, names) for split, names in TENSORBOARD.items()
    }
    (records,) = wandb_records(tmp_path / "run")
    assert wandb_rows(records) == [
        {name: row[column] for name, column in WANDB.items()} for row in rows
    ]
