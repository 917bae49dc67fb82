"""Errors about damaged files of a run folder name the file and say what to do."""

import json

import pytest

from vgg_tf.paper.recipes import Recipe
from vgg_tf.runs import run_folder, tracking
from vgg_tf.runs.settings import Settings


@pytest.fixture
def run(tmp_path):
    settings = Settings("vgg11", "noise", "0" * 16, "float32", Recipe())
    (tmp_path / "recipe.json").write_text(json.dumps(settings.to_json()))
    return run_folder.read_run(tmp_path)


REPORT = {"split": "test", "n": 4, "top1_error": 50.0, "top5_error": 0.0, "seconds": 6.6}
REPORT |= {"images_per_second": 1.8, "epochs": 1, "best_epoch": 1, "parameters": 2558}


@pytest.mark.parametrize(
    "text",
    [
        '{"top1_error": 1',
        "",
        "[]",
        "{}",
        json.dumps(REPORT | {"n": "four"}),
        json.dumps(REPORT | {"n": 10**30}),
        json.dumps(REPORT | {"seconds": float("nan")}),
        json.dumps({key: value for key, value in REPORT.items() if key != "top1_error"}),
    ],
)
def test_a_damaged_report_is_passed_over_with_a_note(run, tmp_path, text, capsys):
    assert run.read_report() is None
    assert not capsys.readouterr().err
    (tmp_path / "report.json").write_text(text)
    assert run.read_report() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"note: {tmp_path}/report.json must be the report of a run. Received: ")


@pytest.mark.parametrize(
    "report",
    [
        REPORT,
        REPORT | {"of a later version": 1},
        {"split": None, "n": 0, "epochs": 1, "best_epoch": 1, "seconds": 1, "images_per_second": 2},
        {"split": "train", "n": 3, "error": 12.5, "epochs": 1, "best_epoch": 1, "seconds": 1.5},
    ],
)
def test_reports_of_tested_untested_and_box_runs_are_read(run, tmp_path, report):
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert run.read_report() == report


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "invalid JSON"),
        ("[]", "it must be a JSON object"),
        ("{}", "no arch"),
    ],
)
def test_the_error_about_a_damaged_recipe_names_it(run, tmp_path, text, message):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(
        ValueError, match=rf"recipe\.json must be .*{message}.*Choose another --out"
    ):
        run_folder.read_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("schedule", "wild", "--schedule must be one of"),
        ("cache", 3, "--cache must be one of"),
        ("flip", "no", "flip must be true or false"),
        ("epochs", "ten", "epochs must be an integer"),
        ("scale", "large", "scale must be an integer S"),
    ],
)
def test_the_error_about_a_wrong_value_of_a_recipe_names_it(run, tmp_path, name, value, message):
    values = run.settings.to_json()
    (tmp_path / "recipe.json").write_text(
        json.dumps(values | {"recipe": values["recipe"] | {name: value}})
    )
    with pytest.raises(ValueError, match=rf"recipe\.json must be .*{message}.*{value}"):
        run_folder.read_run(tmp_path)


def test_a_damaged_file_of_a_tracker_is_reported_and_training_continues(run, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "tracked.json").write_text("{")
    lines = []
    with tracking.open_trackers("tensorboard", run, lines.append):
        pass
    (line,) = lines
    assert "tracked.json must be the note of a tracker. Received: invalid JSON" in line
    assert "Delete it. tensorboard then receives all epochs again" in line
