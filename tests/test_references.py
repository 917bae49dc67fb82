"""Files of version 0.1 still open, with the same numbers.

Commit 20cb104, before the modules were in packages, wrote `tests/references` on two cores with AMX,
in float32 on one thread. The folder has:

- class folders, VOC pictures, and our shards of both
- shards of slim and of tensorflow-datasets
- a run of three steps, and an export of each format
- a `.keras` file of vgg11_lrn with its probabilities
- the first training batch of each source
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.making import ROOT, call
from vgg_tf import load_dataset, read_weights
from vgg_tf.formats import runtimes
from vgg_tf.runs.run_folder import open_run, read_run
from vgg_tf.training.model import build, make_optimizer

REFERENCES = Path(__file__).parent / "references"
# Another processor may add float32 numbers in another order.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
WORDS = (
    "--arch vgg11_bn --width 0.015625 --head-width 4 --strategy cpu --precision float32"
).split()
WORDS += "--data shards --recipe cifar --epochs 1 --steps-per-epoch 3 --batch-size 4".split()


@pytest.fixture
def references(tmp_path, monkeypatch):
    """Return a copy as the current folder, since readers may lock a folder or write into it."""
    shutil.copytree(REFERENCES, tmp_path / "references")
    monkeypatch.chdir(tmp_path / "references")
    return tmp_path / "references"


SOURCES = ["pictures", "voc", "shards", "shards-with-boxes", "slim", "tfds", "digits"]


@pytest.mark.parametrize("source", SOURCES)
def test_the_first_batch_of_a_source_has_the_same_pixels(references, source):
    expected = np.load("batches.npz")
    images, labels = next(
        iter(load_dataset(source, "train", batch_size=2, size=16, scale=(16, 20), seed=1, epoch=0))
    )
    np.testing.assert_array_equal(labels, expected[f"{source} labels"])
    np.testing.assert_allclose(
        images, expected[source], atol=1
    )  # another processor may round to the next level
    assert np.abs(np.int32(images) - expected[source]).mean() < 0.01


@pytest.mark.slow
def test_three_steps_on_one_thread_end_with_the_same_weights(references):
    # Takes 15 s, for a process of its own: the number of threads is set when TensorFlow starts.
    one = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "PYTHONPATH": ROOT}
    command = [sys.executable, "-m", "vgg_tf.train", *WORDS, "--out", "again"]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | one)
    assert result.returncode == 0, result.stderr
    found, expected = (load_file(Path(run) / "last.safetensors") for run in ("again", "run"))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, **CLOSE, err_msg=name)


def test_a_run_folder_opens_and_is_complete(references):
    run = read_run("run")
    assert run.settings.recipe.steps_per_epoch == 3
    found = keras.saving.load_model("run/model.keras").predict(np.load("views.npy"), verbose=0)
    np.testing.assert_allclose(found, np.load("run.npy"), **CLOSE)
    assert len(read_weights("run").layers) == 19  # 8 convolutions, 8 normalizations, 3 of the head
    result = call("vgg_tf.train", *WORDS, "--out", "run")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("run is done")


def test_the_state_of_a_run_is_restored_into_a_network_and_its_optimizer(references):
    recipe = read_run("run").settings.recipe
    (references / "run" / "report.json").unlink()
    with open_run("run", read_run("run").settings) as run:
        model = build("vgg11_bn", recipe, run.read_collection())
        optimizer = make_optimizer(recipe, 3)
        optimizer.build(model.trainable_variables)
        state, _ = run.restore(model, optimizer)
    assert (state.epoch, int(optimizer.iterations)) == (1, 3)


EXPORTS = [
    "run.onnx",
    "run.tflite",
    "run-float16.tflite",
    "run-int8.tflite",
    "run-savedmodel",
    "run.mlpackage",
]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_exported_file_has_its_classes_and_returns_the_probabilities(references, name):
    report = json.loads(Path("exports/export.json").read_text())
    run, about = runtimes.open_model(f"exports/{name}")
    assert about["classes"] == report["classes"] == ["ant", "bee"]
    limit = {"run-float16.tflite": 0.01, "run-int8.tflite": 0.1}.get(name, 1e-5)
    np.testing.assert_allclose(run(np.load("views.npy")), np.load("run.npy"), atol=limit)


def test_a_keras_file_of_vgg11_lrn_opens_although_its_layer_class_has_moved(references):
    # Keras finds the class by its registered name after an import of `models.vgg`, such as by
    # `from vgg_tf import build_vgg`.
    model = keras.saving.load_model("vgg11_lrn.keras")
    np.testing.assert_allclose(
        model.predict(np.load("views.npy"), verbose=0), np.load("vgg11_lrn.npy"), **CLOSE
    )
