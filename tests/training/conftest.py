"""A table with `shallow`, runs that tests of several files read, and no drawing of curves."""

import pytest


@pytest.fixture(scope="module")
def shallow_throughout():
    """The table of architectures has `shallow` and `shallow_bn` for all tests of a file."""
    from tests.making import shallow

    with shallow():
        yield


@pytest.fixture
def undrawn_curves(monkeypatch):
    """Curves take half a second, so only those of `whole`, which is trained before this, are
    drawn.
    """
    from vgg_tf.runs import run_folder

    monkeypatch.setattr(run_folder.Run, "draw", lambda run, make: None)


@pytest.fixture(scope="module")
def whole(once, shallow_throughout):
    """A run that nothing interrupts."""
    from tests.training.making_runs import train

    return once("whole_training", lambda folder: train(folder / "run")) / "run"


@pytest.fixture(scope="module")
def stopped(once, shallow_throughout):
    """The same run, interrupted after the third epoch."""
    from tests.training.making_runs import StopError, train

    def make(folder):
        with pytest.raises(StopError):
            train(folder / "run", stop="epoch 3/")

    return once("stopped_training", make) / "run"
