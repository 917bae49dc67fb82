"""An interrupted run ends bit for bit like an uninterrupted one."""

import dataclasses
import shutil

import keras
import pytest
from safetensors.numpy import load_file

from tests.making_survivals import same_bits
from tests.training.making_runs import (
    CLASSES,
    RECIPE,
    StopError,
    collection,
    state_of,
    train,
)
from vgg_tf.models.vgg import build_vgg
from vgg_tf.runs import run_folder
from vgg_tf.training.model import build
from vgg_tf.weights.normalization import read_statistics

pytestmark = pytest.mark.usefixtures("shallow_throughout", "undrawn_curves")


def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(whole, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    _, lines = train(folder)
    assert lines[0] == "continuing after epoch 3"
    assert state_of(folder) == state_of(whole)
    assert state_of(whole)["plateau"]["drops"] == 1
    assert same_bits(whole, folder)


def test_the_state_holds_weights_dropout_seeds_and_optimizer(whole):
    model = build("shallow", RECIPE, collection())
    arrays = load_file(whole / run_folder.LAST)
    weights, seeds = len(model.weights), 2
    assert len([key for key in arrays if key.startswith("model")]) == weights + seeds
    learned = len(model.trainable_variables)
    assert (
        len([key for key in arrays if key.startswith("optimizer")]) == 2 + 2 * learned
    )  # momentum and average


def test_a_truncated_state_falls_back_to_the_previous_one(whole, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    path = folder / run_folder.LAST
    path.write_bytes(path.read_bytes()[:1000])
    _, lines = train(folder)
    assert (
        lines[0]
        == "last.safetensors is damaged, previous.safetensors is intact: continuing after epoch 2"
    )
    assert same_bits(whole, folder)


def test_an_empty_state_counts_as_damaged(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    (folder / run_folder.LAST).write_bytes(b"")
    with pytest.raises(StopError, match=r"continuing after epoch 2$"):
        train(folder, stop="last.safetensors is damaged")


def test_an_interrupted_run_that_inherited_weights_keeps_its_mean_and_bits(
    tmp_path,
):
    # The mean and std of the source's input are constants of the network, not variables.
    options = {"input_shape": (32, 32, 3), "classes": CLASSES, "width": 0.0625, "head_width": 16}
    build_vgg("shallow", **options, mean=(9, 8, 7), seed=3).save(tmp_path / "source.keras")
    recipe = dataclasses.replace(RECIPE, epochs=2, standardize=False, average=0.0)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, recipe, source=tmp_path / "source.keras", validated=False)
    shutil.copytree(whole, parts)
    for name in (run_folder.LAST, "model.keras"):  # as after a kill in the second epoch
        (parts / name).unlink()
    (tmp_path / "source.keras").unlink()
    _, lines = train(parts, recipe, source=tmp_path / "source.keras", validated=False)
    assert lines[0] == "continuing after epoch 1"
    assert same_bits(whole, parts)
    assert read_statistics(keras.saving.load_model(parts / "model.keras")) == ((9, 8, 7), None)


@pytest.mark.slow
# 3 s: three networks are traced.
def test_an_interrupted_run_with_class_weights_ends_with_the_same_bits_and_the_same_log(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=2, class_weights="balanced", average=0.0)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, recipe)
    with pytest.raises(StopError):
        train(parts, recipe, stop="epoch 1/")
    _, lines = train(parts, recipe)
    assert lines[0] == "continuing after epoch 1"
    assert state_of(parts) == state_of(whole)
    assert same_bits(whole, parts)
    assert "mean class recall" in lines[-1]
