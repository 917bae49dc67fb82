"""The devices and networks of a report: real ones, and small ones to compare with the CPU."""

import functools
import time
from dataclasses import dataclass, replace
from types import SimpleNamespace

from vgg_tf.paper.recipes import Recipe


@dataclass(frozen=True)
class Size:
    """How large the networks of a report are.

    Attributes:
        arch: Architecture of all networks.
        speed: `Recipe` of the steps that are timed.
        small: `Recipe` of the networks that are compared with the CPU.
        batch: Images per device in timed steps.
        seconds: Duration of each measurement.
    """

    arch: str
    speed: Recipe
    small: Recipe
    batch: int
    seconds: float


_TINY = Recipe(size=32, scale=(32, 32), width=0.0625, head_width=16, epochs=2)
SIZES = {
    # 128 images of VGG-16 need 6 GiB, by libtpu's compiler. v5e has 15.75.
    "full": Size("vgg16", Recipe(), replace(_TINY, size=64, scale=(64, 64), width=0.25), 128, 20),
    "tiny": Size("vgg11", _TINY, _TINY, 2, 0.2),
}
CLASSES = 10


class Bench:
    """The devices and the networks of a report.

    Attributes:
        devices: The `Devices` that are checked.
        size: The `Size`.
        folder: Path of an empty folder for run folders.
    """

    def __init__(self, devices, size, folder):
        """Keep the arguments; nothing is built."""
        self.devices, self.size, self.folder = devices, size, folder

    @property
    def cpu(self):
        """The CPU that computes what the devices should find, as `Devices`."""
        import jax

        device = jax.devices("cpu")[0]
        alone = {"replicas": 1, "distribution": None, "device": device}
        return replace(self.devices, kind="cpu", policy="float32", **alone)

    def build(self, recipe):
        """Return a network, and the same up to its logits, compiled. Call it inside a scope."""
        from vgg_tf.training.model import build, compile_scores, drop_softmax, make_optimizer

        unseen = SimpleNamespace(mean_rgb=(0.0,) * 3, std_rgb=(1.0,) * 3, classes=range(CLASSES))
        model = build(self.size.arch, recipe, unseen)
        scores = drop_softmax(model)
        compile_scores(scores, make_optimizer(recipe, 100))
        return model, scores

    @functools.cached_property
    def timed(self):
        """The network of the timed steps, its batch, and its seconds per step of one fixed batch.

        The fixed batch is sent to the devices in each step, as any batch.
        """
        import tensorflow as tf

        batch = self.size.batch * self.devices.replicas
        images, labels = make_pixels(self.size.speed, batch)
        fixed = tf.data.Dataset.from_tensors((images, labels))
        with self.devices.scope():
            _, scores = self.build(self.size.speed)
            return scores, batch, time_steps(scores, fixed.repeat, self.size.seconds)


def make_pixels(recipe, n, seed=0):
    """Return `n` random images, uint8, and their labels, int32."""
    import numpy as np

    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (n, recipe.size, recipe.size, 3), np.uint8)
    return images, random.integers(0, CLASSES, n).astype(np.int32)


def time_steps(scores, take, seconds):
    """Return the seconds of a training step, after the steps that compile.

    Args:
        scores: A compiled network. Its weights change.
        take: Function of a number of batches to a `tf.data.Dataset` of so many.
        seconds: Duration of the measurement.

    Returns:
        float.
    """
    found = None
    for n in (2, 3, None):
        n = n or max(3, min(500, int(seconds / found)))
        start = time.perf_counter()
        scores.fit(take(n), epochs=1, verbose=0, shuffle=False)
        found = (time.perf_counter() - start) / n
    return found
