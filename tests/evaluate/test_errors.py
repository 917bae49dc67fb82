"""Errors equal those of images that are read, cropped and predicted one by one."""

import shutil

import numpy as np
import pytest

from tests.evaluate.making_reports import FEW, call, digits, predictions, put_few, report
from tests.making import cells_of
from vgg_tf.data import opening
from vgg_tf.functions.testing import PresetName
from vgg_tf.images import decoding, rescaling
from vgg_tf.paper.protocols import PROTOCOLS, ProtocolName
from vgg_tf.paper.results import PRESETS
from vgg_tf.runs import run_folder
from vgg_tf.writing.write import write


def test_the_choices_of_flags_are_the_protocols_and_the_tables():
    assert ProtocolName.__args__ == tuple(PROTOCOLS)
    assert PresetName.__args__ == ("none", *PRESETS)


def test_errors_of_center_crops_equal_those_of_single_predictions(tested):
    split, run = digits(), tested / "run"
    (path,) = (run / "posteriors").glob("*.npz")
    posteriors, labels = np.float64(np.load(path)["posteriors"]), split.labels
    model = run_folder.read_run(str(run)).load_best()
    for i in (*range(0, 360, 24), 357, 358, 359):  # images of all batches, including the last one
        view = rescaling.make_center_view(decoding.decode(split.read(i)), 32, 32)
        np.testing.assert_allclose(posteriors[i], model(view[np.newaxis]).numpy()[0], atol=1e-6)
    found = report(run / "tests" / "test-center-32")
    wrong = np.mean(
        [np.argmax(row) != label for row, label in zip(posteriors, labels, strict=True)]
    )
    assert found["top1_error"] == pytest.approx(100 * wrong)
    in_order = [np.argsort(-row, kind="stable")[:5] for row in posteriors]
    assert found["top5_error"] == pytest.approx(
        100 * np.mean([y not in row for row, y in zip(in_order, labels, strict=True)])
    )
    assert found["loss"] == pytest.approx(
        -np.log(posteriors[np.arange(360), labels]).mean(), rel=1e-5
    )
    assert found["n"] == len(predictions(run / "tests" / "test-center-32")) == 360
    assert f"test top-1 error {100 * wrong:.2f} %" in (tested / "said").read_text()
    page = (run / "tests" / "test-center-32" / "report.html").read_text()
    assert page.count("data:image/png") == 5


def test_the_average_of_a_network_with_itself_is_that_network(seen, tmp_path, sketched):
    shutil.copytree(seen, tmp_path / "again")
    call("run", *FEW, "--out", "one")
    call("run", "again", "run", *FEW, "--out", "three")
    one, three = report(tmp_path / "one"), report(tmp_path / "three")
    assert one.pop("networks") != three.pop("networks")
    for key in (
        "Q, scales in pixels",
        "images",
        "protocol",
        "top1_error",
        "top5_error",
        "confused",
        "n",
    ):
        assert one[key] == three[key]
    assert one["loss"] == pytest.approx(three["loss"], rel=1e-12)


def test_stored_probabilities_are_reused_and_averaged_as_in_section_3_2(
    several, seen, sketched, capsys
):
    assert (several / "said").read_text().count("images/s") == 2
    call(
        "run",
        "--data",
        "few",
        "--protocol",
        "multi-crop+dense",
        "--scales",
        "several",
        "--out",
        "both",
    )
    assert "images/s" not in capsys.readouterr().out
    kept = [np.load(path) for path in sorted((seen / "posteriors").glob("*.npz"))]
    assert sorted((str(file["views"]), int(file["scale"])) for file in kept) == [
        (kind, scale) for kind in ("dense", "multi-crop") for scale in (32, 34, 36)
    ]
    mean = np.mean([file["posteriors"] for file in kept], 0, dtype=np.float64)
    rows = predictions(seen.parent / "both")
    np.testing.assert_allclose([float(row["posterior"]) for row in rows], mean.max(1), rtol=1e-5)
    assert [row["file"] for row in rows] == kept[0]["names"].tolist()


def test_a_table_of_the_paper_is_printed_and_written(seen, tmp_path, capsys):
    call("run", "run", "--data", "few", "--preset", "paper-table6")
    text = capsys.readouterr().out
    (table,) = tmp_path.glob("evaluations/**/table.md")
    assert table.read_text() in text
    _, *rows = cells_of(table.read_text())
    assert [row[3] for row in rows] == ["dense", "multi-crop", "multi-crop+dense"]
    assert all(row[2] == "32, 34, 36" for row in rows)


def test_shards_and_folders_give_the_same_errors_as_the_digits(tested, copied, tmp_path, sketched):
    # 2 s: a network for each of them.
    put_few(tmp_path / "folders")
    write(opening.open_source(str(tmp_path / "folders")), tmp_path / "shards", progress=False)
    (path,) = (tested / "run" / "posteriors").glob("*.npz")
    posteriors, labels = np.load(path)["posteriors"][:21], digits().labels[:21]
    for name in ("folders", "shards"):
        call("run", "--data", name, "--out", f"of-{name}")
        found = report(tmp_path / f"of-{name}")
        assert found["n"] == 21
        assert found["loss"] == pytest.approx(
            -np.log(posteriors[range(21), labels]).mean(), rel=1e-5
        ), name
        assert found["top1_error"] == pytest.approx(
            100 * np.mean(posteriors.argmax(1) != labels)
        ), name
        shutil.rmtree(copied / "posteriors")
