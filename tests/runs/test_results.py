"""result.json says what was found, and how to repeat it."""

import json
import subprocess
from importlib import metadata
from types import SimpleNamespace

import pytest

from vgg_tf.runs import results

CPU = SimpleNamespace(kind="cpu", policy="float32", replicas=1)


def test_a_result_has_errors_as_shares_and_intervals_and_the_command(tmp_path):
    found = {"n": 200, "top1_error": 12.5, "top5_error": 0.0, "loss": 0.25}
    words = ["--data", "my pictures", "--epochs", 3]
    results.write_result(tmp_path, ("vgg_tf.train", words), CPU, found, arch="vgg16", seconds=1.5)
    result = json.loads((tmp_path / "result.json").read_text())
    assert list(result) == list(results.KEYS)
    assert result["command"] == "python -m vgg_tf.train --data 'my pictures' --epochs 3"
    # Wilson's interval by its formula, z = 1.96.
    z, p, n = 1.959964, 0.125, 200
    half = z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    middle, scale = p + z**2 / (2 * n), 1 + z**2 / n
    assert result["top1"]["error"] == 0.125
    assert result["top1"]["low"] == pytest.approx((middle - half) / scale, abs=1e-5)
    assert result["top1"]["high"] == pytest.approx((middle + half) / scale, abs=1e-5)
    assert result["top5"]["error"] == result["top5"]["low"] == 0
    assert (result["n"], result["loss"], result["seconds"]) == (200, 0.25, 1.5)
    assert (result["strategy"], result["precision"]) == ("cpu", "float32")
    assert result["machine"].split()[1].startswith("core")


def test_a_run_without_a_test_has_no_errors(tmp_path):
    results.write_result(tmp_path, ("vgg_tf.train", []), CPU, {"n": 0}, split=None)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["top1"] is result["top5"] is result["split"] is None


def test_the_result_of_a_clone_that_is_not_installed_has_no_version(tmp_path, monkeypatch):
    def find(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", find)
    results.write_result(tmp_path, ("vgg_tf.train", []), CPU, {"n": 0})
    assert json.loads((tmp_path / "result.json").read_text())["version"] is None


def test_an_unknown_fact_is_refused(tmp_path):
    with pytest.raises(TypeError, match="colour"):
        results.write_result(tmp_path, ("vgg_tf.train", []), CPU, {"n": 0}, colour="red")


def test_the_commit_is_that_of_the_checkout_and_says_what_changed(tmp_path):
    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert results.find_commit(tmp_path) is None
    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "One")
    git("tag", "v1")
    commit = git("rev-parse", "HEAD")
    assert results.find_commit(tmp_path) == commit
    (tmp_path / "a").write_text("2")
    assert results.find_commit(tmp_path) == f"{commit}-dirty"
