"""Training gives the same result on TensorFlow and JAX, on one device and on several.

Each engine runs in its own process.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.making import ROOT, needs_jax
from tests.training.slow_loss import slow_loss

SEVERAL = {"tensorflow": 2, "jax": 4}
WAYS = [(engine, n) for engine, several in SEVERAL.items() for n in (1, several)]
NETWORKS = [  # Muon's share, smoothing, class weights, largest norm of the gradient, average
    ("shallow", 0.02, 0.0, None, 0.0, 0.0),
    ("shallow_bn", 0.0, 0.1, [0.5, 3.0, 0.0, 1.25], 0.5, 0.6),
]

# For each network: five steps on batches of 8, then a test of 13 images in batches of 8, of which
# the last one is padded.
WORKER = """
import json, sys
import numpy as np
import tensorflow as tf
engine, several, networks, out = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * several)
from vgg_tf.runtime.devices import choose
devices = choose("cpu", "float32")
replicas = 1 if engine == "tensorflow" else several
assert (devices.engine, devices.replicas) == (engine, replicas), devices
import contextlib, keras
scopes = {1: contextlib.nullcontext, several: devices.scope}
if engine == "tensorflow":
    mirrored = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(several)])
    scopes = {1: devices.scope, several: mirrored.scope}
from tests.making import shallow
from vgg_tf.training.cross_entropy import make_cross_entropy
from vgg_tf.training.model import compile_scores, drop_softmax, evaluate, make_optimizer
from vgg_tf.models.vgg import build_vgg
from vgg_tf.training.moments import make_estimator
from vgg_tf.evaluation.evaluator import Evaluator
from vgg_tf.paper.recipes import Recipe
random = np.random.default_rng(0)
images = random.integers(0, 256, (53, 32, 32, 3)).astype(np.uint8)
labels = random.integers(0, 4, 53).astype(np.int32)
logits = random.normal(0, 3, (53, 4)).astype(np.float32)
nats = make_cross_entropy(0.1, (0.5, 3.0, 0.0, 1.25))(labels, logits)
printed = {"loss": keras.ops.convert_to_numpy(nats).tolist()}
def run(arch, muon, smoothing, weights, clip, average, n):
    with scopes[n]():
        model = build_vgg(
            arch,
            input_shape=(32, 32, 3),
            classes=4,
            width=0.125,
            head_width=16,
            dropout=0.0,
            std=(74.0,) * 3,
        )
        for i, variable in enumerate(model.weights):
            if variable.name == "kernel":
                shape = tuple(variable.shape)
                deviation = (2 / np.prod(shape[:-1])) ** 0.5
                values = np.random.default_rng(i).normal(0, deviation, shape)
                variable.assign(values.astype(np.float32))
        scores = drop_softmax(model)
        recipe = Recipe(learning_rate=0.02, muon=muon, clip_norm=clip, average=average)
        optimizer = make_optimizer(recipe, 5)
        compile_scores(scores, optimizer, smoothing, weights, recall=True)
        assert type(scores.optimizer).__name__ == ("Muon" if muon else "SGD")
        data = tf.data.Dataset.from_tensor_slices((images[:40], labels[:40]))
        data = data.batch(8, drop_remainder=True)
        estimate = make_estimator(model, scores)
        history = scores.fit(data, verbose=0, shuffle=False).history
        if average:
            estimate(data)
        mask = np.float32([1] * 13 + [0] * 3)
        rest = [np.concatenate([x[40:], np.zeros_like(x[:3])]) for x in (images, labels)]
        errors = evaluate(scores, tf.data.Dataset.from_tensor_slices((*rest, mask)).batch(8))
        posteriors = model.predict(images[40:48], verbose=0)
        tests = [(32, "dense"), (40, "dense"), (40, "multi-crop"), (40, "center")]
        evaluator = Evaluator(model, tests, 3, n, static=True)
        pictures = [image[: 32 - i % 2] for i, image in enumerate(images[40:])]  # of two sizes
        cuts = ([view.numpy() for view in evaluator.cut_views(picture)] for picture in pictures)
        found = dict(evaluator.see(enumerate(cuts)))
    assert sorted(found) == list(range(13))
    if engine == "jax" or n == 1:
        model.save(f"{out}{n}-{arch}.keras")
    views = np.stack([found[i] for i in range(13)])
    weights = [variable.numpy() for variable in model.weights]
    np.savez(f"{out}{n}-{arch}", *weights, posteriors=posteriors, views=views)
    printed.setdefault(str(n), {})[arch] = history["loss"][0], errors

with shallow(((3,), (3,), (), (), ())):
    for network in networks:
        for n in scopes:
            run(*network, n)
print(json.dumps(printed))
"""


def train(folder, engine):
    """Return loss and test errors of both networks, on one device and on several.

    Weights and probabilities are written into the folder.
    """
    n = str(SEVERAL[engine])
    environment = os.environ | {
        "KERAS_BACKEND": engine,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={n}",
    }
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", WORKER, engine, n, json.dumps(NETWORKS), str(folder / engine)]
    result = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return results for each way, and weighted losses for each engine.

    Those of a way are loss and errors of each network, and the prefix of its arrays.
    """
    folder = tmp_path_factory.mktemp("engines")
    with ThreadPoolExecutor(2) as pool:  # half of the time is spent on imports
        printed = dict(
            zip(SEVERAL, pool.map(lambda engine: train(folder, engine), SEVERAL), strict=True)
        )
    ways = [(printed[engine][str(n)], folder / f"{engine}{n}") for engine, n in WAYS]
    return ways, {engine: printed[engine]["loss"] for engine in SEVERAL}


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("arch", [arch for arch, *_ in NETWORKS])
def test_five_steps_agree_on_both_engines_and_on_one_two_and_four_devices(results, arch):
    # Tolerance: float32 sums in a different order.
    ways, _ = results
    found = [(*printed[arch], dict(np.load(f"{path}-{arch}.npz"))) for printed, path in ways]
    loss, errors, weights = found[0]
    first = weights["arr_0"]
    start = np.random.default_rng(0).normal(0, (2 / 27) ** 0.5, first.shape)
    for (engine, n), (other_loss, other_errors, others) in zip(WAYS[1:], found[1:], strict=True):
        assert other_loss == pytest.approx(loss, rel=1e-4)
        assert other_errors == pytest.approx(errors, rel=1e-4)
        for name, value in weights.items():
            np.testing.assert_allclose(
                others[name], value, rtol=1e-4, atol=1e-4, err_msg=f"{engine} {n} {name}"
            )
    assert np.abs(first - start).max() > 1e-3


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("engine", SEVERAL)
def test_the_loss_with_class_weights_is_that_of_a_slow_loop(results, engine):
    random = np.random.default_rng(0)
    random.integers(0, 256, (53, 32, 32, 3))  # the images of the worker
    labels, logits = random.integers(0, 4, 53), random.normal(0, 3, (53, 4)).astype(np.float32)
    expected = slow_loss(labels, logits, 0.1, (0.5, 3.0, 0.0, 1.25))
    np.testing.assert_allclose(results[1][engine], expected, rtol=1e-5)
