"""Probabilities are stored for weights and images, and only missing ones are computed."""

import re
import shutil

import numpy as np
import PIL.Image
import pytest

from tests.evaluate.making_reports import FEW, call, predictions, put, put_few, report
from vgg_tf.images.rescaling import check_proportions
from vgg_tf.runs import run_folder


def test_an_interrupted_test_resumes_from_its_stored_probabilities(seen, sketched, capsys):
    call("run", *FEW)
    (folder,) = seen.glob("tests/test-of-few-*-dense-36")
    (path,) = (seen / "posteriors").glob("*-dense-36-unflipped.npz")
    kept = dict(np.load(path))
    kept["done"][10:] = False  # as after an interruption
    kept["posteriors"][10:] = np.nan
    kept["posteriors"][:10] = 0.1  # a value that identifies them
    np.savez(path, **kept)
    before = report(folder)
    call("run", *FEW)
    assert "dense at 36: 11 images" in capsys.readouterr().out
    assert {row["posterior"] for row in predictions(folder)[:10]} == {"0.1"}
    assert report(folder)["loss"] != before["loss"]


@pytest.mark.slow
def test_other_weights_or_images_of_the_same_names_have_their_own_files_and_reports(
    seen, tmp_path, sketched, capsys
):
    # 2 s: other weights, and other images.
    shutil.copytree(seen, tmp_path / "b" / "run")
    model = run_folder.read_run("b/run").load_best()
    model.get_layer("predictions").bias.assign(
        model.get_layer("predictions").bias + 30 * np.arange(10.0)
    )
    model.save("b/run/model.keras")
    call("b/run", *FEW)
    assert "dense at 36: 21 images" in capsys.readouterr().out
    (folder,) = tmp_path.glob("b/run/tests/test-of-few-*-dense-36")
    assert {row["predicted"] for row in predictions(folder)} == {"9"}
    put_few(tmp_path / "b" / "few")
    put(tmp_path / "b" / "few" / "test", [21])
    for data in ("few", "b/few"):
        call("run", *FEW, "--data", data)
    for run in ("run", "b/run"):
        call(run, "run", *FEW)
    assert re.findall("dense at 36: (.*) images,", capsys.readouterr().out) == ["22"]
    assert len(list(seen.glob("tests/test-of-few-*-dense-36/report.json"))) == 2
    assert len(list(tmp_path.glob("evaluations/run+run-*/*/report.json"))) == 2


def test_images_with_changed_content_are_tested_again(seen, tmp_path, sketched, capsys):
    # 2 s: two runs, one with stored probabilities and one without.
    shutil.copytree(seen, tmp_path / "fresh")
    shutil.rmtree(tmp_path / "fresh" / "posteriors")
    call("run", *FEW, "--out", "before")
    paths = sorted(tmp_path.glob("few/test/*/*.png"))
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)
    for run in ("run", "fresh"):
        call(run, *FEW, "--out", f"of-{run}")
    before, again, fresh = (
        report(tmp_path / name) | {"networks": ""} for name in ("before", "of-run", "of-fresh")
    )
    assert again == fresh
    assert again != before
    assert re.findall("dense at 36: (.*) images,", capsys.readouterr().out) == [
        "20",
        "21",
    ]  # the one in the middle stays


def test_unreadable_images_are_named_and_only_they_are_computed_after_a_repair(
    copied, tmp_path, sketched, capsys
):
    # 2 s: two tests of a network.
    put_few(tmp_path / "data")
    bad = sorted(tmp_path.glob("data/train/*/*.png"))[3:5]
    whole = [path.read_bytes() for path in bad]
    bad[0].write_bytes(whole[0][:50])
    PIL.Image.new("RGB", (60_000, 32)).save(bad[1])
    words = ("run", "--data", "data", "--split", "train", "--scales", "256")
    with pytest.raises(ValueError, match="2 images cannot be used") as error:
        call(*words)
    with pytest.raises(ValueError, match="too long and narrow") as narrow:
        check_proportions(32, 60_000, 256, bad[1].relative_to(tmp_path / "data" / "train"))
    assert str(narrow.value) in str(error.value)
    assert str(error.value).count(".png") == 2
    assert all(path.name in str(error.value) for path in bad)
    for path, content in zip(bad, whole, strict=True):
        path.write_bytes(content)
    capsys.readouterr()
    call(*words)
    assert "center at 256: 2 images" in capsys.readouterr().out


def test_a_truncated_file_of_probabilities_is_named(seen):
    (path,) = (seen / "posteriors").glob("*-dense-36-unflipped.npz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        ValueError,
        match=r"posteriors/test-.*npz must be a complete .npz file of vgg_tf\. .* Delete it",
    ):
        call("run", *FEW)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"posteriors/test-.*npz must be a complete .npz file"):
        call("run", *FEW)
