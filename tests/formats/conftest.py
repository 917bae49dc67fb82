"""The table of shallow networks, and files that several test modules read."""

import pytest

from tests.formats.making_networks import SHALLOW, weights
from vgg_tf import export
from vgg_tf.formats import calibration
from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.weights import container


@pytest.fixture
def table(monkeypatch):
    for name, row in SHALLOW.items():
        monkeypatch.setitem(ARCHITECTURES, name, row)
    width = property(lambda weights: weights.layers["block5_conv1"]["kernel"].shape[-1] / 512)
    monkeypatch.setattr(container.Weights, "width", width)  # the original needs all stages


@pytest.fixture
def file(once, table):
    """Return a file with weights of `shallow_bn`."""
    return once("shipped_weights", weights) / "shallow_bn.safetensors"


@pytest.fixture
def done(once, table):
    """Return a folder with all formats of one network, which takes seconds to write and read."""

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calibration, "CALIBRATION", 20)  # each view takes milliseconds
            export.main(
                [str(weights(folder, "vgg11_bn")), "--out", str(folder / "out"), "--n", "6"]
            )

    return once("shipped", make)
