"""The program writes all formats and a report, and refuses wrong flags."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import keras
import pytest

from tests.formats.making_networks import CLASSES, SHALLOW
from vgg_tf import export
from vgg_tf.evaluation import checkpoint
from vgg_tf.formats import coreml, round_trip

pytestmark = pytest.mark.usefixtures("table")


def test_the_program_writes_all_formats_and_a_report(done):
    report = json.loads((done / "out/export.json").read_text())
    assert [row["format"] for row in report["formats"]] == list(round_trip.SUFFIXES)
    assert report["classes"] == list(CLASSES)
    for row in report["formats"]:
        assert row["n"] == 6
        assert row["layers"] == 11
        assert os.path.exists(row["file"])
        assert row["log_posterior"] < round_trip.LIMITS.get(row["format"], 1e-3)
    assert report["notes"] == [coreml.UNCHECKED]
    assert report["compared_on"] == "two photographs of scikit-learn"
    assert report["calibrated_on"] == "20 views of two photographs of scikit-learn"


def test_a_dot_in_the_name_of_a_run_begins_no_suffix(file, tmp_path, monkeypatch):
    opened = checkpoint.open_checkpoint(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        checkpoint, "open_checkpoint", lambda path: replace(opened, path=path, run="a run")
    )
    for name in ("vgg11-lr0.01", "vgg11-lr0.05"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        export.main([f"runs/{name}", "--format", "onnx", "--n", "2"])
        assert (tmp_path / "exports" / name / f"{name}.onnx").exists()


@pytest.mark.slow  # starts a process, on another engine
def test_tensorflow_writes_the_files_even_if_keras_backend_is_jax(file, tmp_path):
    words = [str(file), "--format", "savedmodel", "--out", str(tmp_path), "--n", "2"]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    code = f"""
from tests.making import shallow
from vgg_tf import export
from vgg_tf.weights import container
container.Weights.width = 1 / 8  # as in the fixture `table`
with shallow({SHALLOW["shallow_bn"].kernels}):
    export.main({words})
import keras, os
assert (keras.config.backend(), os.environ['KERAS_BACKEND']) == ('tensorflow', 'jax')
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )  # takes seconds, for the imports
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "shallow_bn-savedmodel" / "saved_model.pb").exists()


def test_a_keras_on_another_engine_is_refused(file, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(
        ValueError, match=r"needs Keras on TensorFlow. Received: Keras was imported on jax"
    ):
        export.main([str(file)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "16x32"], "--size must be at least 32x32.* Received: --size 16x32"),
        (["--size", "big"], "--size must be HxW"),
        (["--n", "0"], "--n must be at least 1"),
    ],
)
def test_wrong_flags_of_the_export_are_refused(file, words, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.main([str(file), "--out", str(tmp_path / "out"), *words])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "package"),
    [("onnx", "onnx"), ("litert", "ai_edge_litert.interpreter"), ("coreml", "coremltools")],
)
def test_a_missing_package_is_an_error_with_the_pip_command(
    file, kind, package, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf'pip install "vgg_tf\[{kind}\]"'):
        export.main([str(file), "--format", kind, "--out", str(tmp_path / "out"), "--n", "2"])
    assert os.listdir(tmp_path / "out") == []
