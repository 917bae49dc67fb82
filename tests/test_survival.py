"""A run that is killed or terminated ends like a run without interruption."""

import contextlib
import random
import re
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from tests.making import ROOT, TINY, call, epochs_done, shallow, undrawn
from tests.making_survivals import PLATEAU, WORDS, same_end
from vgg_tf import evaluate, train
from vgg_tf.runs import run_folder
from vgg_tf.weights import reading


def start(folder, *words):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.making",
            "vgg_tf.train",
            *WORDS,
            "--out",
            str(folder),
            *map(str, words),
        ],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )


def finish(process):
    said, errors = process.communicate(timeout=300)
    return process.returncode, said, errors


def wait_for_epoch(folder, n, seconds=120):
    begin, log = time.monotonic(), folder / "log.csv"
    while not (log.exists() and f"\n{n}," in log.read_text()):
        assert time.monotonic() - begin < seconds
        time.sleep(0.02)


@pytest.fixture
def whole(once):
    """Return a run of 30 epochs without an interruption."""

    def make(folder):
        with shallow():
            result = call("vgg_tf.train", *WORDS, "--epochs", 30, "--out", folder / "run")
        assert result.returncode == 0, result.stderr
        assert PLATEAU in result.stdout

    return once("whole", make) / "run"


@pytest.mark.slow
def test_kills_and_sigterm_at_random_times_do_not_change_the_result(whole, tmp_path):
    # Starts four processes. After SIGTERM, an epoch that ends within the grace period is saved, and
    # another one is stopped.
    seed = random.randrange(10**6)
    moments, out = random.Random(seed), tmp_path / "run"
    epochs = epochs_done(whole)  # the plateau ends it early
    blows = [(signal.SIGKILL, 60), (signal.SIGTERM, 60), (signal.SIGTERM, 0)]
    moments.shuffle(blows)
    for epoch, (blow, grace) in zip(
        sorted(moments.sample(range(1, epochs // 2), 3)), blows, strict=True
    ):
        process = start(out, "--epochs", 30, "--grace", grace)
        # Send SIGTERM after an epoch of this process. At its start, SIGTERM ends it immediately.
        wait_for_epoch(out, epoch if blow == signal.SIGKILL else max(epoch, epochs_done(out) + 1))
        time.sleep(moments.uniform(0, 0.2))  # an epoch takes 0.1 s
        process.send_signal(blow)
        code, said, errors = finish(process)
        if blow == signal.SIGKILL:
            assert code == -signal.SIGKILL, f"seed {seed}: {errors}"
        else:
            assert code == 75, f"seed {seed}"
            assert errors.strip() == "terminated; run the same command again to continue", (
                f"seed {seed}"
            )
    code, said, errors = finish(start(out, "--epochs", 30))
    assert code == 0, f"seed {seed}: {errors}"
    assert "continuing after epoch" in said
    assert same_end(whole, tmp_path / "run"), f"seed {seed}"


@pytest.mark.slow
def test_sigterm_reaches_the_training_through_the_stages(tmp_path):
    words = ["--arch", "vgg13", "--data", "digits", "--size", "32", *TINY, "--batch-size", "16"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "vgg_tf.stages",
            *words,
            "--steps-per-epoch",
            "8",
            "--strategy",
            "cpu",
            "--out",
            tmp_path,
        ],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    begin = time.monotonic()
    while not list(tmp_path.glob("1-*/log.csv")):
        assert time.monotonic() - begin < 120
        time.sleep(0.05)
    process.terminate()
    code, _, errors = finish(process)
    assert code == 75
    assert errors.count("terminated; run the same command again to continue") == 1
    time.sleep(1)
    left = subprocess.run(
        ["pgrep", "-f", f"vgg_tf.train.*{tmp_path}"], capture_output=True, text=True
    ).stdout
    assert not left


@pytest.mark.slow
@pytest.mark.usefixtures("shallow_known")
def test_a_run_in_a_bucket_ends_like_one_on_the_disk(tmp_path, capsys, monkeypatch):
    undrawn(monkeypatch)
    folder = f"ram://{tmp_path.name}/run"
    words = [*WORDS, "--epochs", "4", "--steps-per-epoch", "2", "--out"]
    train.main([*words, str(tmp_path / "run")])
    words.append(folder)
    with stopping_after(2), pytest.raises(KeyboardInterrupt):
        train.main(words)
    with run_folder.open_run(folder, run_folder.read_run(folder).settings) as run:
        assert not run.read_report()
    with tf.io.gfile.GFile(f"{folder}/{run_folder.LAST}", "rb") as file:
        torn = file.read()[:1000]
    with tf.io.gfile.GFile(f"{folder}/{run_folder.LAST}", "wb") as file:
        file.write(torn)
    capsys.readouterr()
    train.main(words)
    said = capsys.readouterr().out
    assert (
        "last.safetensors is damaged, previous.safetensors is intact: continuing after epoch 1"
        in said
    )
    here, there = (
        reading.read_weights(tmp_path / "run").fingerprint(),
        reading.read_weights(folder).fingerprint(),
    )
    assert here == there
    closing = said.splitlines()[-1].split(", mean class recall")[0]
    evaluate.main([folder, "--strategy", "cpu"])
    assert (
        re.sub(r" \([^)]*\)", "", capsys.readouterr().out.splitlines()[-1].split(", loss")[0])
        == closing
    )


@contextlib.contextmanager
def stopping_after(epoch):
    """End the training as Ctrl-C does, after this epoch is saved."""
    save = run_folder.Run.save_last

    def stopping(run, state, *rest):
        save(run, state, *rest)
        if state.epoch == epoch:
            raise KeyboardInterrupt

    run_folder.Run.save_last = stopping
    try:
        yield
    finally:
        run_folder.Run.save_last = save
