"""The program `predict`, compared with pictures predicted one by one."""

import csv
import io
import json
import os
import shutil

import numpy as np
import PIL.Image
import pytest

from tests.making import noise, program, save
from vgg_tf import predict, write_weights
from vgg_tf.data import opening
from vgg_tf.images import decoding, rescaling
from vgg_tf.runs import run_folder

ALL = ["pictures/a/1.png", "pictures/a/deep/2.png", "pictures/b, c.png", "pictures/d.jpeg"]
TEN = ("--format", "json", "--top", "10")


@pytest.fixture(scope="module")
def folder(digits_run, tmp_path_factory):
    """A run, some pictures of digits in folders."""
    folder = tmp_path_factory.mktemp("predict")
    shutil.copytree(digits_run, folder / "run")
    (folder / "run" / "history.png").unlink()
    split = opening.open_source("digits").splits["test"]
    for i, path in enumerate(ALL):
        save(folder / path, PIL.Image.open(io.BytesIO(split.read(i))))
    (folder / "pictures" / "a" / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def call(*words):
    predict.main([*map(str, words), "--strategy", "cpu"])


def test_probabilities_equal_those_of_single_predictions(here, capsys):
    # 2 s: the network is compiled, as for users.
    model = run_folder.read_run("run").load_best()
    call("run", "pictures", *TEN)
    found = json.loads(capsys.readouterr().out)
    assert [row["file"] for row in found] == ALL
    for row in found:
        picture = decoding.decode((here / row["file"]).read_bytes())
        expected = model(rescaling.make_center_view(picture, 32, 32)[np.newaxis]).numpy()[0]
        order = np.argsort(-expected, kind="stable")
        assert [one["class"] for one in row["classes"]] == [str(i) for i in order]
        np.testing.assert_allclose(
            [one["posterior"] for one in row["classes"]], expected[order], atol=1e-6
        )


def test_files_folders_and_patterns_select_each_picture_once(here, tmp_path, uncompiled, capsys):
    out = tmp_path / "new" / "found.csv"
    call(
        "run",
        "pictures/d.jpeg",
        "pictures/**/*.png",
        "pictures/a",
        "--format",
        "csv",
        "--top",
        "1",
        "--out",
        out,
    )
    assert f"4 pictures; {out}" in capsys.readouterr().out
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert sorted(row["file"] for row in rows) == sorted(ALL)
    assert rows[0]["file"] == ALL[3]
    assert {row["rank"] for row in rows} == {"1"}


def test_unreadable_pictures_are_listed_and_the_others_are_classified(
    here, tmp_path, uncompiled, capsys
):
    (tmp_path / "torn.png").write_bytes((here / ALL[0]).read_bytes()[:40])
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(
        SystemExit,
        match=(
            r"2 of 4 pictures could not be read:\n"
            r"  .*torn.png.*\n  .*empty.jpg: the file is empty"
        ),
    ):
        call("run", ALL[0], tmp_path / "torn.png", tmp_path / "empty.jpg", ALL[1], "--top", "2")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line[0] != " "] == ALL[:2]
    assert len(lines) == 6


def test_predict_runs_any_protocol_and_averages_over_scales(here, uncompiled, capsys):
    # 2 s: 25 crops in a pipeline, and two networks.
    model, picture = (
        run_folder.read_run("run").load_best(),
        decoding.decode((here / ALL[0]).read_bytes()),
    )
    at_32, at_40 = (
        model(rescaling.make_center_view(picture, 32, scale)[np.newaxis]).numpy()[0]
        for scale in (32, 40)
    )
    found = []
    for words in (("--protocol", "multi-crop+dense", "--scales", "40"), ("--scales", "32,40")):
        call("run", ALL[0], *TEN, *words)
        (row,) = json.loads(capsys.readouterr().out)
        found.append(
            np.array(
                [one["posterior"] for one in sorted(row["classes"], key=lambda one: one["class"])]
            )
        )
    assert found[0].sum() == pytest.approx(1, abs=1e-6)
    assert np.abs(found[0] - at_40).max() > 1e-4
    np.testing.assert_allclose(found[1], (at_32 + at_40) / 2, atol=1e-6)
    assert np.abs(at_32 - at_40).max() > 1e-5


def test_weights_without_class_names_use_a_file_of_names_or_numbers(
    here, tmp_path, uncompiled, capsys
):
    # 2 s: two networks.
    weights, picture, names = (
        tmp_path / name for name in ("w.safetensors", "big.png", "names.txt")
    )
    write_weights(run_folder.read_run("run").load_best(), weights)
    save(picture, noise(40, 50))
    with pytest.raises(
        SystemExit, match=r"1 of 2 pictures.*\n.*has a side of 8 pixels, less than 32"
    ):
        call(weights, ALL[0], picture, "--top", "1")
    numbered = capsys.readouterr().out
    assert "%  class " in numbered
    names.write_text("".join(f"the {name}\n" for name in "0123456789"))
    call(weights, picture, "--top", "1", "--classes", names)
    assert capsys.readouterr().out == numbered.replace("class ", "the ")
    (tmp_path / "few.txt").write_text("a\nb\n")
    with pytest.raises(
        ValueError,
        match=r"few.txt must have the classes of .*: 10 classes. Received: 2 classes \(a",
    ):
        call(weights, picture, "--classes", tmp_path / "few.txt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("run",),
            r"Expected at least one picture. Received: \[\]. Give files, folders or patterns",
        ),
        (
            ("run", "nothing*.png"),
            r"A picture must be a file, a folder with JPEG, PNG, GIF, BMP, WebP images, "
            r"or a pattern of files. Received: nothing\*.png",
        ),
        (("run", "run"), "a folder with .*, or a pattern of files. Received: run. Check the path"),
        (("run", "pictures", "--top", "0"), "--top must be at least 1. Received: --top 0"),
        (
            ("run", "pictures", "--classes", "x"),
            "--classes must be omitted: run contains its class names",
        ),
        (("missing", "pictures"), "missing"),
    ],
)
def test_invalid_pictures_and_flags_are_refused_with_a_reason(here, words, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(*words)


def test_a_long_and_narrow_picture_is_refused_before_it_is_rescaled(here, tmp_path, capsys):
    (tmp_path / "long.bmp").write_bytes(b"")
    PIL.Image.new("RGB", (60_000, 32)).save(tmp_path / "long.bmp")
    with pytest.raises(ValueError, match="too long and narrow") as expected:
        rescaling.check_proportions(32, 60_000, 256, tmp_path / "long.bmp")
    with pytest.raises(SystemExit) as caught:
        call("run", tmp_path / "long.bmp", "--scales", "32,256")
    said = caught.value.code
    assert said == f"error: 1 of 1 picture could not be read:\n  {expected.value}"


@pytest.mark.slow  # 6 s: a process of its own, whose stream encodes ASCII alone
def test_a_stream_that_cannot_encode_a_name_shows_its_codes(tmp_path):
    save(tmp_path / "Gr\u00f6\u00dfe [1].png", PIL.Image.fromarray(noise(32, 32, 3)))
    result = program(
        *("vgg_tf.predict", "cifar10", tmp_path, "--top", "1", "--strategy", "cpu"),
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert result.returncode == 0, result.stderr
    assert r"Gr\xf6\xdfe [1].png" in result.stdout
