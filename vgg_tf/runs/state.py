"""State of a run at the end of an epoch, and names of its arrays."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Plateau:
    """State of the paper's learning-rate schedule (section 3.1).

    The learning rate drops each time the validation error stops improving. After the last drop,
    the next plateau ends the training.

    Attributes:
        best: Lowest validation top-1 error so far, in %.
        waited: Epochs since the lowest error, or since the last drop.
        drops: Number of drops so far.
    """

    best: float = float("inf")
    waited: int = 0
    drops: int = 0

    def after(self, error, patience, most):
        """Return the state after one more epoch, and what to do.

        Args:
            error: Validation top-1 error of the epoch, in %.
            patience: Number of epochs without a lower error that make a plateau.
            most: Maximum number of drops.

        Returns:
            plateau: The new `Plateau`.
            drop: bool, whether to drop the learning rate now.
            stop: bool, whether to end the training.
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
    """State of a training run, without the variables of its network and optimizer.

    Attributes:
        epoch: Number of completed epochs.
        best: Lowest validation top-1 error in %, and the loss of that epoch in nats. If two epochs
            have the same error, the lower loss wins.
        best_epoch: Epoch with the lowest error, counted from 1.
        plateau: State of the plateau schedule.
        stopped: True if the plateau after the last drop has ended the training.
        rows: Rows of the log, one dict per epoch.
    """

    epoch: int = 0
    best: tuple[float, float] = (float("inf"), float("inf"))
    best_epoch: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    stopped: bool = False
    rows: tuple[dict, ...] = ()


def list_variables(model, optimizer, read=False):
    """Yield the variables of a network and its optimizer, in the order of the state file.

    Args:
        model: Keras model.
        optimizer: Keras optimizer.
        read: If True, yield the values instead of the variables.

    Yields:
        `(key, variable)`, or `(key, array)` with `read`. A key is such as `model/0003`.
    """
    for owner, variables in (("model", model.variables), ("optimizer", optimizer.variables)):
        for i, variable in enumerate(variables):
            yield f"{owner}/{i:04d}", np.asarray(variable.numpy()) if read else variable
