"""The CIFAR recipe end to end, on mocked images of TensorFlow Datasets."""

import json

import pytest

from tests.making import shallow, uncompile, undrawn
from vgg_tf.evaluate import main as evaluate
from vgg_tf.train import main as train


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # warnings of TensorFlow Datasets
@pytest.mark.parametrize(
    ("name", "classes", "flags"),
    [
        ("cifar100", 100, []),
        pytest.param("mnist", 10, ["--no-flip"], marks=pytest.mark.slow),
        pytest.param("fashion_mnist", 10, [], marks=pytest.mark.slow),
    ],
)
def test_a_named_dataset_is_trained_and_tested_with_the_cifar_recipe(
    name, classes, flags, tmp_path, capsys, monkeypatch
):
    # Figures would take 4 s, and compiling the network for prediction 1 s.
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
