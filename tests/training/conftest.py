"""Fixtures: the architecture `shallow`, runs shared by several files, and no drawing of curves."""

import pytest


@pytest.fixture(scope="module")
def shallow_throughout():
    """Add `shallow` and `shallow_bn` to the table of architectures for all tests of a file."""
    from tests.making import shallow

    with shallow():
        yield


@pytest.fixture
def undrawn_curves(monkeypatch):
    """Skip the drawing of curves, which takes half a second; `whole` is drawn before this."""
    from vgg_tf.runs import run_folder

    monkeypatch.setattr(run_folder.Run, "draw", lambda run, make: None)


@pytest.fixture(scope="module")
def whole(once, shallow_throughout):
    """Return the folder of an uninterrupted run."""
    from tests.training.making_runs import train

    return once("whole_training", lambda folder: train(folder / "run")) / "run"


@pytest.fixture(scope="module")
def stopped(once, shallow_throughout):
    """Return the folder of the same run, interrupted after the third epoch."""
    from tests.training.making_runs import StopError, train

    def make(folder):
        with pytest.raises(StopError):
            train(folder / "run", stop="epoch 3/")

    return once("stopped_training", make) / "run"
