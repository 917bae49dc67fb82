"""The program writes all formats and a report, and refuses wrong flags."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from tests.formats.making_networks import CLASSES, SHALLOW
from vgg_tf import export
from vgg_tf.evaluation import checkpoint
from vgg_tf.formats import coreml, round_trip
from vgg_tf.functions import export_files

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


def test_formats_are_a_list_and_a_later_export_keeps_earlier_entries(file, tmp_path, monkeypatch):
    found = {"bytes": 1, "ms_an_image": 1.0, "top1_agreement": 1.0}
    found |= {"log_posterior": 0.0, "posterior": 0.0}
    missing = set()

    def write(kind, network, path, *rest):
        if kind in missing:
            raise ModuleNotFoundError(kind)
        Path(path).write_bytes(b"")
        return found

    monkeypatch.setattr(export_files, "write_checked", write)
    monkeypatch.chdir(tmp_path)
    words = [str(file), "--out", "out", "--n", "1", "--format"]

    def known():
        return [row["format"] for row in json.loads(Path("out/export.json").read_text())["formats"]]

    export.main([*words, "ONNX, litert"])
    export.main([*words, "savedmodel"])
    assert known() == ["savedmodel", "litert", "onnx"]
    # A format that is named must be written. The files before it are not forgotten.
    Path("out/shallow_bn.tflite").unlink()
    missing.add("onnx")
    with pytest.raises(ModuleNotFoundError, match="onnx"):
        export.main([*words, "litert-float16,onnx"])
    assert known() == ["savedmodel", "litert-float16", "onnx"]
    export.main([*words, "all"])
    assert len(known()) == 6


@pytest.mark.parametrize("words", ["onnx,tflite,torch", "tflite,,torch", "torch,tflite,all"])
def test_unknown_formats_are_listed_before_anything_is_imported(words):
    code = f"""
import sys
from vgg_tf import export
try:
    export.main(["nosuchrun", "--format", {words!r}])
except ValueError as error:
    print(error, *sorted(sys.modules.keys() & {{"numpy", "keras", "tensorflow"}}))
"""
    if words != "onnx,tflite,torch":  # the same without a process, which takes a second
        with pytest.raises(ValueError, match=r"unknown: (tflite, torch|torch, tflite)\. "):
            export.main(["nosuchrun", "--format", words])
        return
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert out.startswith("--format must be names separated by commas: savedmodel, litert, ")
    assert out.endswith("unknown: tflite, torch. Try --format onnx,litert.\n")


def test_a_dot_in_the_name_of_a_run_begins_no_suffix(file, tmp_path, monkeypatch):
    opened = checkpoint.open_checkpoint(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        checkpoint, "open_checkpoint", lambda path, **_: replace(opened, path=path, run="a run")
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
        (["--format", ","], "--format must be names .* Received: --format ','. Try"),
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
