"""Two processes, connected by JAX, train and test one network as one process does."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.making import ROOT, call, shallow, undrawn
from tests.runtime.making_processes import JAX, SLURM, WORDS, end, free_port, start
from vgg_tf.records.collection import Collection


def assert_alike(one, other):
    """Assert that two final states are equal to 1e-4.

    The sums of float32 have another order. The steps are so few that rounding moves no unit across
    its ReLU.
    """
    one, other = (load_file(folder / "last.safetensors") for folder in (one, other))
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_allclose(other[key], value, rtol=1e-4, atol=1e-4, err_msg=key)


def assert_errors_alike(said, other):
    """Assert that two programs printed the same errors; of 360 images, two may differ."""
    one, other = (
        re.findall(r"([\d.]+) %|(n=\d+)", text.splitlines()[-1]) for text in (said, other)
    )
    assert len(one) == len(other) > 1
    for (error, n), (other_error, other_n) in zip(one, other, strict=True):
        assert n == other_n
        assert float(error or 0) == pytest.approx(float(other_error or 0), abs=0.6)


DIGITS = [*WORDS, "--epochs", "1", "--steps-per-epoch", "3"]
OWN = [
    *WORDS,
    "--recipe",
    "digits",
    "--cache",
    "none",
    "--epochs",
    "1",
    "--steps-per-epoch",
    "2",
    "--data",
]

# One process trains on the digits. Then it trains on the batches that two processes would read,
# each from its own shards.
ALONE = """
import json, sys
import numpy as np
import tensorflow as tf
from tests.making import shallow
from vgg_tf import train
from vgg_tf.training.flags import parse
from vgg_tf.data import loading
from vgg_tf.records.collection import Collection
from vgg_tf.runs import run_folder
from vgg_tf.runs.settings import Settings
from vgg_tf.runtime import devices
from vgg_tf.training import loop
from vgg_tf.training.model import build, plan_steps
folder, digits, shards, own = *sys.argv[1:3], sys.argv[3], json.loads(sys.argv[4])
def read(split, **options):
    options |= {"batch_size": plan.batch, "size": recipe.size, "seed": recipe.seed}
    parts = [loading.load_dataset(shards, split, part=(i, 2), **options) for i in range(2)]
    return tf.data.Dataset.zip(*parts).map(
        lambda one, two: tuple(tf.concat(rows, 0) for rows in zip(one, two))
    )
def training_batches(epoch):
    views = {"scale": recipe.scale, "flip": recipe.flip, "shift": recipe.rgb_shift}
    return read("train", epoch=epoch, steps=plan.steps, **views)
with shallow():
    train.main([*json.loads(digits), "--out", f"{folder}/digits"])
    flags, _ = parse([*own, shards])
    recipe, collection = flags.numbers, Collection.read(shards)
    device = devices.choose("cpu")
    import keras
    keras.utils.set_random_seed(recipe.seed)
    plan = plan_steps(recipe, collection.count_images("train"))
    settings = Settings(flags.arch, shards, collection.fingerprint, device.policy, recipe)
    with run_folder.open_run(f"{folder}/own", settings) as run:
        model = build(flags.arch, recipe, collection)
        validation = read("validation", scale=recipe.evaluation_scale)
        feed = loop.Feed(plan.steps, plan.batch, training_batches, validation)
        loop.train(run, model, feed)
"""


@pytest.fixture
def alone(once, shards):
    """Return a folder of one process's results: `digits`, `own`, and the closing line in `said`."""

    def make(folder):
        words = [sys.executable, "-c", ALONE, folder, json.dumps(DIGITS), shards, json.dumps(OWN)]
        result = subprocess.run(
            [*map(str, words)],
            capture_output=True,
            text=True,
            env=JAX | {"KERAS_BACKEND": "jax"},
            cwd=ROOT,
        )
        assert result.returncode == 0, result.stderr
        (folder / "said").write_text(
            next(line for line in result.stdout.splitlines() if line.startswith("test top-1"))
        )

    pytest.importorskip("jax")
    return once("hosts_alone", make)


@pytest.mark.slow
def test_two_processes_train_and_test_as_one_does(tmp_path, alone, monkeypatch):
    # Starts four processes on JAX.
    (code, said, errors), (other_code, other_said, _) = end(
        start(["vgg_tf.train", *DIGITS, "--out", tmp_path / "two"])
    )
    assert (code, other_code, errors) == (0, 0, "")
    assert "CPU cores in 2 processes" in said
    assert "error" not in other_said  # only the first process prints
    assert_alike(alone / "digits", tmp_path / "two")
    assert_errors_alike(said, (alone / "said").read_text())
    names = [
        sorted(path.name for path in folder.iterdir())
        for folder in (alone / "digits", tmp_path / "two")
    ]
    assert names[0] == names[1]
    assert Collection.read(tmp_path / "two").count_images("test") == 360
    (code, said, _), *_ = end(
        start(["vgg_tf.evaluate", tmp_path / "two", "--batch-size", 48, "--strategy", "cpu"])
    )
    assert code == 0
    assert [path.name.count(".") for path in (tmp_path / "two" / "posteriors").iterdir()] == [
        1
    ]  # the parts of the processes are merged
    shutil.rmtree(tmp_path / "two" / "posteriors")  # else the next test would read them
    undrawn(monkeypatch)
    with shallow():
        one = call("vgg_tf.evaluate", tmp_path / "two", "--strategy", "cpu")
    assert one.returncode == 0, one.stderr
    assert_errors_alike(said, one.stdout)


@pytest.mark.slow
def test_two_processes_with_own_shards_train_as_one_and_slurm_needs_no_flags(
    tmp_path, alone, shards
):
    port = 61440 + free_port() % 4096  # JAX computes the port from the number of the job
    environment = SLURM | {
        "SLURM_JOB_ID": str(port - 61440),
        "SLURM_PROCID": "{}",
        "SLURM_LOCALID": "{}",
    }
    results = end(start(["vgg_tf.train", *OWN, shards, "--out", tmp_path / "two"], **environment))
    assert [code for code, *_ in results] == [0, 0], results
    assert "CPU cores in 2 processes" in results[0][1]
    assert_alike(alone / "own", tmp_path / "two")
