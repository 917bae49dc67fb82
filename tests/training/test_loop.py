"""The loop: its arithmetic, what it minimizes, what it reports, and that an interrupted run ends as
an uninterrupted one.

The loop does not depend on the depth, so most networks here have one convolution. A training takes
a CPU second nevertheless, nearly all of it for the tracing of what `fit` and `evaluate` run.
"""

import csv
import dataclasses
import functools
import json
import math
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors import safe_open
from safetensors.numpy import load_file

from tests.making import shallow
from vgg_tf.images.colors import colours
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper.presets import choose_recipe, shrink
from vgg_tf.paper.recipes import Recipe
from vgg_tf.records.splits import Source, Split
from vgg_tf.records.statistics import Measures
from vgg_tf.runs import run_folder
from vgg_tf.runs.settings import Settings
from vgg_tf.runs.state import Plateau
from vgg_tf.training import loop
from vgg_tf.training.model import (
    Arithmetic,
    arithmetic,
    build,
    compile_scores,
    cross_entropy,
    evaluate,
    make_optimizer,
    scores_of,
)
from vgg_tf.training.schedules import Schedule
from vgg_tf.weights import reading
from vgg_tf.weights.inheritance import inherit_weights
from vgg_tf.weights.normalization import read_statistics

CLASSES = 4
# With dropout, whose seeds a .keras file lacks, a plateau that fires, and averaged weights.
RECIPE = Recipe(
    epochs=5,
    batch_size=8,
    learning_rate=0.02,
    patience=1,
    drops=1,
    size=32,
    scale=(32, 32),
    rgb_shift=0.0,
    width=0.0625,
    head_width=16,
    standardize=True,
    seed=5,
    average=0.9,
)


@pytest.fixture(autouse=True, scope="module")
def _rows():
    with shallow():
        yield


