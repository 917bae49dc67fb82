"""Errors about damaged files of a run folder name the file and say what to do."""

import json
from types import SimpleNamespace

import keras
import pytest
from safetensors.numpy import save_file

from vgg_tf.paper.recipes import Recipe
from vgg_tf.runs import run_folder, state_file, tracking
from vgg_tf.runs.settings import Settings


@pytest.fixture
def run(tmp_path):
    settings = Settings("vgg11", "noise", "0" * 16, "float32", Recipe())
    (tmp_path / "recipe.json").write_text(json.dumps(settings.to_json()))
    return run_folder.read_run(tmp_path)


def test_the_error_about_a_damaged_report_names_it(run, tmp_path):
    assert run.read_report() is None
    (tmp_path / "report.json").write_text('{"top1_error": 1')
    with pytest.raises(ValueError, match=r"report\.json is not valid JSON .* Delete it"):
        run.read_report()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must hold a JSON object"),
        ("{}", "must hold the settings of a run"),
    ],
)
def test_the_error_about_a_damaged_recipe_names_it(run, tmp_path, text, message):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(ValueError, match=rf"recipe\.json {message}.*Choose another --out"):
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
    with pytest.raises(ValueError, match=rf"recipe\.json must hold .*{message}.*{value}"):
        run_folder.read_run(tmp_path)


@pytest.mark.parametrize("key", ["state", "statistics"])
def test_the_error_about_a_damaged_state_names_it(tmp_path, key):
    layer = keras.layers.Dense(1)
    layer.build((None, 1))
    optimizer = SimpleNamespace(variables=[])
    path = tmp_path / "last.safetensors"
    arrays = {f"model/{i:04d}": value.numpy() for i, value in enumerate(layer.variables)}
    save_file(arrays, path, metadata={"state": "{}", key: "{"})  # older files have no checksum
    with pytest.raises(ValueError, match=r"last\.safetensors is not valid JSON .* Delete it"):
        state_file.restore_state(str(path), layer, optimizer)


def test_a_damaged_file_of_a_tracker_is_reported_and_training_continues(run, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "tracked.json").write_text("{")
    lines = []
    with tracking.open_trackers("tensorboard", run, lines.append):
        pass
    (line,) = lines
    assert "tracked.json is not valid JSON" in line
    assert "Delete it. tensorboard then receives all epochs again" in line
