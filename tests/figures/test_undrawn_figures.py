"""If a figure cannot be drawn, the program prints a note and continues."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from tests.making import shallow
from vgg_tf import train
from vgg_tf.evaluation import metrics, reports
from vgg_tf.figures import charts, drawing
from vgg_tf.figures.charts import draw_history
from vgg_tf.localization import reports as localization_reports
from vgg_tf.localization.inference import Found
from vgg_tf.localization.inputs import BoxedImages
from vgg_tf.records.splits import Split
from vgg_tf.runtime import programs, signals
from vgg_tf.training import loop


def broken(*_, **__):
    raise RuntimeError("no\nfont")


def test_an_error_of_matplotlib_names_the_path_and_keeps_the_old_figure(tmp_path, monkeypatch):
    figure, path = drawing.Drawing(1, 1), tmp_path / "a.png"
    drawing.save(figure, path)
    before = path.read_bytes()
    monkeypatch.setattr(figure, "draw", broken)
    with pytest.raises(ValueError, match=r"a\.png could not be drawn \(RuntimeError: no\nfont\)"):
        drawing.save(figure, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_an_error_of_a_figure_is_noted_once_with_its_type_and_message(capsys):
    noted = set()
    for what in ("a.png", "a.png", "b.png"):
        with programs.noting(what, noted):
            broken()
    notes = "note: {} was not drawn (RuntimeError: no font). The program continues.\n"
    assert capsys.readouterr().err == notes.format("a.png") + notes.format("b.png")


def test_ctrl_c_and_sigterm_are_no_notes_but_end_the_program(capsys):
    for stop in (KeyboardInterrupt, signals.PreemptedError):
        with pytest.raises(stop), programs.noting("a.png"):
            raise stop
    assert not capsys.readouterr().err


@pytest.mark.slow
def test_a_training_run_with_failing_curves_ends_and_notes_them_once(
    tmp_path, capsys, monkeypatch, uncompiled
):
    """The curves are drawn three times: the first two fail, the third succeeds."""
    folder, random, drawn = tmp_path / "cost_$5_vs_$6", np.random.default_rng(0), []
    for name in ("train/_a$", "train/b\n$_{", "test/_a$", "test/b\n$_{"):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
                folder / name / f"${i}.png"
            )

    def at_last(rows, title):
        drawn.append(title)
        return draw_history(rows, title) if len(drawn) == 3 else broken()

    monkeypatch.setattr(charts, "draw_history", at_last)
    monkeypatch.setattr(loop, "DRAW_EVERY", 0)
    words = (
        "--arch shallow --strategy cpu --precision float32 --epochs 2 --size 32 --scale 32 "
        "--width 0.0625 --head-width 8"
    )
    words += " --batch-size 4 --hold-out 0 --schedule cosine --no-check"
    with shallow():
        train.main(
            [*words.split(), "--data", str(folder), "--out", str(tmp_path / "run")]
        )  # takes seconds, for the pipelines
    assert drawn == ["shallow on cost_$5_vs_$6"] * 3
    assert (
        capsys.readouterr().err.count("run/history.png was not drawn (RuntimeError: no font)") == 1
    )
    assert (tmp_path / "run" / "history.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "run" / "report.json").exists()


def split():
    contents = io.BytesIO()
    Image.new("RGB", (8, 6)).save(contents, "png")
    return Split(["_0.png", "$1.png"], np.array([0, 1]), [contents.getvalue()] * 2)


def test_a_report_without_one_of_its_figures_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(charts, "draw_roc", broken)
    posteriors = np.array([[0.9, 0.1], [0.8, 0.2]])
    found = metrics.compute_metrics(posteriors, np.array([0, 1]), ("_a", "$b"))
    reports.write_report(str(tmp_path), "a net", {}, found, posteriors, split(), ("_a", "$b"))
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png") == 4
    assert (
        page.count("<h2>ROC curve of each class</h2>\n<p>This figure could not be drawn.</p>") == 1
    )
    missing = (
        "the figure 'ROC curve of each class' of the report of a net was not drawn "
        "(RuntimeError: no font)"
    )
    assert missing in capsys.readouterr().err


def test_a_report_of_boxes_without_its_sheet_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(localization_reports, "draw_contact_sheet", broken)
    found = [[Found(0, 1.0, np.array([0, 0, 1, 1]))]] * 2
    localization_reports.write_report(
        str(tmp_path), {}, found, BoxedImages(split(), [], [(8, 6)] * 2), ("_a", "$b")
    )
    assert sorted(os.listdir(tmp_path)) == ["boxes.json", "report.json"]
    assert "boxes.png was not drawn (RuntimeError: no font)" in capsys.readouterr().err
