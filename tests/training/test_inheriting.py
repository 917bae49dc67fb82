"""Weights are inherited once for all processes, and decide the scale of the random kernels."""

import types

import numpy as np
import pytest

from vgg_tf import build_vgg, read_weights, write_weights
from vgg_tf.paper.recipes import Recipe
from vgg_tf.training import flags, inheriting


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


WIDTHS = ["--width", "0.125", "--head-width", "8"]
FACTS = ("arch", "width", "head_width", "size", "scale", "epochs", "flip")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("vgg11_bn", 0.0625, 16, 32, (32, 40), 12, True)),
        (["--size", "64"], ("vgg11_bn", 0.0625, 16, 64, (64, 80), 12, True)),
        (["--scale", "48", "--no-flip"], ("vgg11_bn", 0.0625, 16, 32, (48, 48), 12, False)),
        (["--arch", "vgg13", *WIDTHS], ("vgg13", 0.125, 8, 32, (32, 40), 12, True)),
        (["--recipe", "cifar"], ("vgg11_bn", 0.0625, 16, 32, (32, 32), 60, True)),
        (["--smoke"], ("vgg11_bn", 0.0625, 16, 32, (32, 40), 2, True)),
    ],
)
def test_the_network_is_that_of_the_weights_and_flags_win(tmp_path, words, expected):
    network = build_vgg("vgg11_bn", input_shape=(32, 32, 3), classes=3, width=1 / 16, head_width=16)
    write_weights(network, tmp_path / "w.safetensors")
    words = ["--inherit", str(tmp_path / "w.safetensors"), *words]
    parsed, _ = flags.parse(words, check_inherit=True)
    found = vars(parsed) | vars(parsed.numbers)
    assert tuple(found[name] for name in FACTS) == expected
    assert parsed.inherit_layers == "all-matching"


def test_a_begun_run_needs_its_weights_no_longer(digits_trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = str(digits_trained / "run")
    parsed, _ = flags.parse(["--inherit", "gone.keras", "--out", run], check_inherit=True)
    assert (parsed.arch, parsed.numbers.width) == ("vgg11", 0.25 / 8)
    assert inheriting.read_inherited_weights(parsed, run) == (None, "")


def test_where_nothing_fits_the_message_has_the_flags_that_would():
    target = build_vgg("vgg11", input_shape=(32, 32, 3), classes=2, width=1 / 16)
    run = types.SimpleNamespace(
        path=lambda name: "nowhere",
        settings=types.SimpleNamespace(inherit_layers="all-matching", recipe=Recipe()),
        writes=False,
    )
    advice = "--arch vgg11_bn --width 0.5 --head-width 256 --inherit-layers all-matching"
    with pytest.raises(ValueError, match=f"0 layers copied(.|\n)*{advice}"):
        inheriting.inherit(run, target, read_weights("cifar10"), None)


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
