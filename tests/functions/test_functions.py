"""The functions return what the programs print and write, and can be called again."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.making import call
from vgg_tf import (
    decode_predictions,
    describe_pictures,
    evaluate_network,
    export_network,
    predict_pictures,
    train_network,
)
from vgg_tf.runtime import programs


def as_json(result):
    return json.loads(json.dumps(result.to_dict()))


# 6 s: a network is trained for two steps.
def test_train_network_returns_the_report_and_a_second_call_the_same(
    tmp_path, monkeypatch, capsys, shallow_known
):
    monkeypatch.chdir(tmp_path)
    options = {"arch": "shallow", "out": "run", "smoke": True, "strategy": "cpu"}
    first = train_network("digits", **options)
    closing = capsys.readouterr().out.splitlines()[-1]
    report = json.loads(Path("run/report.json").read_text())
    assert first.to_dict().items() >= {key: report[key] for key in ("n", "top1_error")}.items()
    assert str(first) == f"{closing}; run"
    assert train_network("digits", **options) == first
    assert "is done" in capsys.readouterr().out
    assert as_json(first)["folder"] == "run"
    command = json.loads(Path("run/result.json").read_text())["command"]
    assert command.startswith("python -m vgg_tf.train --data=digits --arch=shallow")
    images = np.zeros([2, 32, 32, 3], np.uint8)
    rows = first.load().predict(images, verbose=0)
    assert len(decode_predictions(rows, "run")) == 2


def test_evaluate_network_returns_what_the_program_prints(copied, uncompiled):
    found = evaluate_network("run", strategy="cpu")
    printed = call("vgg_tf.evaluate", "run", "--strategy", "cpu").stdout.splitlines()[-1]
    words = [line.partition("loss")[0] for line in (printed, str(found))]
    assert words[0] == words[1]
    result = json.loads((Path(found.report).parent / "result.json").read_text())
    assert 100 * result["top1"]["error"] == pytest.approx(found.top1_error, abs=0.01)
    assert as_json(found)["n"] == found.n == 360
    assert found.top1_interval[0] <= found.top1_error <= found.top1_interval[1]


@pytest.mark.slow  # 4 s: another size of the input is compiled
def test_evaluate_network_returns_the_table_of_a_preset(copied):
    found = evaluate_network(["run"], preset="paper-table3", strategy="cpu")
    assert Path(found.report).read_text().strip() == found.table
    assert found.table.count("|") > 10
    assert "top-1 error" not in str(found)


def test_predict_pictures_returns_classes_and_problems(copied, pictures_folder, uncompiled):
    Path("bad.png").write_bytes(b"no picture")
    picture = next(pictures_folder.rglob("*.png"))
    found = predict_pictures("run", [picture, "bad.png"], top=3, strategy="cpu")
    assert list(found.classes) == [str(picture)]
    assert list(found.problems) == ["bad.png"]
    assert str(found).splitlines()[0] == str(picture)
    assert "cannot read bad.png" in str(found)
    printed = call("vgg_tf.predict", "run", picture, "--top", "3", "--format", "json").stdout
    (row,) = json.loads(printed)
    assert [(one["class"], one["posterior"]) for one in row["classes"]] == [
        (name, pytest.approx(posterior)) for name, posterior in found.classes[str(picture)]
    ]
    assert as_json(found)["problems"].keys() == {"bad.png"}


def test_export_network_returns_the_rows_of_the_report(copied):
    found = export_network("run", format="onnx", n=2, out="files")
    assert [row["format"] for row in found.files] == ["onnx"]
    assert Path(found.files[0]["file"]).exists()
    assert str(found).startswith("1 file written to files and read back")
    assert as_json(found)["card"] == ""


def test_describe_pictures_returns_descriptors_with_names(copied, pictures_folder, uncompiled):
    found = describe_pictures(pictures_folder, weights=["run"], protocol="none", strategy="cpu")
    stored = np.load(Path(found.folder) / "descriptors.npz")
    np.testing.assert_array_equal(found.descriptors, stored["descriptors"])
    assert list(stored["names"]) == list(found.names)
    assert as_json(found)["classes"] == list(found.classes)
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, rtol=1e-5)


def test_a_bar_is_drawn_in_terminals_and_notebooks_alone(monkeypatch):
    class Stream:
        def __init__(self, terminal):
            self.isatty = lambda: terminal

    class Python:
        @staticmethod
        def get_ipython():
            return type("Shell", (), {"kernel": None})

    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert programs.hides_bar(Stream(False))
    assert not programs.hides_bar(Stream(True))
    monkeypatch.setitem(sys.modules, "IPython", Python)
    assert not programs.hides_bar(Stream(False))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert programs.hides_bar(Stream(True))