def pictures(n, seed=0):
    """Noise whose brightness tells the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, n).astype(np.int32)
    images = random.uniform(0, 80, (n, 32, 32, 3)) + 50 * labels[:, None, None, None]
    return images.astype(np.uint8), labels


def batches(n, batch, seed=0):
    return tf.data.Dataset.from_tensor_slices(pictures(n, seed)).batch(batch, drop_remainder=True)


def masked(n, batch, seed=1):
    images, labels = pictures(n, seed)
    fill = -n % batch
    arrays = (
        np.pad(images, [(0, fill)] + [(0, 0)] * 3),
        np.pad(labels, (0, fill)),
        np.float32([1] * n + [0] * fill),
    )
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch)


@functools.cache
def collection():
    images, labels = pictures(32)
    measures = Measures()
    for image in images:
        measures.add(*colours(image), min(image.shape[:2]), 100)
    split = Split([str(i) for i in range(32)], labels.astype(np.int64), [b""] * 32)
    return measures.make_collection(Source("noise", tuple("abcd"), {"train": split}))


def open_run(folder, recipe=RECIPE, arch="shallow"):
    return run_folder.open_run(folder, Settings(arch, "noise", "0" * 16, "float32", recipe))


class StopError(Exception):
    pass


def train(
    folder,
    recipe=RECIPE,
    stop=None,
    batch=8,
    validated=True,
    source=None,
    check=True,
    arch="shallow",
    lines=None,
    **hooks,
):
    """Train on 24 pictures, whose order depends on the epoch; raise StopError, as a kill would,
    after a line.
    """
    keras.utils.set_random_seed(recipe.seed)
    lines = [] if lines is None else lines

    def say(line):
        lines.append(line)
        if stop and line.startswith(stop):
            raise StopError(line)

    with open_run(folder, recipe, arch) as run:
        model = build(arch, recipe, collection())

        def begin():
            if source:
                inherit_weights(source, model, say=say)

        state = loop.train(
            run,
            model,
            loop.Feed(
                24 // batch,
                batch,
                lambda e: batches(24, batch, seed=e),
                masked(13, 8) if validated else None,
            ),
            loop.Hooks(say, begin, **hooks),
            check=check,
        )
    return state, lines


def compiled(model, recipe, steps):
    """A network of scores that learns step by step: nothing is traced."""
    scores = scores_of(model)
    compile_scores(scores, make_optimizer(recipe, steps))
    scores.run_eagerly = True
    return scores


@pytest.fixture(scope="module")
def whole(once):
    """A run that nothing interrupts."""
    return once("whole_training", lambda folder: train(folder / "run")) / "run"


@pytest.fixture(scope="module")
def stopped(once):
    """The same run, interrupted after the third epoch."""

    def make(folder):
        with pytest.raises(StopError):
            train(folder / "run", stop="epoch 3/")

    return once("stopped_training", make) / "run"


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch):
    """Curves take half a second, so only those of `whole`, which is trained before this, are
    drawn.
    """
    monkeypatch.setattr(run_folder.Run, "draw", lambda run, make: None)


def state_of(folder):
    """All that the last state holds beyond the variables, but for the times."""
    with safe_open(folder / run_folder.LAST, framework="numpy") as file:
        state = json.loads(file.metadata()["state"])
    for row in state["rows"]:
        del row["seconds"], row["images_per_second"]
    return state


def same_bits(one, other):
    """Whether two runs ended with the same bits in the last state and in the best network."""
    states = [load_file(folder / run_folder.LAST) for folder in (one, other)]
    best = [reading.read_weights(folder).fingerprint() for folder in (one, other)]
    same = states[0].keys() == states[1].keys() and all(
        np.array_equal(states[0][key], states[1][key]) for key in states[0]
    )
    return same and best[0] == best[1]


def test_an_interrupted_run_ends_with_the_bits_of_an_uninterrupted_one(whole, stopped, tmp_path):
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


def test_a_torn_state_falls_back_to_the_one_before(whole, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    path = folder / run_folder.LAST
    path.write_bytes(path.read_bytes()[:1000])
    _, lines = train(folder)
    assert (
        lines[0]
        == "last.safetensors is torn, previous.safetensors is whole: continuing after epoch 2"
    )
    assert same_bits(whole, folder)


def test_an_empty_state_counts_as_torn(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    (folder / run_folder.LAST).write_bytes(b"")
    with pytest.raises(StopError, match=r"continuing after epoch 2$"):
        train(folder, stop="last.safetensors is torn")


def test_a_loss_that_is_not_a_number_stops_the_run_and_the_folder_makes_way_for_the_fixed_command(
    tmp_path,
):
    with pytest.raises(
        FloatingPointError,
        match=r"The loss is (nan|inf) at step 3 of epoch 1\..*--learning-rate 1e\+29",
    ):
        train(tmp_path / "run", dataclasses.replace(RECIPE, learning_rate=1e30))
    assert not (tmp_path / "run" / run_folder.LAST).exists()
    assert not (tmp_path / "run" / "model.keras").exists()
    with open_run(tmp_path / "run"):
        assert (
            run_folder.read_run(tmp_path / "run").settings.recipe.learning_rate
            == RECIPE.learning_rate
        )


def test_an_epoch_that_explodes_in_its_last_step_is_not_kept(tmp_path):
    # One step an epoch: the loss before the step is fine, the weights after it are not.
    recipe = dataclasses.replace(RECIPE, batch_size=24, learning_rate=1e39)
    with pytest.raises(FloatingPointError, match=r"not a number after epoch 1\."):
        train(tmp_path / "run", recipe, batch=24, validated=False)
    assert not (tmp_path / "run" / run_folder.LAST).exists()
    assert not (tmp_path / "run" / "model.keras").exists()


def test_an_interrupted_run_that_inherited_ends_with_the_bits_and_the_mean_of_an_uninterrupted_one(
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


def test_before_a_block_nothing_learns_and_from_it_on_all_kernels_do():
    recipe = dataclasses.replace(RECIPE, freeze_until="block4")
    with shallow(((3,), (), (), (3,), (3,))):
        model = build("shallow", recipe, collection())
    start = {layer.name: layer.kernel.numpy() for layer in model.layers if layer.weights}
    compiled(model, recipe, 1).train_on_batch(*pictures(24))
    changed = [
        name
        for name, kernel in start.items()
        if not np.array_equal(kernel, model.get_layer(name).kernel)
    ]
    assert changed == ["block4_conv1", "block5_conv1", "fc1", "fc2", "predictions"]


def test_a_start_that_ends_in_nan_is_refused_before_the_first_step_unless_told_otherwise(tmp_path):
    recipe = dataclasses.replace(RECIPE, initializer="ones", epochs=1)
    with pytest.raises(
        FloatingPointError, match=r"A look at one batch: explodes at block\d_conv\d: .*auto is safe"
    ):
        train(tmp_path / "run", recipe, arch="vgg11")
    assert not (tmp_path / "run" / run_folder.LAST).exists()

    def first_step(seconds):
        raise StopError("the first step")

    lines = []
    with pytest.raises(StopError, match="the first step"):
        train(tmp_path / "run", recipe, arch="vgg11", check=False, heed=first_step, lines=lines)
    assert lines[0].startswith("a look at one batch: explodes")


def test_a_network_that_shares_its_moments_among_devices_is_saved_as_one_that_any_engine_loads(
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


def test_averages_and_batch_normalization_are_not_mixed():
    with pytest.raises(ValueError, match="--average is not for vgg11_bn"):
        build("vgg11_bn", RECIPE, collection())
    assert (
        choose_recipe("digits", "vgg16_bn").average == 0 < choose_recipe("digits", "vgg16").average
    )


def test_a_network_of_no_outputs_is_refused_and_not_given_those_of_the_collection():
    with pytest.raises(ValueError, match="positive"):
        build("vgg11", RECIPE, collection(), outputs=0)


def test_the_log_has_a_row_an_epoch_and_the_curve_is_drawn(whole):
    rows = list(csv.DictReader((whole / "log.csv").read_text().splitlines()))
    assert [(float(row["epoch"]), float(row["loss"])) for row in rows] == [
        (row["epoch"], row["loss"]) for row in state_of(whole)["rows"]
    ]
    assert (whole / "history.png").read_bytes()[:4] == b"\x89PNG"


def test_training_learns_and_keeps_the_best_network(tmp_path):
    recipe = dataclasses.replace(
        RECIPE, epochs=12, average=0.0, dropout=0.0, schedule="one-cycle", warmup=0.25
    )
    state, _ = train(tmp_path / "run", recipe)
    errors = [(row["validation_error"], row["validation_loss"]) for row in state.rows]
    assert state.best == min(errors)
    assert state.best[0] < 40 < errors[0][0]
    assert state.best_epoch == 1 + errors.index(min(errors))
    best = compiled(
        keras.saving.load_model(tmp_path / "run" / "model.keras", compile=False), recipe, 3
    )
    assert evaluate(best, masked(13, 8))["top1_error"] == state.best[0]


def test_evaluation_counts_every_image_once_whatever_the_batch():
    model = build_vgg(
        "shallow",
        input_shape=(32, 32, 3),
        classes=7,
        width=0.125,
        head_width=16,
        std=(50.0,) * 3,
        seed=1,
    )
    images, labels = pictures(11, seed=1)
    posteriors = model(images).numpy().astype(np.float64)
    order = np.argsort(-posteriors, axis=1)
    top1 = 100 * np.mean(order[:, 0] != labels)
    top5 = 100 * np.mean(
        [label not in row for label, row in zip(labels, order[:, :5], strict=True)]
    )
    loss = -np.log(posteriors[np.arange(11), labels]).mean()
    scores = scores_of(model)
    compile_scores(scores)
    for batch in (1, 3, 4, 11, 16):
        errors = evaluate(scores, masked(11, batch))
        np.testing.assert_allclose(
            [errors["top1_error"], errors["top5_error"]], [top1, top5], rtol=1e-5
        )
        np.testing.assert_allclose(errors["loss"], loss, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_cross_entropy_with_the_smoothed_target(smoothing):
    random = np.random.default_rng(0)
    scores, labels = random.normal(0, 3, (6, 4)), random.integers(0, 4, 6)
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    expected = -(target * (scores - np.log(np.exp(scores).sum(1, keepdims=True)))).sum(1)
    result = cross_entropy(smoothing)(labels[:, None], scores.astype(np.float32))
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_accumulating_two_halves_makes_the_update_of_the_whole_batch():
    # Tolerance: float32 sums in another order.
    images, labels = pictures(16)
    results = []
    for parts in (1, 2):
        recipe = dataclasses.replace(RECIPE, accumulate=parts, dropout=0.0, average=0.0)
        scores = compiled(build("shallow", recipe, collection()), recipe, 2 * parts)
        data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8 // parts)
        scores.fit(data, verbose=0, shuffle=False)
        results.append(scores.get_weights())
    start = build("shallow", RECIPE, collection()).get_weights()
    for whole, halves, before in zip(*results, start, strict=True):
        np.testing.assert_allclose(
            whole, halves, rtol=1e-4, atol=1e-5 * np.abs(whole - before).max()
        )


@pytest.mark.slow
def test_the_average_of_the_weights_is_kept_and_the_last_ones_are_trained_on(tmp_path):
    # Without validation the last network is the best. Dropout 0 and one step an epoch: the last
    # weights after k epochs are those of plain training, the network kept is average_k =
    # average_(k-1) / 2 + weights_k / 2, average_1 = weights_1.
    recipe = dataclasses.replace(RECIPE, dropout=0.0, batch_size=24)
    average = None
    for k in (1, 2, 3):
        plain, kept = tmp_path / f"plain{k}", tmp_path / f"averaged{k}"
        train(plain, dataclasses.replace(recipe, epochs=k, average=0.0), batch=24, validated=False)
        train(kept, dataclasses.replace(recipe, epochs=k, average=0.5), batch=24, validated=False)
        weights = load_file(plain / run_folder.LAST)["model/0000"]
        np.testing.assert_array_equal(load_file(kept / run_folder.LAST)["model/0000"], weights)
        average = weights if average is None else 0.5 * average + 0.5 * weights
        best = (
            keras.saving.load_model(kept / "model.keras").get_layer("block1_conv1").kernel.numpy()
        )
        np.testing.assert_allclose(best, average, rtol=1e-5)


def test_the_average_has_its_momentum_per_update_also_with_accumulation():
    for parts in (1, 4):
        optimizer = make_optimizer(dataclasses.replace(RECIPE, accumulate=parts), 10)
        assert optimizer.ema_momentum**parts == pytest.approx(0.9)


@pytest.mark.slow
def test_half_precision_trains_with_averaged_weights(tmp_path):
    # mixed_float16 wraps the optimizer in one that scales the loss.
    for policy in ("mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            state, _ = train(
                tmp_path / policy,
                dataclasses.replace(RECIPE, epochs=2, average=0.5),
                arch="shallow",
            )
        finally:
            keras.config.set_dtype_policy("float32")
        assert all(math.isfinite(row["loss"]) for row in state.rows)


@pytest.mark.parametrize(
    ("kind", "warmup"), [("cosine", 0), ("cosine", 20), ("one-cycle", 30), ("step", 0)]
)
def test_schedules_follow_their_formulas(kind, warmup):
    schedule = Schedule(kind, 0.1, total=100, warmup=warmup, factor=0.1, drops=3)
    rates = np.array([float(schedule(step)) for step in range(100)])

    def formula(step):
        if kind == "step":
            return 0.1 * 0.1 ** (step // 25)
        if step < warmup - 1:
            return 0.1 * (step + 1) / warmup
        left = min(1, (100 - step) / (100 - warmup))
        return 0.1 * left if kind == "one-cycle" else 0.1 * (1 + math.cos(math.pi * (1 - left))) / 2

    np.testing.assert_allclose(rates, [formula(step) for step in range(100)], rtol=1e-4, atol=1e-6)


def test_the_plateau_drops_the_rate_when_patience_is_over_and_stops_after_the_last_drop():
    plateau, story = Plateau(), []
    for error in [50, 40, 41, 40, 39, 39, 39, 39, 39, 39]:
        plateau, drop, stop = plateau.after(error, patience=2, most=2)
        story.append("drop" if drop else "stop" if stop else "")
    assert story == ["", "", "", "drop", "", "", "drop", "", "stop", "stop"]


def test_batches_are_divided_as_the_recipe_says():
    recipe = Recipe(batch_size=256, accumulate=2)
    assert arithmetic(recipe, 1000) == Arithmetic(128, 6)
    assert arithmetic(dataclasses.replace(recipe, steps_per_epoch=2), 1000).steps == 4
    small = arithmetic(recipe, 33)
    assert (small.batch, small.steps) == (16, 2)
    assert "33 training images are fewer than a batch of 256: batches of 32 instead" in small.note


def test_the_smoke_of_every_recipe_fits_eight_devices():
    for name in ("paper", "cifar", "digits"):
        for accumulate in (1, 2):
            recipe = dataclasses.replace(
                choose_recipe(name, "vgg16"), batch_size=32, accumulate=accumulate
            )
            assert arithmetic(shrink(recipe), 1295, 8).batch == 8


@pytest.mark.parametrize(
    ("n", "options", "replicas", "message"),
    [
        (1000, {"steps_per_epoch": 4}, 1, "1000 images make 3 updates of 256"),
        (
            1000,
            {"batch_size": 100},
            8,
            "8 devices share a batch, 100 does not divide by it. Try --batch-size 96",
        ),
        (
            1000,
            {"batch_size": 100, "accumulate": 2},
            8,
            "50 does not divide by it. Try --batch-size 96",
        ),
        (
            1000,
            {"batch_size": 4},
            8,
            "8 devices share a batch, 4 does not divide by it. Try --batch-size 8",
        ),
        (3, {}, 8, "too few"),
    ],
)
def test_numbers_that_do_not_fit_the_images_are_refused(n, options, replicas, message):
    with pytest.raises(ValueError, match=message):
        arithmetic(Recipe(**options), n, replicas)


def test_a_folder_with_another_run_is_left_alone(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    other = dataclasses.replace(RECIPE, epochs=7, learning_rate=0.5)
    with pytest.raises(
        FileExistsError,
        match=r"another run: epochs 5 there, 7 here, learning_rate 0.02 there, 0.5 here",
    ):
        open_run(folder, other).__enter__()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"not empty and holds no run\. Choose another --out"):
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


def test_settings_and_recipe_survive_their_json(tmp_path):
    recipe = dataclasses.replace(RECIPE, scale=(256, 512), freeze_until="block4")
    settings = Settings(
        "vgg13_bn", "somewhere", "abc", "float32", recipe, inherit="there", inherit_layers="fc1,fc2"
    )
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run folder"):
        run_folder.read_run(tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(ValueError, match=r"recipe.json is not valid JSON .* Choose another --out"):
        run_folder.read_run(tmp_path)
