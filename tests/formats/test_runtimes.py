"""The network that is part of the package is small and has the error of its result file."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.making import undrawn
from vgg_tf import build_vgg, evaluate, read_weights
from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.weights.reading import SHIPPED

DATA = os.environ.get("VGG_TF_DATA")


def test_it_has_at_most_8_mb_and_knows_its_classes():
    assert SHIPPED["cifar10"].stat().st_size <= 8e6
    network = open_checkpoint("cifar10")
    assert (network.arch, network.crop, network.scales("one")) == ("vgg11_bn", 32, (32,))
    assert network.classes[:3] == ("airplane", "automobile", "bird")


def test_build_vgg_loads_it_by_name_with_its_width_and_head():
    model = build_vgg("vgg11_bn", weights="cifar10", input_shape=(32, 32, 3))
    assert model.get_layer("block1_conv1").filters == 32
    kernel = read_weights("cifar10").layers["fc1"]["kernel"]
    np.testing.assert_array_equal(model.get_layer("fc1").kernel.numpy(), kernel)
    assert model.output.shape == (None, 10)
    assert (
        build_vgg(
            "vgg11_bn", weights="cifar10", input_shape=(None, None, 3), include_top=False
        ).output.shape[-1]
        == 256
    )


@pytest.mark.skipif(not DATA, reason="VGG_TF_DATA is not set to a folder of real pictures")
def test_its_error_on_a_tenth_of_the_test_images_is_near_that_of_all(tmp_path, monkeypatch, capsys):
    result = Path(__file__).parents[2] / "results" / "cifar10-shipped" / "evaluate.json"
    stated = 100 * json.loads(result.read_text())["top1"]["error"]
    part = tmp_path / "part"
    for folder in sorted(Path(DATA, "cifar10", "test").iterdir()):
        for split in ("train", "test"):
            (part / split / folder.name).mkdir(parents=True)
        for i, path in enumerate(sorted(folder.iterdir())):
            if i % 10 == 0:
                (part / "test" / folder.name / path.name).symlink_to(path)
        (part / "train" / folder.name / "0.jpg").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    undrawn(monkeypatch)
    evaluate.main(["cifar10", "--data", str(part), "--precision", "float32", "--out", "report"])
    rows = list(csv.DictReader(Path("report/predictions.csv").read_text().splitlines()))
    assert len(rows) == 1000
    error = 100 * np.mean([row["class"] != row["predicted"] for row in rows])
    # Four standard deviations of the error on 1,000 of the 10,000 images.
    assert abs(error - stated) < 4 * np.sqrt(stated * (100 - stated) / 1000 * 0.9)
    assert ", n=1,000, " in capsys.readouterr().out
