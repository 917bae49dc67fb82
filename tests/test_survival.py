"""A run survives kills, signals and full disks: real ones, and the end is that of a run that met
none.
"""

import contextlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from tests.making import ROOT, TINY, call, epochs_done, fill_disk, shallow, undrawn
from vgg_tf import build_vgg, evaluate, train
from vgg_tf.paper.recipes import Recipe
from vgg_tf.runs import run_folder
from vgg_tf.runs.settings import Settings
from vgg_tf.training import loop as training_loop
from vgg_tf.weights import reading

# Dropout, batch normalization, a plateau that fires (the rate is far too low to learn at), short
# epochs.
WORDS = [
    "--arch",
    "shallow_bn",
    *TINY,
    "--dropout",
    "0.2",
    "--batch-size",
    "16",
    "--strategy",
    "cpu",
    "--steps-per-epoch",
    "8",
    "--schedule",
    "plateau",
    "--patience",
    "4",
    "--learning-rate",
    "1e-7",
]
PLATEAU = "learning rate 1e-08"


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


def same_bits(one, other):
    """Whether two runs ended with the same bits in state and best network."""
    states = [load_file(folder / run_folder.LAST) for folder in (one, other)]
    best = [reading.read_weights(folder).fingerprint() for folder in (one, other)]
    same = states[0].keys() == states[1].keys() and all(
        np.array_equal(states[0][key], states[1][key]) for key in states[0]
    )
    return same and best[0] == best[1]


def same_end(one, other):
    """Whether two runs ended with the same bits and with the same errors."""
    reports = [json.loads((folder / "report.json").read_text()) for folder in (one, other)]
    return (
        same_bits(one, other)
        and len({(report["top1_error"], report["n"]) for report in reports}) == 1
    )


@pytest.fixture
def whole(once):
    """A run of 30 epochs that nothing interrupts."""

    def make(folder):
        with shallow():
            result = call("vgg_tf.train", *WORDS, "--epochs", 30, "--out", folder / "run")
        assert result.returncode == 0, result.stderr
        assert PLATEAU in result.stdout

    return once("whole", make) / "run"


