"""Learning-rate schedules as functions of the step. The plateau rule is `state.Plateau`."""

import math

import keras


@keras.saving.register_keras_serializable(package="vgg_tf")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate of each step of the optimizer, counted from 0.

    With accumulation, each part of a batch is a step.

    Args:
        kind: `step`, `cosine` or `one-cycle`, as in `Recipe.schedule`.
        peak: highest learning rate.
        total: number of steps.
        warmup: number of steps of the warm-up.
        factor: factor of each drop, for `step`.
        drops: number of drops, for `step`.
    """

    def __init__(self, kind, peak, total, warmup=0, factor=0.1, drops=3):
        super().__init__()
        self.kind, self.peak, self.total, self.warmup, self.factor, self.drops = (
            kind,
            peak,
            total,
            warmup,
            factor,
            drops,
        )

    def __call__(self, step):
        """Return the learning rate of this step, a scalar."""
        step = keras.ops.cast(step, "float32")
        if self.kind == "step":
            drops = keras.ops.floor(step * (self.drops + 1) / self.total)
            return self.peak * keras.ops.power(self.factor, drops)
        rise = (step + 1) / max(self.warmup, 1)  # not 0 at the first step
        left = keras.ops.clip((self.total - step) / max(self.total - self.warmup, 1), 0.0, 1.0)
        fall = left if self.kind == "one-cycle" else 0.5 - 0.5 * keras.ops.cos(math.pi * left)
        return self.peak * (keras.ops.minimum(rise, fall) if self.warmup else fall)

    def get_config(self):
        """Return the arguments of the constructor."""
        names = ("kind", "peak", "total", "warmup", "factor", "drops")
        return {name: getattr(self, name) for name in names}
