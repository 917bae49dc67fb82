"""Training on fewer images than a batch: the recipe gives way, the user's own numbers do not."""

from dataclasses import replace

import numpy as np
import pytest

from tests.making import SHALLOW, TINY, call, noise, save, shallow
from vgg_tf.paper.presets import RECIPES, SMOKE_RATE, shrink
from vgg_tf.paper.recipes import Recipe
from vgg_tf.training.model import StepPlan, plan_steps


@pytest.fixture(autouse=True, scope="module")
def of_one_convolution():
    with shallow():
        yield


@pytest.mark.parametrize(
    ("n", "accumulate", "replicas", "batch", "steps"),
    [
        (16, 1, 1, 8, 2),
        (13, 1, 1, 6, 2),
        (12, 1, 1, 6, 2),
        (2, 1, 1, 1, 2),
        (1, 1, 1, 1, 1),
        (7, 2, 1, 1, 4),
        (3, 2, 1, 1, 2),
        (13, 1, 8, 8, 1),
        (15, 1, 4, 4, 2),
    ],
)
def test_a_smoke_run_makes_smaller_batches_then_fewer_steps(n, accumulate, replicas, batch, steps):
    recipe = shrink(Recipe(accumulate=accumulate))
    plan = plan_steps(recipe, n, replicas, smoke=True)
    assert (plan.batch, plan.steps) == (batch, steps)
    assert plan.batch * plan.steps <= n
    enough = n >= 2 * recipe.batch_size
    assert (plan.note is None) == enough
    if not enough:
        assert plan.note.endswith(f"batches of {batch * accumulate} instead")


def test_steps_that_the_user_asked_for_are_kept_or_refused():
    assert plan_steps(Recipe(batch_size=8, steps_per_epoch=2), 16) == StepPlan(8, 2)
    with pytest.raises(ValueError, match=r"--steps-per-epoch must be at most 1: 13 images"):
        plan_steps(Recipe(batch_size=8, steps_per_epoch=2), 13)


@pytest.mark.parametrize(
    ("accumulate", "replicas", "message"),
    [
        (
            1,
            8,
            r"Training on 8 devices needs at least 8 .* Received: 3\. .* train on fewer devices",
        ),
        (4, 1, r"--accumulate 4 on 1 devices needs at least 4 .* Received: 3\. .* lower --accum"),
    ],
)
def test_the_remedy_for_too_few_images_is_a_flag_that_was_given(accumulate, replicas, message):
    with pytest.raises(ValueError, match=message):
        plan_steps(shrink(Recipe(accumulate=accumulate)), 3, replicas, smoke=True)


@pytest.mark.parametrize("name", RECIPES)
def test_the_learning_rate_of_a_smoke_run_is_low(name):
    # At 0.05, the highest rate of `cifar`, four steps of VGG-16 on 12 images ended in NaN.
    assert shrink(RECIPES[name]).learning_rate == min(RECIPES[name].learning_rate, SMOKE_RATE)
    assert shrink(replace(RECIPES[name], learning_rate=1e-3)).learning_rate == 1e-3


def images(folder, classes, n, side=40):
    """Write a folder of class folders with `n` different images each."""
    for c in range(classes):
        for i in range(n):
            save(folder / f"c{c}" / f"{i}.png", noise(side, side, 100 * c + i))
    return folder


SLOW = pytest.mark.slow
LAYOUTS = {  # folders of class folders: (folder, classes, images of each)
    "15 pictures": [("", 3, 5)],
    "2 classes of 2": [("", 2, 2)],
    "2 classes of 1: no validation": [("", 2, 1)],
    "train and test": [("train", 2, 3), ("test", 2, 1)],
    "train and validation": [("train", 2, 3), ("val", 2, 1)],
}


# 2 s each: a network is traced.
@pytest.mark.parametrize(
    "layout",
    [
        name if name in ("15 pictures", "train and test") else pytest.param(name, marks=SLOW)
        for name in LAYOUTS
    ],
)
def test_a_smoke_run_works_on_few_pictures(tmp_path, layout):
    for folder, classes, n in LAYOUTS[layout]:
        images(tmp_path / "data" / folder, classes, n)
    result = call("vgg_tf.train", "--data", tmp_path / "data", "--out", tmp_path / "run", *SHALLOW)
    assert (result.returncode, result.stderr.count("error")) == (0, 0), result.stderr
    assert "epoch 2/2" in result.stdout
    assert "batches of " in result.stdout


# 2 s: a network is traced.
@pytest.mark.parametrize("given", [False, True])
def test_a_batch_is_lowered_with_a_note_or_refused_where_it_was_given(tmp_path, given):
    words = ["--arch", "shallow", "--strategy", "cpu", "--precision", "float32", "--epochs", "1"]
    result = call(
        *("vgg_tf.train", "--data", images(tmp_path / "data", 3, 5), "--out", tmp_path / "run"),
        *(*words, *TINY, *(["--batch-size=20"] if given else [])),
    )
    if given:
        assert result.returncode != 0
        assert (
            "error: --batch-size must be at most 12, the number of training images. Received: "
            "--batch-size 20. Lower it, or remove the flag."
        ) in result.stderr
    else:
        assert result.returncode == 0, result.stderr
        assert "12 training images are fewer than a batch of 128: batches of 12" in result.stdout
        assert np.isfinite(float(result.stdout.rpartition("loss ")[2].split(",")[0]))