@pytest.mark.slow
def test_kills_and_sigterm_at_random_moments_leave_no_trace_in_the_end(whole, tmp_path):
    # Four processes. SIGTERM saves the epoch that ends within the grace, and leaves one that does
    # not.
    seed = random.randrange(10**6)
    moments, out = random.Random(seed), tmp_path / "run"
    epochs = epochs_done(whole)  # the plateau ends it early
    blows = [(signal.SIGKILL, 60), (signal.SIGTERM, 60), (signal.SIGTERM, 0)]
    moments.shuffle(blows)
    for epoch, (blow, grace) in zip(
        sorted(moments.sample(range(1, epochs // 2), 3)), blows, strict=True
    ):
        process = start(out, "--epochs", 30, "--grace", grace)
        # SIGTERM after an epoch of this process: before, while it starts, it ends it as any other.
        wait_for_epoch(out, epoch if blow == signal.SIGKILL else max(epoch, epochs_done(out) + 1))
        time.sleep(moments.uniform(0, 0.2))  # an epoch takes a tenth of one
        process.send_signal(blow)
        code, said, errors = finish(process)
        if blow == signal.SIGKILL:
            assert code == -signal.SIGKILL, f"seed {seed}: {errors}"
        else:
            assert code == 75, f"seed {seed}"
            assert errors.strip() == "terminated; the same command continues", f"seed {seed}"
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
    assert errors.count("terminated; the same command continues") == 1
    time.sleep(1)
    left = subprocess.run(
        ["pgrep", "-f", f"vgg_tf.train.*{tmp_path}"], capture_output=True, text=True
    ).stdout
    assert not left


# The same in the loop alone, of a network with one convolution: a training takes a CPU second.
RECIPE = Recipe(
    epochs=4,
    batch_size=8,
    learning_rate=1e-7,
    patience=2,
    size=32,
    scale=(32, 32),
    dropout=0.2,
    standardize=True,
    seed=5,
)


def loop(folder):
    """Four epochs of two steps."""
    random = np.random.default_rng(0)
    images, labels = (
        random.integers(0, 256, (16, 32, 32, 3), np.uint8),
        random.integers(0, 2, 16).astype(np.int32),
    )
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
    validation = tf.data.Dataset.from_tensors((images[:8], labels[:8], np.ones(8, np.float32)))
    settings, lines = Settings("shallow_bn", "noise", "0" * 16, "float32", RECIPE), []
    keras.utils.set_random_seed(RECIPE.seed)
    with run_folder.open_run(folder, settings) as run, shallow():
        shape = {"input_shape": (32, 32, 3), "classes": 2, "width": 0.0625, "head_width": 16}
        model = build_vgg(
            "shallow_bn", **shape, dropout=RECIPE.dropout, std=(75,) * 3, seed=RECIPE.seed
        )
        feed = training_loop.Feed(2, 8, lambda epoch: batches, validation)
        training_loop.train(run, model, feed, training_loop.Hooks(lines.append))
    return lines


@pytest.fixture(scope="module")
def four(once):
    """Four epochs without an interruption."""
    folder = once(
        "four", lambda folder: (folder / "said").write_text("\n".join(loop(folder / "run")))
    )
    assert PLATEAU in (folder / "said").read_text()
    return folder / "run"


@pytest.mark.parametrize(
    "name", [run_folder.LAST, "model.keras", pytest.param("log.csv", marks=pytest.mark.slow)]
)
def test_a_full_disk_costs_no_epoch_that_was_saved(four, tmp_path, monkeypatch, name):
    # Two trainings: a CPU second each.
    folder = tmp_path / "run"
    save, check = run_folder.Run.save_last, run_folder.Run.check_space
    undrawn(monkeypatch)

    def save_and_fill(run, state, *rest):
        save(run, state, *rest)
        if state.epoch == 2:
            fill_disk(patch, folder / name)

    with monkeypatch.context() as patch:
        if name == "model.keras":  # the best network may be that of the first epoch
            patch.setattr(
                run_folder.Run,
                "check_space",
                lambda run, *networks: (check(run, *networks), fill_disk(patch, folder / name)),
            )
        else:
            patch.setattr(run_folder.Run, "save_last", save_and_fill)
        with pytest.raises(
            OSError,
            match=(
                rf"cannot write .*/{name}: no space is left\. "
                r"Free some, then give the same command again"
            ),
        ):
            loop(folder)
    lines = loop(folder)
    epochs = {
        run_folder.LAST: 2,
        "log.csv": 3,
    }  # the state is written before the log, which follows from it
    assert (
        lines[0] == f"continuing after epoch {epochs[name]}"
        if name in epochs
        else lines[0].startswith("a look")
    )
    assert same_bits(four, folder)


@pytest.mark.slow
def test_a_full_disk_costs_a_curve_and_a_line_and_the_run_goes_on(
    four, tmp_path, monkeypatch, capsys
):
    check = run_folder.Run.check_space
    monkeypatch.setattr(
        run_folder.Run,
        "check_space",
        lambda run, *networks: (
            check(run, *networks),
            fill_disk(monkeypatch, tmp_path / "run" / "history.png"),
        ),
    )
    loop(tmp_path / "run")
    (note,) = capsys.readouterr().err.splitlines()
    assert re.search(r"history\.png .*cannot write .*/history\.png: no space is left", note)
    assert same_bits(four, tmp_path / "run")


@pytest.mark.usefixtures("shallow_known")
def test_the_program_goes_on_after_a_full_disk_by_the_same_command_to_the_same_end(
    all_trained, tmp_path, monkeypatch
):
    # End to end: the program trains the second of its two epochs, and tests twice.
    monkeypatch.chdir(tmp_path)
    undrawn(monkeypatch)
    copied = shutil.copytree(all_trained / "run", tmp_path / "run")
    words = [
        "--arch",
        "shallow",
        "--strategy",
        "cpu",
        "--precision",
        "float32",
        "--smoke",
        "--hold-out",
        "0",
    ]
    words += ["--classes", "3", "8", "--out", "run"]
    for name in (run_folder.LAST, "report.json"):  # as after the first epoch
        (copied / name).unlink()
    with pytest.MonkeyPatch.context() as patch:
        write = run_folder.Run.write_report
        patch.setattr(
            run_folder.Run,
            "write_report",
            lambda run, report: (fill_disk(patch, copied / "report.json"), write(run, report)),
        )
        result = call("vgg_tf.train", *words)
    assert result.returncode == 1
    assert "continuing after epoch 1" in result.stdout
    assert result.stderr == (
        "error: cannot write run/report.json: no space is left. Free some, then give the same "
        "command again.\n"
    )
    assert not (copied / "report.json").exists()
    result = call("vgg_tf.train", *words)
    assert result.returncode == 0, result.stderr
    assert "continuing after epoch 2" in result.stdout
    assert same_end(all_trained / "run", copied)


def test_a_run_is_refused_where_the_disk_has_no_room_for_two_states_and_two_networks(
    tmp_path, monkeypatch
):
    # 138,357,544 weights of D (section 2.3), with momentum: 3.3 GB.
    class Weight:
        shape = (138_357_544,)

    class Network:
        weights = variables = (Weight,)

    run = run_folder.Run(str(tmp_path), None)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3_300_000_000))
    with pytest.raises(OSError, match="3,300 MB left; this run needs 3,322 MB"):
        run.check_space(Network, Network)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3_330_000_000))
    run.check_space(Network, Network)


@pytest.mark.slow
@pytest.mark.usefixtures("shallow_known")
def test_a_run_in_a_bucket_ends_as_one_on_the_disk(tmp_path, capsys, monkeypatch):
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
        "last.safetensors is torn, previous.safetensors is whole: continuing after epoch 1" in said
    )
    here, there = (
        reading.read_weights(tmp_path / "run").fingerprint(),
        reading.read_weights(folder).fingerprint(),
    )
    assert here == there
    closing = said.splitlines()[-1].split(", n=")[0]
    evaluate.main([folder, "--strategy", "cpu"])
    assert (
        re.sub(r" \([^)]*\)", "", capsys.readouterr().out.splitlines()[-1].split(", loss")[0])
        == closing
    )


@contextlib.contextmanager
def stopping_after(epoch):
    """Within, the training ends as by Ctrl-C as soon as this epoch is saved."""
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
