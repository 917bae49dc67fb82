"""A run folder has one writer, keeps its settings, and never overwrites other files."""

import dataclasses
import json
import shutil

import keras
import pytest

from tests.training.making_runs import RECIPE, collection, open_run
from vgg_tf.runs import run_folder
from vgg_tf.runs.curves import draw_runs
from vgg_tf.runs.settings import Settings
from vgg_tf.runs.state import State
from vgg_tf.training.model import build

pytestmark = pytest.mark.usefixtures("shallow_throughout")


def test_a_network_with_synchronized_moments_is_saved_so_that_any_engine_loads_it(
    tmp_path,
):
    # Keras refuses synchronized=True on JAX.
    with open_run(tmp_path / "run") as run:
        model = build("shallow_bn", dataclasses.replace(RECIPE, average=0.0), collection())
        norms = [
            layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
        ]
        for layer in norms:
            layer.synchronized = True
        run.save_best(model)
        assert all(layer.synchronized for layer in norms)
    loaded = keras.saving.load_model(run.best)
    assert [layer.synchronized for layer in loaded.layers if hasattr(layer, "synchronized")] == [
        False
    ] * len(norms)


def test_a_folder_with_another_run_is_refused_and_unchanged(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    other = dataclasses.replace(RECIPE, epochs=7, learning_rate=0.5)
    with pytest.raises(
        FileExistsError,
        match=r"another run: epochs 5 there, 7 here, learning_rate 0.02 there, 0.5 here",
    ):
        open_run(folder, other).__enter__()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_with_other_files_is_refused_and_unchanged(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(
        FileExistsError, match=r"must be empty or contain a run\. Received: .* Choose another --out"
    ):
        open_run(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_has_one_writer_at_a_time(tmp_path):
    with (
        open_run(tmp_path / "run"),
        pytest.raises(BlockingIOError, match="trained by another process"),
    ):
        open_run(tmp_path / "run").__enter__()
    with open_run(tmp_path / "run"):
        pass


def test_settings_and_recipe_are_equal_after_a_round_trip_through_json(tmp_path):
    recipe = dataclasses.replace(RECIPE, scale=(256, 512), freeze_until="block4")
    settings = Settings(
        "vgg13_bn", "somewhere", "abc", "float32", recipe, inherit="there", inherit_layers="fc1,fc2"
    )
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_run_of_an_earlier_version_continues_its_log_with_the_recall(tmp_path):
    rows = ({"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 1.5, "validation_recall": 50.0})
    with open_run(tmp_path / "run") as run:
        run.write_log(State(rows=rows))
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert log == ["epoch,loss,validation_recall", "1,2.5,", "2,1.5,50.0"]
    assert draw_runs([str(tmp_path / "run")], "validation_recall").axes[0].lines[0].get_xdata() == 2


def test_the_recipe_of_an_earlier_version_has_no_class_weights_and_continues(tmp_path):
    with open_run(tmp_path / "run") as run:
        values = json.loads((tmp_path / "run" / "recipe.json").read_text())
        assert values["recipe"].pop("class_weights") == "none"
        there = Settings.from_json(values)
        assert there.recipe.class_weights == "none"
        assert there.differences(run.settings) == ""
        weighted = dataclasses.replace(RECIPE, class_weights="balanced")
        difference = there.differences(dataclasses.replace(run.settings, recipe=weighted))
        assert difference == "class_weights none there, balanced here"


def test_the_error_names_a_folder_that_is_not_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a run folder"):
        run_folder.read_run(tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(
        ValueError, match=r"recipe.json must be .* invalid JSON.* Choose another --out"
    ):
        run_folder.read_run(tmp_path)
