"""`export.json` is kept up over several exports, and reports of earlier versions still open."""

import json
import shutil

import pytest

from tests.making import ROOT, fill_disk
from vgg_tf.formats.listing import NAME, read_report, update_report

FACTS = {"name": "a", "architecture": "vgg11", "height": 32, "width": 32, "scale": 32}
FACTS |= {"weights": "w", "compared_on": "photographs", "calibrated_on": ""}


def exported(folder, kind, facts=FACTS, left=None):
    """Pretend to export one format. Return the notes and the report."""
    path = folder / f"a.{kind}"
    path.write_bytes(b"")
    row = {"format": kind, "file": str(path), "top1_agreement": 0.5 if kind == "onnx" else 1.0}
    row |= {"bytes": 0, "ms_an_image": 1.0, "log_posterior": 0.5, "posterior": 0.25}
    notes = update_report(str(folder), facts, [row], left or {})
    return notes, json.loads((folder / NAME).read_text())


def kinds(report):
    return [row["format"] for row in report["formats"]]


def test_an_export_adds_its_entry_or_replaces_it(tmp_path):
    exported(tmp_path, "onnx")
    notes, report = exported(tmp_path, "litert", FACTS | {"compared_on": "pictures"})
    assert (notes, kinds(report)) == ({"other": ""}, ["litert", "onnx"])
    assert [row["compared_on"] for row in report["formats"]] == ["pictures", "photographs"]
    (note,) = report["notes"]
    assert note.startswith("onnx predicts another class than the network on 50% of the views.")
    _, report = exported(tmp_path, "onnx", FACTS | {"compared_on": "pictures"})
    assert [row["compared_on"] for row in report["formats"]] == ["pictures", "pictures"]


def test_an_entry_keeps_its_own_size_and_network(tmp_path):
    exported(tmp_path, "onnx")
    notes, report = exported(tmp_path, "litert", FACTS | {"height": 64, "weights": "x"})
    assert [row["network"]["height"] for row in report["formats"]] == [64, 32]
    assert notes["other"].startswith("a.onnx: from an earlier export, of another network or size")
    assert report["notes"][1:] == [notes["other"]]


def test_an_entry_of_a_removed_file_is_dropped_with_a_note(tmp_path):
    exported(tmp_path, "onnx")
    (tmp_path / "a.onnx").unlink()
    notes, report = exported(tmp_path, "litert")
    assert kinds(report) == ["litert"]
    assert notes["gone"] == f"{tmp_path}/{NAME}: dropped a.onnx, which no longer exists."
    assert "gone" not in exported(tmp_path, "litert")[0]


def test_a_format_that_was_left_out_is_listed_until_it_is_written(tmp_path):
    _, report = exported(tmp_path, "onnx", left={"litert": "no package", "coreml": "no package"})
    assert report["left_out"] == ["litert: no package", "coreml: no package"]
    assert exported(tmp_path, "litert")[1]["left_out"] == ["coreml: no package"]


def test_a_report_of_version_0_1_keeps_its_entries_also_in_a_moved_folder(tmp_path):
    folder = shutil.copytree(f"{ROOT}/tests/references/exports", tmp_path / "moved")
    _, report = exported(folder, "other")
    assert kinds(report)[:6] == [
        *("savedmodel", "litert", "litert-float16", "litert-int8", "onnx", "coreml")
    ]
    assert report["formats"][0]["file"] == str(folder / "run-savedmodel")
    assert {row["network"]["name"] for row in report["formats"][:6]} == {"run"}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"formats": 3}', '{"formats": [{"file": 1}]}'])
def test_a_report_of_something_else_is_not_overwritten(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    for call in (lambda: read_report(str(tmp_path)), lambda: exported(tmp_path, "onnx")):
        with pytest.raises(ValueError, match=r"export\.json .*Remove it, or choose another --out"):
            call()
    assert (tmp_path / NAME).read_text() == text


def test_a_full_disk_keeps_the_earlier_report(tmp_path, monkeypatch):
    exported(tmp_path, "onnx")
    before = (tmp_path / NAME).read_bytes()
    fill_disk(monkeypatch, tmp_path / NAME)
    with pytest.raises(OSError, match=r"export\.json"):
        exported(tmp_path, "litert")
    assert (tmp_path / NAME).read_bytes() == before
