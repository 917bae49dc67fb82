"""The state of a run at the end of an epoch; the names and the checksum of its arrays."""

import functools
import zlib
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Plateau:
    """The paper's rule: divide when the validation error stops falling, a few times, then stop
    (section 3.1).

    Attributes:
        best: lowest validation error so far, in %.
        waited: epochs since then, or since the last drop.
        drops: drops so far.
    """

    best: float = float("inf")
    waited: int = 0
    drops: int = 0

    def after(self, error, patience, most):
        """The state after an epoch with this validation error, whether to drop the rate now, and
        whether to stop.

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


@dataclass(frozen=True)
class State:
    """What a training knows beyond its variables.

    Attributes:
        epoch: epochs done.
        best: lowest validation top-1 error, in %, and the loss of that epoch, in nats: of equal
            errors the lower loss wins.
        best_epoch: the epoch that had it, from 1.
        plateau: of the plateau schedule.
        stopped: the plateau after the last drop has ended the training.
        rows: of the log, one dict an epoch.
    """

    epoch: int = 0
    best: tuple[float, float] = (float("inf"), float("inf"))
    best_epoch: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    stopped: bool = False
    rows: tuple[dict, ...] = ()


def list_variables(model, optimizer, read=False):
    """Yield `(key, variable)` of a network and its optimizer, in the order of the file; their
    values with `read`.
    """
    for owner, variables in (("model", model.variables), ("optimizer", optimizer.variables)):
        for i, variable in enumerate(variables):
            yield f"{owner}/{i:04d}", np.asarray(variable.numpy()) if read else variable


def compute_checksum(state, arrays):
    """Of the state and all bits of the arrays, in words."""
    parts = (state.encode(), *(array.tobytes() for _, array in sorted(arrays.items())))
    return f"crc32 {functools.reduce(lambda crc, part: zlib.crc32(part, crc), parts, 0):08x}"
