"""The same training on TensorFlow and on JAX, on one device and on several: each run is a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
PLAIN = [("tensorflow", 1), ("tensorflow", 4), ("jax", 2)]
NORMALISED = [("tensorflow", 1), ("tensorflow", 2), ("jax", 1), ("jax", 4)]  # over the whole batch, which lies on all devices

# Five steps on a batch of 8, then a test of 13 images in batches of 8, the last one filled up.
WORKER = """
import json, sys
import numpy as np
import tensorflow as tf
engine, n, arch, muon, out = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), sys.argv[5]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * n)
from vgg_tf.devices import choose
if engine == "tensorflow" and n > 1:
    scope = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(n)]).scope
else:
    devices = choose("cpu", "float32")
    assert (devices.engine, devices.replicas) == (engine, n), devices
    scope = devices.scope
import keras
from vgg_tf import training
from vgg_tf.network import build_vgg
from vgg_tf.protocols import Evaluator
from vgg_tf.recipes import Recipe
random = np.random.default_rng(0)
images = random.integers(0, 256, (53, 32, 32, 3)).astype(np.uint8)
labels = random.integers(0, 4, 53).astype(np.int32)
with scope():
    model = build_vgg(arch, input_shape=(32, 32, 3), classes=4, width=0.125, head_width=16, dropout=0.0, std=(74.0,) * 3)
    for i, variable in enumerate(model.weights):
        if variable.name == "kernel":
            shape = tuple(variable.shape)
            variable.assign(np.random.default_rng(i).normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape).astype(np.float32))
    scores = training.scores_of(model)
    training.compile_scores(scores, training.make_optimizer(Recipe(learning_rate=0.02, muon=muon), 5))
    assert type(scores.optimizer).__name__ == ("Muon" if muon else "SGD")
    data = tf.data.Dataset.from_tensor_slices((images[:40], labels[:40])).batch(8, drop_remainder=True)
    history = scores.fit(data, verbose=0, shuffle=False).history
    mask = np.float32([1] * 13 + [0] * 3)
    rest = [np.concatenate([x[40:], np.zeros_like(x[:3])]) for x in (images, labels)]
    errors = training.evaluate(scores, tf.data.Dataset.from_tensor_slices((*rest, mask)).batch(8))
    posteriors = model.predict(images[40:48], verbose=0)
    evaluator = Evaluator(model, [(32, "dense"), (40, "dense"), (40, "multi-crop"), (40, "center")], 3, n, static=True)
    pictures = [image[: 32 - i % 3] for i, image in enumerate(images[40:])]  # of three sizes
    found = dict(evaluator.see((i, [v.numpy() for v in evaluator.cut(p)]) for i, p in enumerate(pictures)))
assert sorted(found) == list(range(13))
if engine == "jax" or n == 1:
    model.save(out + ".keras")
views = np.stack([found[i] for i in range(13)])
np.savez(out, *[variable.numpy() for variable in model.weights], posteriors=posteriors, views=views)
print(json.dumps([history["loss"][0], errors]))
"""


def train(folder, engine, n, arch, muon):
    """Loss, test errors, weights and posteriors of one way."""
    environment = os.environ | {"KERAS_BACKEND": engine, "XLA_FLAGS": f"--xla_force_host_platform_device_count={n}"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    out = folder / f"{engine}{n}-{arch}.npz"
    words = [sys.executable, "-c", WORKER, engine, str(n), arch, str(muon), str(out)]
    result = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    loss, errors = json.loads(result.stdout.splitlines()[-1])
    return loss, errors, dict(np.load(out))


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize(("arch", "muon", "ways"), [("vgg11", 0.02, PLAIN), ("vgg11_bn", 0.0, NORMALISED)])
def test_five_steps_end_alike_on_both_engines_and_on_one_two_and_four_devices(tmp_path, arch, muon, ways):
    # Tolerance: float32 sums in another order.
    with ThreadPoolExecutor(2) as pool:  # they spend half of their time on imports
        results = list(pool.map(lambda way: train(tmp_path, *way, arch, muon), ways))
    loss, errors, weights = results[0]
    first = weights["arr_0"]
    start = np.random.default_rng(0).normal(0, (2 / 27) ** 0.5, first.shape)
    for (engine, n), (other_loss, other_errors, others) in zip(ways[1:], results[1:], strict=True):
        assert other_loss == pytest.approx(loss, rel=1e-4)
        assert other_errors == pytest.approx(errors, rel=1e-4)
        for name, value in weights.items():
            np.testing.assert_allclose(others[name], value, rtol=1e-4, atol=1e-4, err_msg=f"{engine} {n} {name}")
    assert np.abs(first - start).max() > 1e-3
