"""The CIFAR recipe end to end, on mocked pictures of sets that tensorflow-datasets knows by
name.
"""

import json

import pytest

from tests.making import shallow, uncompile, undrawn
from vgg_tf.evaluate import main as evaluate
from vgg_tf.train import main as train


@pytest.mark.filterwarnings("ignore")  # tensorflow-datasets' own
@pytest.mark.parametrize(
    ("name", "classes", "flags"),
    [
        ("cifar100", 100, []),
        pytest.param("mnist", 10, ["--no-flip"], marks=pytest.mark.slow),
        pytest.param("fashion_mnist", 10, [], marks=pytest.mark.slow),
    ],
)
def test_a_named_set_is_trained_and_tested_with_the_cifar_recipe(
    name, classes, flags, tmp_path, capsys, monkeypatch
):
    # A training and a test; figures would take four seconds, and a network that is compiled to
    # predict one.
    tfds = pytest.importorskip("tensorflow_datasets")
    out = tmp_path / "run"
    undrawn(monkeypatch)
    with shallow(), tfds.testing.mock_data(num_examples=40):
        train(
            ["--data", f"tfds:{name}", "--arch", "shallow_bn", "--smoke", "--out", str(out), *flags]
        )
        uncompile(monkeypatch)
        evaluate([str(out), "--protocol", "ten-crop"])
    recipe = json.loads((out / "recipe.json").read_text())["recipe"]
    assert recipe["flip"] == (not flags)
    assert len(json.loads((out / "dataset.json").read_text())["classes"]) == classes
    assert ", n=40, " in capsys.readouterr().out.splitlines()[-1]
