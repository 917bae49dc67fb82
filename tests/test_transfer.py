"""The program `transfer`, on pictures that a network trained on others can separate."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.making import save, shallow
from vgg_tf import build_vgg, write_weights
from vgg_tf.data.opening import open_source
from vgg_tf.features.protocols import merge_splits
from vgg_tf.records.schema import is_nameless
from vgg_tf.transfer import main as transfer

COLORS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


@pytest.fixture(autouse=True, scope="module")
def of_five_convolutions():
    with shallow(((3,),) * 5):
        yield


@pytest.fixture
def place(once, tmp_path, monkeypatch):
    """A folder of three categories, and a network next to it."""

    def make(folder):
        random = np.random.default_rng(0)
        for name, color in COLORS.items():
            for i in range(8):
                pixels = np.clip(random.normal(color, 20, (40, 48, 3)), 0, 255).astype(np.uint8)
                save(folder / "pictures" / name / f"{i}.png", pixels)
        options = {
            "input_shape": (32, 32, 3),
            "classes": 4,
            "width": 1 / 8,
            "head_width": 16,
            "seed": 1,
        }
        write_weights(
            build_vgg("shallow_bn", **options, std=(60, 60, 60)), folder / "a.safetensors"
        )

    shutil.copytree(once("transfer", make), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    transfer(["pictures", "--weights", "a.safetensors", "--precision", "float32", *words])
    return json.loads(Path("transfers/pictures/report.json").read_text())


def test_the_caltech_protocol_writes_descriptors_recalls_and_figures(place, capsys):
    # Figures are drawn and the network is compiled, as for users.
    save(Path("pictures/grey/0.png"), Image.new("RGB", (40, 40), (90, 90, 90)))
    report = run("--scales", "32,40", "--train", "5", "--test", "3")
    said = capsys.readouterr().out
    assert said.splitlines()[-1].startswith(
        "mean class recall 100.0 +- 0.0 % over 3 splits of 3 categories, 15 training and 9 "
        "test pictures; n=24, 32 "
    )
    assert report["mean_class_recall"] == [100.0] * 3
    assert report["skipped"] == ["skipped grey: 1 of at least 2 pictures"]
    assert "skipped grey" in said
    assert set(report["per_class"]) == set(COLORS)
    with np.load("transfers/pictures/descriptors.npz") as file:
        assert file["names"][0] == "blue/0.png"
        assert file["classes"][file["labels"][0]] == "blue"
        assert file["descriptors"].shape == (24, 32)
        np.testing.assert_allclose(np.linalg.norm(file["descriptors"], axis=1), 1, atol=1e-5)
    assert {"confusion.png", "neighbors.png"} <= set(os.listdir("transfers/pictures"))


def test_the_voc_protocol_uses_all_objects_of_each_picture(place, uncompiled, monkeypatch, capsys):
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)
    Path("voc/annotations").mkdir(parents=True)
    Path("pictures").rename("voc/images")
    for path in Path("voc/images").rglob("*.png"):
        names = {"red": ["red"], "green": ["green"], "blue": ["blue", "green"]}[path.parent.name]
        box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{0}</xmax><ymax>30</ymax></bndbox>"
        objects = "".join(
            f"<object><name>{n}</name>{box.format(40 - 9 * i)}</object>"
            for i, n in enumerate(names)
        )
        xml = f"<annotation><size><width>48</width><height>40</height></size>{objects}</annotation>"
        out = Path("voc/annotations", path.relative_to("voc/images")).with_suffix(".xml")
        out.parent.mkdir(exist_ok=True)
        out.write_text(xml)
    transfer("voc --weights a.safetensors --protocol voc --precision float32 --splits 2".split())
    assert (
        "mean average precision 100.0 % (11-point), 100.0 % (area) of 3 classes"
        in capsys.readouterr().out
    )
    report = json.loads(Path("transfers/voc/report.json").read_text())
    assert report["test_images"] == 4


def test_protocol_none_writes_only_descriptors(place, uncompiled):
    assert run("--protocol", "none")["n"] == 24
    assert "neighbors.png" not in os.listdir("transfers/pictures")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scales", "16"], r"at least the crop's .*32 pixels"),
        (["--train", "0"], "--train must be at least 1. Received: --train 0"),
        (["--weights"], "--weights must name at least one network"),
        (["--prefix", "blu"], "[Aa]t least 2"),
    ],
)
def test_invalid_flags_are_refused(place, words, message):
    with pytest.raises(ValueError, match=message):
        run(*words)


def test_a_damaged_picture_is_named(place, uncompiled):
    Path("pictures/red/0.png").write_bytes(b"no picture")
    with pytest.raises(
        ValueError, match=r"1 image cannot be used. Fix or remove them, or leave .*:\n.*red/0\.png"
    ):
        run()


def test_merged_splits_mark_the_test_images_and_nameless_boxes_are_recognized():
    source = open_source("digits")
    every, skipped, tested = merge_splits(source, "voc")
    assert not skipped
    images = every.splits["train"]
    assert {name for name, asked in zip(images.names, tested, strict=True) if asked} == set(
        source.splits["test"].names
    )
    assert [is_nameless(name) for name in ("", "label 7", "label -1", "label", "bee")] == [
        True,
        True,
        True,
        False,
        False,
    ]
