"""The program `localize` trains on annotations, tests itself and draws boxes."""

import json
import shutil

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.making import cells_of, shallow
from tests.making_boxes import pictures
from vgg_tf import build_vgg, evaluate, read_weights, write_weights
from vgg_tf.data import opening
from vgg_tf.data.selection import Selection
from vgg_tf.localization import inputs
from vgg_tf.localize import main as localize
from vgg_tf.writing.write import write

FEW = (
    "--epochs 2 --batch-size 8 --size 32 --scale 32,40 --test-scale 32 --precision float32"
).split()


@pytest.fixture(autouse=True, scope="module")
def of_one_convolution():
    with shallow(((3,),) * 5):
        yield


def hurry(patch):
    """Run short trainings eagerly, draw at most two crops, and write no figures."""
    compiled = keras.Model.compile
    options = {"run_eagerly": True, "jit_compile": False}
    patch.setattr(
        keras.Model, "compile", lambda *words, **named: compiled(*words, **named | options)
    )
    patch.setattr(inputs, "TRIES", 2)
    patch.setattr(Figure, "savefig", lambda *_, **__: None)


@pytest.fixture(scope="module")
def place(once):
    """Pictures with boxes, shards with a test split, a network to start from, and two runs."""

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            hurry(patch)
            make_quickly(folder)

    def make_quickly(folder):
        source = opening.open_source(str(pictures(folder / "voc")))
        every = source.splits["train"]
        parts = {
            "train": every.take(np.arange(0, 14)),
            "test": every.take(np.arange(14, len(every))),
        }
        source = source.add_note(
            "split", splits={**parts, "validation": source.splits["validation"]}
        )
        write(source, str(folder / "shards"), progress=False)
        options = {
            "input_shape": (32, 32, 3),
            "classes": 2,
            "width": 1 / 16,
            "head_width": 16,
            "seed": 1,
        }
        model = build_vgg("shallow_bn", **options, std=(60, 60, 60))
        write_weights(model, folder / "start.safetensors", classes=("green", "red"))
        begin = ["train", "--inherit", str(folder / "start.safetensors"), *FEW]
        localize([*begin, "--data", str(folder / "shards"), "--out", str(folder / "pcr")])
        words = "--regression scr --freeze-until fc1 --limit-per-class 8 --epochs 1".split()
        localize([*begin, "--data", str(folder / "voc"), "--out", str(folder / "scr"), *words])

    return once("boxes", make)


@pytest.fixture
def copied(place, tmp_path):
    """A folder with copies of both runs, for one test."""
    for name in ("pcr", "scr"):
        shutil.copytree(place / name, tmp_path / name)
    return tmp_path


def test_the_same_command_finds_a_complete_run(place, copied, capsys):
    assert json.loads((place / "pcr/recipe.json").read_text())["task"] == "pcr"
    rows = (place / "pcr/log.csv").read_text().splitlines()
    assert len(rows) == 3
    begin = [
        "train",
        "--data",
        str(place / "shards"),
        "--inherit",
        str(place / "start.safetensors"),
        *FEW,
    ]
    localize([*begin, "--regression", "pcr", "--out", str(copied / "pcr")])
    assert "is done; delete it" in capsys.readouterr().out


def test_both_protocols_print_the_papers_tables(place, copied, uncompiled, capsys):
    pcr, scr = str(copied / "pcr"), str(copied / "scr")
    localize(["evaluate", pcr, "--split", "test", "--protocol", "center"])
    _, row = cells_of(capsys.readouterr().out)
    assert row[1:4] == ["all", "PCR", "32-40"]
    assert row[5] == "33.1 %"
    words = [
        "evaluate",
        pcr,
        scr,
        "--scales",
        "32,48",
        "--classifier",
        str(place / "start.safetensors"),
    ]
    localize([*words, "--split", "test", "--out", str(copied / "tested")])
    text = capsys.readouterr().out
    cells = cells_of(text)
    assert ["all, merged", "", "32, 48"] in [row[:3] for row in cells]
    assert ["OverFeat", "30.0 %", "29.9 %"] in cells
    assert "test localization error" in text.splitlines()[-1]
    rows = json.loads((copied / "tested/boxes.json").read_text())
    assert (
        len(rows)
        == json.loads((copied / "tested/report.json").read_text())["results"]["all, merged"]["n"]
        > 3
    )
    assert {box["class"] for row in rows for box in row["boxes"]} == {"red", "green"}
    assert (copied / "tested/boxes.png").exists()


def test_only_the_head_is_trained_if_the_rest_is_frozen(place):
    before, after = (
        read_weights(place / "start.safetensors").layers,
        read_weights(place / "scr").layers,
    )
    np.testing.assert_array_equal(after["block1_conv1"]["kernel"], before["block1_conv1"]["kernel"])
    assert (after["fc1"]["kernel"] != before["fc1"]["kernel"]).any()
    assert after["predictions"]["kernel"].shape == (16, 4)


