"""The learning rate: a function of the step (step, cosine, one-cycle), or dropped at a plateau of the validation error."""

import math
from dataclasses import dataclass

import keras


@keras.saving.register_keras_serializable(package="vgg_tf")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate of each step of the optimizer, counted from 0; with accumulation, of each part of a batch.

    Args:
        kind: `step`, `cosine` or `one-cycle`, as `Recipe.schedule` explains them.
        peak: highest learning rate.
        total, warmup: steps in all, and of the warm-up.
        factor, drops: for `step`.
    """

    def __init__(self, kind, peak, total, warmup=0, factor=0.1, drops=3):
        super().__init__()
        self.kind, self.peak, self.total, self.warmup, self.factor, self.drops = kind, peak, total, warmup, factor, drops

    def __call__(self, step):
        """Learning rate of this step, a scalar."""
        step = keras.ops.cast(step, "float32")
        if self.kind == "step":
            drops = keras.ops.floor(step * (self.drops + 1) / self.total)
            return self.peak * keras.ops.power(self.factor, drops)
        rise = (step + 1) / max(self.warmup, 1)  # the first step moves, too
        left = keras.ops.clip((self.total - step) / max(self.total - self.warmup, 1), 0.0, 1.0)
        fall = left if self.kind == "one-cycle" else 0.5 - 0.5 * keras.ops.cos(math.pi * left)
        return self.peak * (keras.ops.minimum(rise, fall) if self.warmup else fall)

    def get_config(self):
        """Arguments to make the schedule again."""
        names = ("kind", "peak", "total", "warmup", "factor", "drops")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Plateau:
    """The paper's rule: divide when the validation error stops falling, a few times, then stop (section 3.1).

    Attributes:
        best: lowest validation error so far, in %.
        waited: epochs since then, or since the last drop.
        drops: drops so far.
    """

    best: float = float("inf")
    waited: int = 0
    drops: int = 0

    def after(self, error, patience, most):
        """The state after an epoch with this validation error, whether to drop the rate now, and whether to stop.

        Args:
            error: top-1 error, in %.
            patience: epochs without a lower error that make a plateau.
            most: drops in all; the plateau after the last one ends the training.
        """
        if error < self.best:
            return Plateau(error, 0, self.drops), False, False
        if self.waited + 1 < patience:
            return Plateau(self.best, self.waited + 1, self.drops), False, False
        if self.drops == most:
            return Plateau(self.best, self.waited + 1, self.drops), False, True
        return Plateau(self.best, 0, self.drops + 1), True, False
