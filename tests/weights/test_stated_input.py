"""--mean, --std and --channels of the programs that take weights from elsewhere."""

import json

import keras
import numpy as np
import PIL.Image
import pytest

from tests.weights.making_files import tiny
from vgg_tf import evaluate, export, predict, train
from vgg_tf.training.flags import parse
from vgg_tf.weights.stated_input import StatedInput

STATED = ("--mean", "0", "--std", "255")


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    """A network for pixels of 0..1 that are scaled outside of it, and a picture."""
    folder = tmp_path_factory.mktemp("scaled")
    base = tiny("vgg11", mean=(0.0,) * 3, std=(1.0,) * 3)
    inputs = x = keras.Input(base.input_shape[1:])
    for layer in base.layers[2:]:
        x = layer(x)
    model = keras.Model(inputs, x)
    first = model.get_layer("block1_conv1")
    first.kernel.assign(first.kernel * 20)  # so that posteriors differ
    model.save(folder / "theirs.keras")
    side = base.input_shape[1]
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(folder / "noise.png")
    return folder, model, pixels


# 2 s: two networks are compiled.
def test_predict_gives_the_posteriors_of_the_network_where_the_input_is_stated(
    scaled, monkeypatch, capsys
):
    folder, model, pixels = scaled
    monkeypatch.chdir(folder)
    words = ["theirs.keras", "noise.png", "--scales", str(len(pixels)), "--format", "json"]
    words += ["--strategy", "cpu", "--precision", "float32"]
    expected = np.sort(keras.ops.convert_to_numpy(model(pixels[None] / np.float32(255)))[0])[::-1]
    found = {}
    for name, more in (("stated", STATED), ("guessed", ())):
        predict.main([*words, *more])
        out, errors = capsys.readouterr()
        found[name] = [one["posterior"] for one in json.loads(out)[0]["classes"]]
        assert ("assumed BGR" in errors) == (name == "guessed")
    np.testing.assert_allclose(found["stated"], expected[:5], atol=1e-4)
    assert np.abs(found["guessed"] - expected[:5]).max() > 0.01


def test_train_inherits_the_stated_input(scaled, monkeypatch):
    monkeypatch.chdir(scaled[0])
    flags, _ = parse(["--inherit", "theirs.keras", *STATED], check_inherit=True)
    assert (flags.origin.weights.mean, flags.origin.weights.std) == ((0,) * 3, (255,) * 3)
    flags, _ = parse(["--inherit", "theirs.keras", "--channels", "rgb"], check_inherit=True)
    kernel = flags.origin.weights.layers["block1_conv1"]["kernel"]
    np.testing.assert_array_equal(kernel, scaled[1].get_layer("block1_conv1").kernel)


@pytest.mark.parametrize(
    ("main", "words", "match"),
    [
        (predict.main, ["cifar10", "noise.png", "--mean", "black"], "three numbers for RGB"),
        (evaluate.main, ["RUN", "--std", "255"], "must describe a weight file.*Leave them out"),
        (export.main, ["theirs.keras", "--std", "0.229"], "in gray levels of 0..255"),
        (train.main, ["--mean", "0"], "--mean needs the weights of --inherit"),
        (train.main, ["--channels", "bgr"], "--channels needs the weights of --inherit"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_statements_that_do_not_fit_end_in_one_line(
    main, words, match, scaled, digits_run, monkeypatch
):
    monkeypatch.chdir(scaled[0])
    words = [str(digits_run) if word == "RUN" else word for word in words]
    with pytest.raises(ValueError, match=match) as error:
        main(words)
    assert "\n" not in str(error.value)


def test_flags_become_keywords():
    stated = StatedInput("1,2,3", "", "bgr")
    assert stated.parse() == {"mean": (1, 2, 3), "std": None, "channels": "bgr"}
    assert stated
    assert not StatedInput()
