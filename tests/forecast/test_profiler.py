"""The profile of a step names its layers, adds up, and shows the time spent waiting for data."""

import os
import pickle
import re
import time

import numpy as np
import pytest
import tensorflow as tf

from tests.making import TINY, shallow, shallow_program
from vgg_tf import build_vgg, train
from vgg_tf.forecast import profiler
from vgg_tf.training import optimizers
from vgg_tf.training.model import compile_scores, drop_softmax


@pytest.fixture(scope="module")
def network():
    with shallow(((3,),) * 5):
        model = build_vgg(
            "shallow_bn",
            input_shape=(32, 32, 3),
            classes=10,
            width=0.5,
            std=(60.0, 60.0, 60.0),
            seed=0,
        )
    scores = drop_softmax(model)
    compile_scores(scores, optimizers.Muon(0.01, share=0.5, momentum=0.9))
    return scores


def batches(pause=0.0):
    random = np.random.default_rng(0)
    images, labels = (
        random.integers(0, 256, (32, 32, 32, 3), np.uint8),
        random.integers(0, 10, 32).astype("int32"),
    )

    def slowly(image, label):
        return tf.numpy_function(lambda x: time.sleep(pause) or x, [image], tf.uint8), label

    one = tf.data.Dataset.from_tensors((images, labels)).repeat(12)
    one = one.map(slowly).map(lambda x, y: (tf.ensure_shape(x, images.shape), y)) if pause else one
    return lambda epoch: one.apply(tf.data.experimental.assert_cardinality(12))


@pytest.fixture
def found(once, request):
    def make(folder):
        profile = profiler.profile(
            request.getfixturevalue("network"), batches(), 6, str(folder / "trace")
        )
        (folder / "profile").write_bytes(pickle.dumps(profile))

    return pickle.loads((once("profile", make) / "profile").read_bytes())


def test_the_profile_names_the_forward_and_backward_pass_of_every_layer(found):
    # The fixture traces a training with Muon.
    names = {(name, phase) for name, phase in found.parts}
    for block in range(1, 6):
        for name in (f"block{block}_conv1", f"block{block}_bn1", f"block{block}_pool"):
            assert {(name, "forward"), (name, "backward")} <= names
    assert {
        ("fc1", "forward"),
        ("fc2", "backward"),
        ("predictions", "backward"),
        ("optimizer", ""),
    } <= names
    assert ("normalize", "backward") not in names
    assert {name for name, phase in names if not phase} == {
        "optimizer",
        "loss, weight decay, metrics",
    }
    assert found.device == "/host:CPU"


def test_parts_add_up_to_the_step_and_convolutions_take_most_of_the_layers(found):
    assert 0.3 * found.step < sum(found.parts.values()) < os.cpu_count() * found.step
    layers = {
        name: seconds for name, seconds in found.parts.items() if name != ("optimizer", "")
    }  # of 32 images, Muon takes half of the time
    convolutions = sum(seconds for (name, _), seconds in layers.items() if "conv" in name)
    assert convolutions > 0.5 * sum(layers.values())


@pytest.mark.slow
def test_the_profile_shows_how_long_a_step_waits_for_data(found, network, tmp_path):
    slow = profiler.profile(network, batches(pause=0.5), 3, str(tmp_path))  # 5 s of pauses
    assert found.waiting < 0.1 * found.step
    assert 0.12 < slow.waiting < 0.51  # computation may overlap the pause
    assert slow.input_alone == pytest.approx(32 / 0.5, rel=0.1)
    assert slow.batch == 32
    assert re.search(r"waiting for the input: [\d.]+ ms a step, \d\d\.\d\d%", str(slow))


def test_a_profile_of_more_steps_than_an_epoch_has_is_refused(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"--profile must be at most 10: an epoch has 12 steps, .* Received: --profile 11\.",
    ):
        profiler.profile(None, batches(), 11, str(tmp_path))


def test_the_flag_prints_the_table_and_creates_no_run_folder(tmp_path, monkeypatch, capsys):
    # A training is traced. Measuring all digits would take two seconds more.
    monkeypatch.chdir(tmp_path)
    words = [
        "--arch",
        "shallow",
        *TINY,
        "--limit-per-class",
        "16",
        "--profile",
        "3",
        "--strategy",
        "cpu",
    ]
    with shallow():
        train.main([*words, "--out", "runs/a/"])
    said = capsys.readouterr().out
    assert re.search(
        r"a step of 16 images: [\d.]+ ms, \d+ images/s\ninput alone: [\d,]+ images/s", said
    )
    assert re.search(r"\nblock1_conv1 +[\d.]+ +[\d.]+ +[\d.]+%", said)
    assert re.search(r"\noptimizer +[\d.]+", said)
    assert [path.name for path in tmp_path.glob("runs/*")] == ["a-profile"]


@pytest.mark.slow
def test_a_profile_on_jax_lists_kinds_of_operations(tmp_path):
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    words = ["vgg_tf.train", "--arch", "shallow", "--profile", "3", "--strategy", "cpu"]
    result = shallow_program(*words, env=environment, cwd=tmp_path)
    assert re.search(r"a step of 16 images: [\d.]+ ms", result.stdout), result.stderr
    assert re.search(r"\nconvolution +[\d.]+ +[\d.]+%", result.stdout)
    assert "waiting" not in result.stdout
