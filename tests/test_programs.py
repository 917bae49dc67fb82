"""The programs train and test networks from digits, folders and shards."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.making import DATA, ROOT, TINY, call, pictures, real_data, undrawn
from vgg_tf.evaluation import reports
from vgg_tf.paper.presets import choose_recipe
from vgg_tf.training.flags import parse

SMOKE = ["--arch", "vgg11", "--strategy", "cpu", "--precision", "float32", "--smoke"]


@pytest.fixture
def smoke(digits_run, tmp_path, monkeypatch):
    """Return a copy of `digits_run` in the default folder of the program, below the current one."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(digits_run, tmp_path / "runs" / "vgg11-digits-smoke")


def test_the_digits_become_shards_and_train_and_test_a_network(digits_trained):
    run, said, errors = (
        digits_trained / "run",
        (digits_trained / "said").read_text(),
        (digits_trained / "errors").read_text(),
    )
    names = [
        "dataset.json",
        "history.png",
        "last.safetensors",
        "log.csv",
        "model.keras",
        "previous.safetensors",
    ]
    assert sorted(path.name for path in run.iterdir() if path.name[0] != ".") == [
        *names,
        "recipe.json",
        "report.json",
        "result.json",
        "shards",
    ]
    closing = said.splitlines()[-1]
    assert re.fullmatch(
        r"test top-1 error [\d.]+ %, top-5 [\d.]+ %, mean class recall [\d.]+ %, n=16, "
        r"\d+ s, \d+ images/s",
        closing,
    )
    assert len([line for line in said.splitlines() if line.startswith("epoch")]) == 2
    assert "Traceback" not in errors
    assert "oneDNN" not in errors + said, "TensorFlow's start-up noise is silenced"


def test_a_finished_run_is_reported_and_not_trained_again(smoke, digits_trained):
    before = {path: path.stat().st_mtime_ns for path in smoke.glob("[!.]*.*")}
    again = call("vgg_tf.train", *SMOKE)
    assert again.returncode == 0
    assert again.stdout.splitlines() == [
        "runs/vgg11-digits-smoke is done; delete it or choose another --out to train again",
        (digits_trained / "said").read_text().splitlines()[-1],
    ]
    assert before == {path: path.stat().st_mtime_ns for path in smoke.glob("[!.]*.*")}


def test_another_recipe_in_the_same_folder_is_refused(smoke):
    result = call("vgg_tf.train", *SMOKE, "--learning-rate", "0.5")
    assert result.returncode == 1
    assert result.stderr.strip().startswith(
        "error: runs/vgg11-digits-smoke holds another run: learning_rate 0.01 there, 0.5 here."
    )


def test_the_default_flags_train_vgg16_on_the_digits_on_the_best_device():
    flags, _ = parse([])
    assert (flags.arch, flags.data, flags.recipe, flags.strategy, flags.precision) == (
        "vgg16",
        "digits",
        *["auto"] * 3,
    )
    assert flags.numbers == choose_recipe("digits", "vgg16")


def test_evaluate_tests_all_images_and_refuses_other_classes(
    smoke, tmp_path, pictures_folder, uncompiled, monkeypatch
):
    # 360 images take 2 s of CPU time. The figures would take another 2 s.
    monkeypatch.setattr(reports, "render_page", lambda *_: "")
    result = call("vgg_tf.evaluate", "runs/vgg11-digits-smoke", "--split", "test")
    assert re.search(
        r"test top-1 error [\d.]+ % \(95 %: .*\), top-5 [\d.]+ % \(.*\), loss [\d.]+, n=360, ",
        result.stdout,
    ), result.stderr
    result = call("vgg_tf.evaluate", "runs/vgg11-digits-smoke", "--data", pictures_folder)
    assert result.returncode == 1
    assert "10 classes (0, 1, 2, ...)" in result.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("shallow_known")
