"""A run or a file of weights is tested, or refused with a reason."""

import json
import shutil

import numpy as np
import pytest

from tests.evaluate.making_reports import call, predictions, put_few
from tests.making import noise, save
from vgg_tf import build_vgg, train, write_weights
from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.runs import run_folder


@pytest.fixture(scope="module")
def odd(quick_run, tmp_path_factory):
    """Networks and pictures that cannot be tested, beside a run that can."""
    from safetensors.numpy import load_file, save_file

    folder = tmp_path_factory.mktemp("odd")
    for name in ("run", "unready"):
        shutil.copytree(quick_run, folder / name)
    (folder / "unready" / "model.keras").unlink()
    for name in "ab":
        save(folder / "folders" / name / "x.png", noise(8, 8))
    model = run_folder.read_run(str(quick_run)).load_best()
    write_weights(model, folder / "w.safetensors")
    arrays = load_file(folder / "w.safetensors")
    save_file({key: value * np.nan for key, value in arrays.items()}, folder / "nan.safetensors")
    trunk = build_vgg("shallow", include_top=False, input_shape=(32, 32, 3), width=1 / 16)
    write_weights(trunk, folder / "headless.safetensors")
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "No network. Give a run folder"),
        (("nowhere",), "nowhere"),
        (("run", "--scales", "31"), r"at least the crop's 32 pixels. Received: \(31,\)"),
        (("run", "--scales", "big"), "numbers of pixels such as 256,384,512"),
        (("run", "--split", "tset"), "no split 'tset'. It has train, test, validation"),
        (("run", "--preset", "paper-table6"), "Give two runs or more"),
        (
            ("run", "--data", "folders", "--split", "train"),
            r"knows 10 classes \(0, 1, 2, ...\), folders has 2 classes \(a, b\)",
        ),
        (("w.safetensors",), "does not tell what it was trained on. Give --data"),
        (
            ("headless.safetensors", "--data", "digits"),
            "has no fc1, fc2, predictions, and so no posteriors",
        ),
        (
            ("nan.safetensors", "--data", "digits"),
            r"nan.safetensors has weights that are not numbers \(NaN or infinite\)",
        ),
        (("unready",), "has no model.keras yet: its first epoch is not done"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_words(odd, monkeypatch, words, message):
    monkeypatch.chdir(odd)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(*words)


def test_weights_without_a_run_are_tested_as_the_run_on_pictures_of_32_pixels_and_no_smaller_ones(
    copied, tmp_path, sketched
):
    # 3 s: three networks.
    write_weights(run_folder.read_run(str(copied)).load_best(), tmp_path / "w.safetensors")
    put_few(tmp_path / "few")
    with pytest.raises(
        ValueError, match=r"21 images cannot be tested.*\n.*has a side of 8 pixels, less than 32"
    ) as error:
        call("w.safetensors", "--data", "few", "--scales", "32")
    assert str(error.value).endswith("and 1 more")
    for i in range(20):
        save(tmp_path / "data" / str(i % 10) / f"{i}.png", noise(40, 32, i))
    for name in ("run", "w.safetensors"):
        words = (
            "--data",
            "data",
            "--split",
            "validation",
            "--scales",
            "33",
            "--protocol",
            "dense",
            "--precision",
            "float32",
        )
        call(name, *words, "--out", f"of-{name}")
    found, expected = (predictions(tmp_path / f"of-{name}") for name in ("w.safetensors", "run"))
    assert len(found) == 10  # one of the two of each class is held out
    assert [row["predicted"] for row in found] == [row["predicted"] for row in expected]
    values = [[float(row["posterior_of_class"]) for row in rows] for rows in (found, expected)]
    np.testing.assert_allclose(*values, rtol=1e-5)


def test_a_run_that_held_nothing_out_trains_on_all_keeps_the_last_network_and_has_no_validation(
    all_trained, pictures_folder, tmp_path, monkeypatch
):
    said = (all_trained / "said").read_text()
    assert "285 train, 72 test images of 2 classes" in said
    assert "no validation: the last network is kept" in said
    assert json.loads((all_trained / "run" / "report.json").read_text())["best_epoch"] == 2
    with pytest.raises(ValueError, match=r"digits has no split 'validation'\. It has train, test"):
        call(all_trained / "run", "--split", "validation")
    monkeypatch.chdir(tmp_path)
    words = [
        "--arch",
        "vgg11",
        "--data",
        str(pictures_folder),
        "--smoke",
        "--hold-out",
        "0",
        "--schedule",
        "plateau",
    ]
    with pytest.raises(ValueError, match="--hold-out 0 leaves nothing to see a plateau on"):
        train.main([*words, "--out", "plateau"])


def test_the_result_of_a_training_is_not_written_over(copied):
    before = (copied / "report.json").read_bytes()
    with pytest.raises(ValueError, match="run holds a run, whose report would be written over"):
        call("run", "--out", "run")
    assert (copied / "report.json").read_bytes() == before


def test_weights_that_do_not_tell_their_mean_are_tested_with_imagenets_and_that_is_said(
    copied, capsys
):
    run_folder.read_run("run").load_best().save_weights("bare.weights.h5")
    open_checkpoint("bare.weights.h5")
    assert "bare.weights.h5: the mean of its input is not told" in capsys.readouterr().err


def test_scales_are_taken_once_and_a_trunk_is_asked_at_the_papers(copied, tmp_path):
    network = open_checkpoint("run")
    assert network.scales("40,48,40") == (40, 48)
    model = build_vgg("shallow", include_top=False, input_shape=(None, None, 3), width=1 / 16)
    write_weights(model, tmp_path / "trunk.safetensors")
    assert open_checkpoint("trunk.safetensors", headless=True).scales("several") == (224, 256, 288)
