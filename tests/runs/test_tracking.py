"""A tracker is found by its name, hears missed epochs again, and may fail."""

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
