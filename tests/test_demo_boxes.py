"""The program `demo` finds the boxes that `localize` finds."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.making import shallow
from tests.making_boxes import pictures
from vgg_tf import build_vgg, demo, localize, write_weights
from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.localization import inputs


@pytest.mark.slow
def test_boxes_equal_those_of_localize(tmp_path, monkeypatch):
    # Two trainings and five networks.
    monkeypatch.setattr(keras.Model, "run_eagerly", True)
    monkeypatch.setattr(inputs, "TRIES", 2)
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    few = "--epochs 1 --batch-size 8 --size 32 --scale 32,40 --test-scale 32 --precision float32"
    few += " --data data --inherit same.safetensors --regression"
    options = {"input_shape": (32, 32, 3), "width": 1 / 16, "head_width": 16, "std": (60, 60, 60)}
    picture = tmp_path / "data/images/01.png"
    with shallow(((3,),) * 5):
        model = build_vgg("shallow_bn", classes=2, seed=1, **options)
        write_weights(model, "same.safetensors", classes=("green", "red"))
        write_weights(model, "other.safetensors", classes=("apple", "pear"))
        pictures(tmp_path / "data", n=8)
        pixels = np.asarray(Image.open(picture))
        sides = np.tile(pixels.shape[1::-1], 2)
        for kind, name, words in (
            ("pcr", "same", ["--classifier", "same.safetensors"]),
            ("scr", "other", []),
        ):
            localize.main(["train", "--out", kind, *few.split(), kind])
            localize.main(["predict", kind, str(picture), "--strategy", "cpu", *words])
            (box,) = json.loads(Path("boxes/boxes.json").read_text())[0]["boxes"]
            weights = f"{name}.safetensors"
            locate = demo._open_boxes(demo.Flags(weights, kind), open_checkpoint(weights))
            label = ["green", "red", "object"].index(box["class"])
            corners, of_class = locate(pixels, label)
            assert of_class == (label < 2) == (name == "same")
            expected = [box[side] for side in ("xmin", "ymin", "xmax", "ymax")]
            np.testing.assert_allclose(corners * sides, expected, atol=0.011)
        with pytest.raises(ValueError, match=r"must have the classes of other.safetensors"):
            demo._open_boxes(demo.Flags(weights, "pcr"), open_checkpoint(weights))
