"""The program that names what is in pictures, against pictures predicted one by one."""

import csv
import io
import json

import numpy as np
import PIL.Image
import pytest

from vgg_tf import decoding, images, predict, runs, sources, train, write_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, some pictures of digits in folders, and their paths."""
    folder = tmp_path_factory.mktemp("predict")
    words = ["--arch", "vgg11", "--data", "digits", "--strategy", "cpu", "--precision", "float32", "--smoke"]
    train.main([*words, "--out", str(folder / "run")])
    split = sources.open_source("digits").splits["test"]
    for name, i in (("a/1.png", 0), ("a/deep/2.png", 1), ("b, c.png", 2), ("d.jpeg", 3)):
        path = folder / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.open(io.BytesIO(split.read(i))).save(path)
    (folder / "pictures" / "a" / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def call(*words):
    predict.main([*map(str, words), "--strategy", "cpu"])


ALL = ["pictures/a/1.png", "pictures/a/deep/2.png", "pictures/b, c.png", "pictures/d.jpeg"]


def test_posteriors_are_those_of_pictures_predicted_one_by_one(here, capsys):
    model = runs.read_run("run").load_best()
    call("run", "pictures", "--format", "json", "--top", "10")
    found = json.loads(capsys.readouterr().out)
    assert [row["file"] for row in found] == ALL
    for row in found:
        picture = decoding.decode((here / row["file"]).read_bytes())
        expected = model(images.center_view(picture, 32, 32)[np.newaxis]).numpy()[0]
        order = np.argsort(-expected, kind="stable")
        assert [one["class"] for one in row["classes"]] == [str(i) for i in order]
        np.testing.assert_allclose([one["posterior"] for one in row["classes"]], expected[order], atol=1e-6)


def test_files_folders_and_patterns_name_each_picture_once(here, capsys):
    call("run", "pictures/d.jpeg", "pictures/**/*.png", "pictures/a", "--format", "csv", "--top", "1", "--out", "new/found.csv")
    assert "4 pictures; new/found.csv" in capsys.readouterr().out
    with open("new/found.csv") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["file"] for row in rows) == sorted(ALL)
    assert rows[0]["file"] == ALL[3]
    assert {row["rank"] for row in rows} == {"1"}


def test_one_bad_picture_is_listed_and_the_others_are_named(here, tmp_path, capsys):
    (tmp_path / "torn.png").write_bytes((here / ALL[0]).read_bytes()[:40])
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(
        SystemExit, match=r"2 of 4 pictures could not be read:\n  .*torn.png.*\n  .*empty.jpg: the file is empty"
    ):
        call("run", ALL[0], tmp_path / "torn.png", tmp_path / "empty.jpg", ALL[1], "--top", "2")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line[0] != " "] == ALL[:2]
    assert len(lines) == 6


def test_any_protocol_predicts(here, capsys):
    call("run", ALL[0], "--format", "json", "--top", "10")
    (center,) = json.loads(capsys.readouterr().out)
    call("run", ALL[0], "--format", "json", "--top", "10", "--protocol", "multi-crop+dense", "--scales", "several")
    (several,) = json.loads(capsys.readouterr().out)
    posteriors = [sum(one["posterior"] for one in found["classes"]) for found in (center, several)]
    assert posteriors == pytest.approx([1, 1], abs=1e-6)
    assert center["classes"] != several["classes"]


def test_weights_without_classes_take_names_from_a_file_or_number_them(here, tmp_path, capsys):
    write_weights(runs.read_run("run").load_best(), "w.safetensors")
    picture = tmp_path / "big.png"
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(picture)
    call("w.safetensors", picture, "--top", "1")
    numbered = capsys.readouterr().out
    assert "%  class " in numbered
    (tmp_path / "names.txt").write_text("".join(f"the {name}\n" for name in "0123456789"))
    call("w.safetensors", picture, "--top", "1", "--classes", tmp_path / "names.txt")
    assert capsys.readouterr().out == numbered.replace("class ", "the ")
    (tmp_path / "few.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"knows 10 classes, .*few.txt has 2 classes \(a, b\)"):
        call("w.safetensors", picture, "--classes", tmp_path / "few.txt")
    with pytest.raises(SystemExit, match=r"1 of 1 pictures.*\n.*has a side of 8 pixels, less than 32"):
        call("w.safetensors", ALL[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run",), "No pictures. Give files, folders or patterns"),
        (("run", "nothing*.png"), r"nothing\*.png is no picture, no folder with .bmp, .gif, .jpeg, .jpg, .png, and no pattern"),
        (("run", "run"), "run is no picture, no folder with"),
        (("run", "pictures", "--top", "0"), "--top is at least 1. Received: 0"),
        (("run", "pictures", "--classes", "x"), "run names its classes. Leave --classes away"),
        (("missing", "pictures"), "missing"),
    ],
)
def test_what_cannot_be_predicted_is_refused_in_words(here, words, message):
    (here / "run" / "history.png").unlink(missing_ok=True)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(*words)
