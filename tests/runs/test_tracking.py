"""Trackers are found by name, receive missed epochs later, and may fail."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.making import call
from tests.runs.reading_charts import TENSORBOARD, in_float32, tensorboard
from vgg_tf.runs import tracking


def made_rows(n, **others):
    return tuple(
        {"epoch": epoch, **dict.fromkeys(tracking.LOGS, 1 / epoch)} | others
        for epoch in range(1, n + 1)
    )


def test_without_validation_a_tracker_receives_no_empty_values(tmp_path):
    columns = [column for column in tracking.LOGS if column.startswith("validation")]
    rows = made_rows(3, **dict.fromkeys(columns))
    with tracking.open_trackers("tensorboard", SimpleNamespace(folder=tmp_path)) as track:
        track(rows)
    assert tensorboard(tmp_path) == {"train": in_float32(rows, TENSORBOARD["train"])}


def test_a_tracker_receives_the_recall_of_the_rows_that_have_it(tmp_path):
    first, second = made_rows(2)
    del first["validation_recall"]  # of an earlier version
    with tracking.open_trackers("tensorboard", SimpleNamespace(folder=tmp_path)) as track:
        track((first, second))
    assert tensorboard(tmp_path)["validation"]["epoch_mean_class_recall"] == [(2, 0.5)]


class Callback:
    """A Keras callback that records epochs, and can fail at one of them."""

    def __init__(self, fails_at=None):
        self.fails_at, self.epochs = fails_at, []

    def set_model(self, model):
        self.model = model

    def on_epoch_end(self, epoch, logs):
        self.epochs.append(epoch)
        if epoch == self.fails_at:
            raise OSError("the connection is closed")


def fake(monkeypatch, callback, delay):
    """Replace TensorBoard by a callback that may keep epochs in memory for `delay` seconds."""
    opener = (lambda run, name: (callback, lambda code: None), delay)
    monkeypatch.setitem(tracking.TRACKERS, "tensorboard", opener)


def test_epochs_that_a_killed_tracker_may_have_had_in_memory_are_sent_again(tmp_path, monkeypatch):
    rows = made_rows(3)
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(tracking, "time", SimpleNamespace(monotonic=lambda: clock.now))
    run = SimpleNamespace(folder=tmp_path)
    callback = Callback()
    fake(monkeypatch, callback, 30)
    killed = tracking.open_trackers("tensorboard", run)
    track = killed.__enter__()  # never closed, as after a kill
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


def test_a_failing_tracker_is_reported_and_training_continues(tmp_path, monkeypatch):
    callback, lines, rows = Callback(fails_at=2), [], made_rows(4)
    fake(monkeypatch, callback, 0)
    with tracking.open_trackers(
        "tensorboard", SimpleNamespace(folder=tmp_path), lines.append
    ) as track:
        for n in range(5):
            track(rows[:n])
    assert callback.epochs == [1, 2]
    assert lines == [
        "--track tensorboard failed: the connection is closed. Training continues without it. "
        "Continue the run later to send the missing epochs."
    ]
    (tmp_path / "run2").mkdir()
    monkeypatch.setitem(tracking.TRACKERS, "tensorboard", (lambda run, name: 1 / 0, 0))
    with tracking.open_trackers(
        "tensorboard", SimpleNamespace(folder=tmp_path / "run2"), lines.append
    ) as track:
        track(())
    assert lines[-1].startswith("--track tensorboard failed: division by zero.")


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_the_error_about_a_missing_package_gives_the_pip_command(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf'pip install "vgg_tf\[{name}\]"'):
        tracking.check_trackers(name)


def test_a_folder_with_the_name_of_a_package_does_not_count_as_the_package(tmp_path, monkeypatch):
    (tmp_path / "bare").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(tracking.TRACKERS, "bare", None)
    with pytest.raises(ModuleNotFoundError, match="Received: not installed"):
        tracking.check_trackers("bare")


def test_the_flag_takes_comma_separated_names():
    assert tracking.check_trackers("") == []
    assert tracking.check_trackers(" wandb,tensorboard,wandb,") == ["wandb", "tensorboard"]
    with pytest.raises(
        ValueError, match=r"must be tensorboard, wandb, or both .* Received: 'tensorbord'"
    ):
        tracking.check_trackers("wandb,tensorbord")


def test_an_unknown_tracker_is_refused_before_any_file_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("vgg_tf.train", "--smoke", "--track", "tensorbord")
    assert result.returncode == 1
    assert (
        result.stderr
        == "error: --track must be tensorboard, wandb, or both with a comma between them. "
        "Received: 'tensorbord'. Correct the name.\n"
    )
    assert not list(tmp_path.iterdir())


def test_without_a_login_wandb_is_refused_without_a_prompt(tmp_path):
    # W&B reads its settings once, from the environment of the process, so this needs a child
    # process. It takes two seconds to import W&B.
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
        "error: --track wandb must have a login. Received: WANDB_MODE online without one. Run "
        "wandb login, or set WANDB_MODE=offline and run wandb sync later."
    )
