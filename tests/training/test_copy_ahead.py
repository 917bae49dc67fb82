"""A batch is copied to the devices while the step before it runs, and no more than that."""

import json
import os
import subprocess
import sys

import keras
import pytest

from tests.making import ROOT, needs_jax
from vgg_tf.training.copy_ahead import CopyAhead, lacks_copy_ahead

# Three trainings on eight logical devices, with Keras' iterator and with ours: in the first two the
# loss is read after each step, as many callbacks do. Steps and copies sleep, so that the times do
# not depend on what else runs here.
WORKER = """
import contextlib, json, time
import jax, keras, numpy as np, tensorflow as tf
from keras.src.backend.jax import trainer
from vgg_tf.training.copy_ahead import CopyAhead
BATCH, STEPS, SIDE = 16, 10, 16
keras.distribution.set_distribution(keras.distribution.DataParallel(
    devices=[f"cpu:{i}" for i in range(8)], auto_shard_dataset=False))
PAUSE = 0.2  # seconds
copy, events = trainer._distribute_data, []
def slow_copy(data, layouts=None):
    events.append(("copy", sum(kind == "copy" for kind, _ in events)))
    time.sleep(PAUSE)
    found = copy(data, layouts)
    live = sum(array.shape == (BATCH, SIDE, SIDE, 3) for array in jax.live_arrays())
    devices = len(found[0].sharding.device_set)
    events.append(("live", (live, devices)))
    return found
trainer._distribute_data = slow_copy
class Note(keras.callbacks.Callback):
    def __init__(self, waits):
        super().__init__()
        self.async_safe = not waits
    def on_train_batch_end(self, batch, logs=None):
        events.append(("done", batch))
x = np.random.default_rng(0).normal(size=(STEPS * BATCH, SIDE, SIDE, 3)).astype("float32")
data = tf.data.Dataset.from_tensor_slices((x, np.arange(STEPS * BATCH) % 4))
data = data.batch(BATCH, drop_remainder=True)
@jax.custom_jvp
def nap(loss):
    asleep = lambda value: (time.sleep(PAUSE), value)[1]
    return jax.pure_callback(asleep, jax.ShapeDtypeStruct((), "float32"), loss)
nap.defjvp(lambda primals, tangents: (nap(*primals), tangents[0]))
def train(ahead, waits):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(16, 3, activation="relu", padding="same") for _ in range(2)]
    pool, last = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers, pool, last])
    nats = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", lambda y, logits: nap(nats(y, logits)))
    model.fit(data.take(1), verbose=0, shuffle=False)
    events.clear()
    copies = CopyAhead()
    start = time.perf_counter()
    with copies.active() if ahead else contextlib.nullcontext():
        model.fit(data, verbose=0, shuffle=False, callbacks=[copies, Note(waits)])
    seconds = (time.perf_counter() - start) / STEPS
    early = [events.index(("copy", n + 1)) < events.index(("done", n)) for n in range(STEPS - 1)]
    live = [found for kind, found in events if kind == "live"]
    return {"seconds": seconds, "early": sum(early), "live": max(n for n, _ in live),
            "devices": min(n for _, n in live), "left": trainer.JAXEpochIterator.
            _get_distributed_iterator.__qualname__}, model.get_weights()
found, weights = {"steps": STEPS}, {}
for name, words in {"keras": (False, True), "ours": (True, True), "async": (True, False)}.items():
    found[name], weights[name] = train(*words)
found["equal"] = all(
    np.array_equal(a, b) for name in weights for a, b in zip(weights["keras"], weights[name]))
print(json.dumps(found))
"""


# 15 s: a process of its own, for eight devices.
@pytest.mark.slow
@needs_jax
def test_the_next_batch_is_copied_during_a_step_and_no_third_one():
    if not lacks_copy_ahead():
        pytest.skip("this Keras copies ahead itself")
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, "-c", WORKER],
        env=os.environ | flags | {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["equal"]
    for name in ("ours", "async"):
        assert found[name]["early"] == found["steps"] - 1
        assert found[name]["live"] <= 2
        assert found[name]["devices"] == 8
        assert found[name]["left"].startswith("JAXEpochIterator.")
    assert found["keras"]["early"] == 0
    # A copy that takes as long as a step is hidden: half of the time, and some for a busy machine.
    assert found["ours"]["seconds"] < 0.75 * found["keras"]["seconds"]


def test_nothing_changes_without_a_distribution():
    ahead = CopyAhead()
    with ahead.active():
        assert keras.distribution.distribution() is None
    assert not ahead.closed


@pytest.mark.parametrize(
    ("version", "lacks"), [("3.15.0", True), ("3.15.1", True), ("3.16.0", False), ("4.0.0", False)]
)
def test_only_versions_that_lack_it_are_changed(version, lacks):
    assert lacks_copy_ahead(version) is lacks
