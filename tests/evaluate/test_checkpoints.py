"""Runs and weight files are tested, or refused with a reason."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tests.evaluate.making_reports import call, predictions, put_few
from tests.making import noise, save
from vgg_tf import build_vgg, train, write_weights
from vgg_tf.evaluation.checkpoint import open_checkpoint
from vgg_tf.functions import testing
from vgg_tf.runs import run_folder


@pytest.fixture(scope="module")
def odd(quick_run, tmp_path_factory):
    """Networks and pictures that cannot be tested, next to a run that can."""
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
        ((), "At least one network is required. Received: 0"),
        (("nowhere",), "nowhere"),
        (("run", "--scales", "31"), r"at least the crop's .*32 pixels. Received: \(31,\)"),
        (("run", "--scales", "big"), r"must be numbers of pixels .*\. Received: 'big'"),
        (("run", "--split", "tset"), "no split 'tset'. It has train, test, validation"),
        (("run", "--preset", "paper-table6"), "Give two runs or more"),
        (
            ("run", "--data", "folders", "--split", "train"),
            r"folders must have the classes of run .*: 10 classes \(0, 1, 2, ...\). "
            r"Received: 2 classes \(a, b\)",
        ),
        (("w.safetensors",), "w.safetensors does not name its training data"),
        (
            ("headless.safetensors", "--data", "digits"),
            "must have a head, .* Missing layers: fc1, fc2, predictions",
        ),
        (
            ("nan.safetensors", "--data", "digits"),
            r"nan.safetensors must have finite weights\. Received: NaN or infinity",
        ),
        (("unready",), "unready must contain model.keras"),
    ],
)
def test_invalid_runs_weights_and_flags_are_refused_with_a_reason(odd, monkeypatch, words, message):
    monkeypatch.chdir(odd)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(*words)


def test_a_weight_file_gives_the_results_of_its_run_for_images_of_at_least_32_pixels(
    copied, tmp_path, sketched
):
    # 3 s: three networks.
    write_weights(run_folder.read_run(str(copied)).load_best(), tmp_path / "w.safetensors")
    put_few(tmp_path / "few")
    with pytest.raises(
        ValueError, match=r"21 images cannot be used.*\n.*has a side of 8 pixels, less than 32"
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
            "--flip",
            "off",  # as in the training of the digits, which the file does not tell
        )
        call(name, *words, "--out", f"of-{name}")
    found, expected = (predictions(tmp_path / f"of-{name}") for name in ("w.safetensors", "run"))
    assert len(found) == 10  # one of the two of each class is held out
    assert [row["predicted"] for row in found] == [row["predicted"] for row in expected]
    values = [[float(row["posterior_of_class"]) for row in rows] for rows in (found, expected)]
    np.testing.assert_allclose(*values, rtol=1e-5)


def test_a_run_without_held_out_images_keeps_the_last_network_and_has_no_validation(
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
    with pytest.raises(
        ValueError, match=r"--schedule plateau needs a validation split. Received: --hold-out 0"
    ):
        train.main([*words, "--out", "plateau"])


def test_the_report_of_a_training_is_not_overwritten(copied):
    before = (copied / "report.json").read_bytes()
    with pytest.raises(
        ValueError, match=r"must not contain a training run.* Received: --out .*run"
    ):
        call("run", "--out", "run")
    assert (copied / "report.json").read_bytes() == before


def test_weights_without_a_mean_use_that_of_imagenet_with_a_note(copied, capsys):
    run_folder.read_run("run").load_best().save_weights("bare.weights.h5")
    open_checkpoint("bare.weights.h5")
    assert "bare.weights.h5: unknown mean of the input" in capsys.readouterr().err


def test_scales_have_no_duplicates_and_headless_networks_use_the_papers(copied, tmp_path):
    network = open_checkpoint("run")
    assert network.scales("40,48,40") == (40, 48)
    model = build_vgg("shallow", include_top=False, input_shape=(None, None, 3), width=1 / 16)
    write_weights(model, tmp_path / "trunk.safetensors")
    assert open_checkpoint("trunk.safetensors", headless=True).scales("several") == (224, 256, 288)


def test_a_run_without_test_images_is_tested_on_validation_and_its_flips_are_those_of_training(
    tmp_path, copied
):
    flags = testing.EvaluateFlags(("run",), data="folder")
    for i in range(40):
        save(tmp_path / "folder" / "train" / str(i % 10) / f"{i}.png", noise(32, 32, i))
    recipe = json.loads((copied / "recipe.json").read_text())
    assert recipe["recipe"]["flip"] is False  # mirrored digits are not digits
    (copied / "recipe.json").write_text(json.dumps(recipe | {"data": str(tmp_path / "folder")}))
    found, (network,), source = testing._open_networks(dataclasses.replace(flags, data=None))
    assert found.split == "validation"
    assert any("no test split: the validation images are tested" in note for note in source.notes)
    assert network.flip is False
    # A split that is asked for by name must exist.
    with pytest.raises(ValueError, match="has no split 'test'"):
        testing._open_networks(dataclasses.replace(flags, data=None, split="test"))
    for word, flip in (("on", True), ("off", False)):
        asked = dataclasses.replace(flags, data=None, flip=word)
        assert testing._open_networks(asked)[1][0].flip is flip
