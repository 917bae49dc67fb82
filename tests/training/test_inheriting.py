"""Weights are inherited once for all processes, and decide the scale of the random kernels."""

import types

import numpy as np
import pytest

from vgg_tf import build_vgg, read_weights, write_weights
from vgg_tf.paper.recipes import Recipe
from vgg_tf.training import inheriting


@pytest.mark.parametrize(
    ("layers", "mean", "std", "expected"),
    [
        ("paper", (9.0,) * 3, (5.0,) * 3, True),
        ("all-matching", (9.0,) * 3, None, False),
        ("block1_conv1, fc1", (9.0,) * 3, (5.0,) * 3, True),
        ("fc1,fc2", (9.0,) * 3, (5.0,) * 3, None),  # the statistics are not inherited
        ("paper", None, None, None),  # unknown
    ],
)
def test_random_kernels_fit_the_standardization_of_inherited_weights(layers, mean, std, expected):
    settings, weights = (
        types.SimpleNamespace(inherit_layers=layers),
        types.SimpleNamespace(mean=mean, std=std),
    )
    assert inheriting.divides_by_std(weights, settings) is expected
    assert inheriting.divides_by_std(None, settings) is None


def test_only_the_first_process_writes_the_report_of_inherited_weights(tmp_path, capsys):
    source, target = (
        build_vgg("vgg11", input_shape=(32, 32, 3), classes=2, width=1 / 16, seed=i)
        for i in range(2)
    )
    write_weights(source, tmp_path / "w.safetensors")
    settings = types.SimpleNamespace(inherit_layers="all-matching", recipe=Recipe())
    for writes in (False, True):
        run = types.SimpleNamespace(
            path=lambda name: str(tmp_path / name), settings=settings, writes=writes
        )
        inheriting.inherit(run, target, read_weights(tmp_path / "w.safetensors"), None)
        np.testing.assert_array_equal(
            target.get_layer("fc1").kernel.numpy(), source.get_layer("fc1").kernel.numpy()
        )
        assert (tmp_path / "inherited.txt").exists() == writes
        assert ("11 layers copied" in capsys.readouterr().out) == writes