def test_predict_draws_boxes_and_writes_them_in_pixels(place, tmp_path, uncompiled):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    files = [str(place / "voc/images/03.png"), str(place / "voc/images/04.png")]
    localize(
        ["predict", str(place / "pcr"), *files, "--label", "red", "--out", str(tmp_path / "out")]
    )
    rows = json.loads((tmp_path / "out/boxes.json").read_text())
    for row, path in zip(rows, files, strict=True):
        with Image.open(path) as picture:
            width, height = picture.size
        assert (row["file"], row["width"], row["height"]) == (path, width, height)
        (box,) = row["boxes"]
        assert box["class"] == "red"
        assert 0 <= box["xmin"] <= box["xmax"] <= width
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    with pytest.raises(SystemExit, match=r"1 of 2 pictures could not be read:\n.*bad\.jpg"):
        localize(
            [
                "predict",
                str(place / "pcr"),
                files[0],
                str(tmp_path / "bad.jpg"),
                "--label",
                "red",
                "--out",
                str(tmp_path / "b"),
            ]
        )
    assert len(json.loads((tmp_path / "b/boxes.json").read_text())) == 1
    Image.new("RGB", (60_000, 32)).save(tmp_path / "long.png")
    words = ["--label", "red", "--scales", "256", "--out", str(tmp_path / "c")]
    with pytest.raises(
        SystemExit, match=r"1 of 1 picture .*\n.*long\.png is too long and narrow: "
    ):
        localize(["predict", str(place / "pcr"), str(tmp_path / "long.png"), *words])


def test_invalid_flags_and_runs_are_refused(place, digits_run):
    pcr, picture = str(place / "pcr"), str(place / "voc/images/03.png")
    for words, message in (
        (["predict", pcr, picture], "Give --classifier RUN"),
        (
            ["predict", pcr, picture, "--label", "blue"],
            "Received: --label blue. Choose from: green, red",
        ),
        (["evaluate", pcr, "--scales", "16,32"], "from the crop's 32 to 8192"),
        (["evaluate", pcr, "--data", "digits"], "must have the classes of .*pcr"),
        (["evaluate"], "At least one run is required"),
        (["train", "--data", "digits"], "--data and --inherit are required"),
    ):
        with pytest.raises(ValueError, match=message):
            localize(words)
    with pytest.raises(
        ValueError, match=r"must be a classification run. Received: a run of box regression \(pcr\)"
    ):
        evaluate.main([pcr])
    with pytest.raises(
        ValueError, match=r"must be a run of box regression. Received: a classification run"
    ):
        localize(["evaluate", str(digits_run)])


def test_pictures_without_boxes_are_refused(place, pictures_folder, tmp_path):
    words = [
        "train",
        "--data",
        str(pictures_folder),
        "--inherit",
        str(place / "start.safetensors"),
        *FEW,
    ]
    with pytest.raises(ValueError, match="At least one picture must have a box"):
        localize([*words, "--out", str(tmp_path / "run")])


def test_a_folder_is_tested_on_the_held_out_part_of_the_selected_pictures(
    place, copied, uncompiled, monkeypatch, capsys
):
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)
    run = str(copied / "scr")
    localize(["evaluate", run, "--out", str(copied / "tested")])
    text = capsys.readouterr().out
    assert "localization error, class known (95 %)" in cells_of(text)[0]
    assert "validation localization error" in text.splitlines()[-1]
    source = opening.open_source(str(place / "voc"), Selection(limit_per_class=8))
    rows = json.loads((copied / "tested/boxes.json").read_text())
    assert [row["file"] for row in rows] == source.splits["validation"].names
    for scales in ("32", "36"):
        localize(["evaluate", run, "--scales", scales])
    assert len(list((copied / "scr/tests").glob("boxes-validation-dense-*/report.json"))) == 2
    with pytest.raises(
        ValueError, match=r"must not contain a training run.* Received: --out .*scr"
    ):
        localize(["evaluate", run, "--out", run])


@pytest.mark.slow
def test_an_error_of_the_training_names_a_damaged_picture(place, tmp_path, monkeypatch):
    # The training is compiled as for users, but only the head is trained. The validation fails
    # after one epoch.
    monkeypatch.setattr(inputs, "TRIES", 2)
    shutil.copytree(place / "voc", tmp_path / "voc")
    damaged = (
        tmp_path / "voc" / opening.open_source(str(tmp_path / "voc")).splits["validation"].names[0]
    )
    damaged.write_bytes(damaged.read_bytes()[:-2000])  # the header with the size is intact
    words = [
        "train",
        "--data",
        str(tmp_path / "voc"),
        "--inherit",
        str(place / "start.safetensors"),
        *FEW,
    ]
    with pytest.raises(
        ValueError, match=rf"Unreadable .*: 1. Fix or remove these files.*:\n.*{damaged.name}"
    ):
        localize([*words, "--epochs", "1", "--freeze-until", "fc1", "--out", str(tmp_path / "run")])