def test_class_folders_train_and_evaluate_to_the_same_error(tmp_path, monkeypatch):
    # One training run and two tests.
    monkeypatch.chdir(tmp_path)
    undrawn(monkeypatch)
    data = pictures(tmp_path / "data" / "train")
    pictures(tmp_path / "data" / "test", n=5)
    result = call(
        "vgg_tf.train", "--arch", "shallow_bn", "--data", data.parent, "--epochs", "2", *TINY
    )
    assert result.returncode == 0, result.stderr
    assert "24" not in result.stdout.splitlines()[0], "3 of 24 are held out"
    assert (
        "21 training images are fewer than a batch of 128: batches of 21 instead" in result.stdout
    )
    closing = result.stdout.splitlines()[-1]
    again = call("vgg_tf.evaluate", "runs/shallow_bn-data")
    error = re.search(r"test top-1 error [\d.]+ %", closing)[0]
    assert error in again.stdout
    assert "n=15" in closing
    assert "n=15" in again.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("shallow_known")
def test_one_picture_per_class_trains_without_validation_and_prints_so(tmp_path, monkeypatch):
    # One training run.
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "data", n=1)
    result = call("vgg_tf.train", "--arch", "shallow", "--data", "data", "--epochs", "1", *TINY)
    assert result.returncode == 0, result.stderr
    assert "nothing can be held out for validation" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("not tested, n=0")


@pytest.mark.slow
def test_ctrl_c_ends_a_training_in_one_line(tmp_path):
    # A process in the background of a shell ignores Ctrl-C, and so do its children, unless it has a
    # handler.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    words = [
        sys.executable,
        "-m",
        "tests.making",
        "vgg_tf.train",
        "--arch",
        "shallow",
        "--epochs",
        "500",
        *TINY,
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ROOT}, **pipes)
    signal.signal(signal.SIGINT, before)
    with process:
        for line in process.stdout:
            if line.startswith("epoch"):
                break
        for _ in range(
            5
        ):  # Python loses an interrupt during a destructor, so repeat it, as a user would
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=20)
                break
        else:
            process.kill()
            pytest.fail("Ctrl-C had no effect")
    assert process.returncode == 130
    assert errors.strip().endswith("interrupted; run the same command again to continue")


@pytest.mark.slow
def test_the_readmes_main_command_learns_the_digits_to_under_3_percent_error(tmp_path, monkeypatch):
    # Trains for a minute.
    monkeypatch.chdir(tmp_path)
    undrawn(monkeypatch)
    result = call("vgg_tf.train", "--arch", "vgg16", "--strategy", "auto")
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "runs" / "vgg16-digits" / "report.json").read_text())
    assert result.stdout.splitlines()[-1].startswith("test top-1 error")
    assert report["n"] == 360
    assert report["top1_error"] < 3


@pytest.mark.slow
@real_data
def test_60_000_files_of_cifar_10_become_shards_and_a_network_that_learns(tmp_path):
    shards = tmp_path / "cifar-shards"
    result = call("tfrecords_tools.write", Path(DATA) / "cifar10", shards)
    assert result.returncode == 0, result.stderr
    counts = {
        split: values["images"]
        for split, values in json.loads((shards / "dataset.json").read_text())["splits"].items()
    }
    assert counts == {"train": 45_000, "validation": 5_000, "test": 10_000}
    # The well-known mean RGB of CIFAR-10 is 0.4914, 0.4822, 0.4465 of 255. JPEG and the held-out
    # tenth change it slightly.
    mean = json.loads((shards / "dataset.json").read_text())["mean_rgb"]
    np.testing.assert_allclose(mean, 255 * np.array([0.4914, 0.4822, 0.4465]), atol=0.5)
    words = [
        "--arch",
        "vgg11_bn",
        "--data",
        shards,
        "--width",
        "0.25",
        "--epochs",
        "2",
        "--steps-per-epoch",
        "50",
    ]
    result = call("vgg_tf.train", *words, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    errors = [
        float(line.split(",")[-1])
        for line in (tmp_path / "run" / "log.csv").read_text().splitlines()[1:]
    ]
    assert errors[-1] < 70, "chance is 90 %"
