"""The learning rate follows its schedule and drops on a plateau."""

import math

import numpy as np
import pytest

from vgg_tf.runs.state import Plateau
from vgg_tf.training.schedules import Schedule


@pytest.mark.parametrize(
    ("kind", "warmup"), [("cosine", 0), ("cosine", 20), ("one-cycle", 30), ("step", 0)]
)
def test_schedules_follow_their_formulas(kind, warmup):
    schedule = Schedule(kind, 0.1, total=100, warmup=warmup, factor=0.1, drops=3)
    rates = np.array([float(schedule(step)) for step in range(100)])

    def formula(step):
        if kind == "step":
            return 0.1 * 0.1 ** (step // 25)
        if step < warmup - 1:
            return 0.1 * (step + 1) / warmup
        left = min(1, (100 - step) / (100 - warmup))
        return 0.1 * left if kind == "one-cycle" else 0.1 * (1 + math.cos(math.pi * (1 - left))) / 2

    np.testing.assert_allclose(rates, [formula(step) for step in range(100)], rtol=1e-4, atol=1e-6)


def test_a_plateau_longer_than_patience_drops_the_learning_rate_and_finally_stops():
    plateau, story = Plateau(), []
    for error in [50, 40, 41, 40, 39, 39, 39, 39, 39, 39]:
        plateau, drop, stop = plateau.after(error, patience=2, most=2)
        story.append("drop" if drop else "stop" if stop else "")
    assert story == ["", "", "", "drop", "", "", "drop", "", "stop", "stop"]
