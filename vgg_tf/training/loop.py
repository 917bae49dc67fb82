"""Train a network epoch by epoch, in a run folder that keeps every finished epoch."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from vgg_tf.figures import charts
from vgg_tf.training import moments, progress
from vgg_tf.training.copy_ahead import CopyAhead
from vgg_tf.training.model import drop_softmax, make_classification_task, make_optimizer

DRAW_EVERY = 60  # seconds


@dataclass(frozen=True)
class Feed:
    """Batches of a training.

    Attributes:
        steps: steps per epoch.
        batch: images per step.
        training: function of the epoch, from 0, to batches `(images, labels)`.
        validation: batches `(images, labels, mask)`. If None, the last network is the best.
        sample: batches of which the first is checked before the first step. The default is the
            validation batches, or the training batches if there are none.
    """

    steps: int
    batch: int
    training: Callable
    validation: object = None
    sample: object = None

    def first(self):
        """Return the batches of which the first is checked before the first step."""
        return self.sample or (self.training(0) if self.validation is None else self.validation)


@dataclass(frozen=True)
class Hooks:
    """Functions that a training calls.

    Attributes:
        say: called with each line for the user.
        begin: called before the first step of a run that starts from scratch, such as to inherit
            weights.
        heed: called before each step with the seconds until the next state is saved. It may raise
            to end the training. Saved states are kept (see `signals.Notice`).
        track: called with all rows of the log, before the first epoch and after each epoch.
    """

    say: Callable = print
    begin: Callable = lambda: None
    heed: Callable = lambda seconds: None
    track: Callable = lambda rows: None


def train(run, model, feed, hooks=Hooks(), task=None, check=True):
    """Train until the recipe ends, starting at the last saved state of the run folder, if any.

    Args:
        run: the open `run_folder.Run`.
        model: the network. It ends with the weights of the last epoch; `run.best` has the best.
        feed: the `Feed`.
        hooks: the `Hooks`.
        task: the `Task`. The default is classification, without weights of classes.
        check: raise if the check of one batch predicts a loss of NaN. If False, the result of the
            check is only printed.

    Returns:
        The final `state.State`.

    Raises:
        FloatingPointError: the loss is NaN or infinity, or the check of one batch failed. The
            message says what to change. The run folder is unchanged.
        OSError: the disk has no space for the run.
    """
    recipe = run.settings.recipe
    scores, task = drop_softmax(model), task or make_classification_task(recipe)
    task.compile(scores, make_optimizer(recipe, feed.steps))
    scores.optimizer.build(scores.trainable_variables)
    estimate = moments.make_estimator(model, scores) if recipe.average else None
    run.check_space(scores, scores.optimizer)
    state, note = run.restore(scores, scores.optimizer)
    if note:
        hooks.say(note)
    if not state.epoch:
        hooks.begin()
        task.look(model, feed.first(), recipe, check, hooks.say)
    if feed.validation is None:
        stays = ", and the learning rate stays constant without a plateau"
        hooks.say(
            f"no validation: the last network is kept{stays * (recipe.schedule == 'plateau')}"
        )
    hooks.track(state.rows)
    drawn, after = time.perf_counter(), 0.0  # seconds from an epoch's last step to its saved state
    while state.epoch < recipe.epochs and not state.stopped:
        hooks.heed(math.inf)
        watch = progress.Watch(
            state.epoch,
            recipe,
            feed.steps,
            feed.batch,
            run.writes,
            hooks.heed,
            after,
            None if after else hooks.say,
        )
        row = _train_epoch(scores, watch, feed.training(state.epoch))
        stepped = time.perf_counter()
        if estimate:
            few = min(feed.steps, -(-moments.ENOUGH // feed.batch))
            estimate(feed.training(state.epoch).take(few))
        checked = task.evaluate(scores, feed.validation) if feed.validation is not None else {}
        _check_finite(checked.get("loss"), scores, recipe, state.epoch)
        state, is_best = _add_epoch(state, row, checked, task.keep_last)
        if is_best:
            run.save_best(model)
        for variable, value in zip(scores.trainable_variables, watch.last_weights, strict=False):
            variable.assign(value)
        if recipe.schedule == "plateau" and checked:
            state = _after_plateau(state, recipe, scores.optimizer, hooks.say)
        run.save_last(state, scores, scores.optimizer)
        after = time.perf_counter() - stepped
        hooks.track(state.rows)
        hooks.say(progress.format_epoch(state.rows[-1], state, recipe))
        if time.perf_counter() - drawn > DRAW_EVERY:
            _draw(run, state)
            drawn = time.perf_counter()
    run.write_log(state)  # again: a kill may have come between the last state and its log
    _draw(run, state)
    return state


def _add_epoch(state, row, checked, keep_last):
    """Return the state after an epoch, and whether its network is the best so far.

    Args:
        state: the state before the epoch.
        row: training part of the row of the log.
        checked: result of the task's `evaluate`; empty without validation.
        keep_last: whether the last network is always the best.
    """
    error, loss = checked.get("top1_error"), checked.get("loss")
    row = row | {
        "validation_top5_error": checked.get("top5_error"),
        "validation_loss": loss,
        "validation_error": error,
    }
    if "mean_class_recall" in checked:
        row["validation_recall"] = 100 * checked["mean_class_recall"]
    state = replace(state, epoch=state.epoch + 1, rows=(*state.rows, row))
    if checked and not keep_last and not (error, loss) < state.best:
        return state, False
    best = (error, loss) if checked else state.best
    return replace(state, best=best, best_epoch=state.epoch), True


def _draw(run, state):
    title = f"{run.settings.arch} on {Path(run.settings.data).name}"
    run.draw(lambda: charts.draw_history(state.rows, title))


def _check_finite(validation_loss, scores, recipe, epoch):
    """Raise if the epoch diverged in its last steps, which the running loss does not show."""
    finite = validation_loss is None or math.isfinite(validation_loss)
    if not finite or not all(
        np.isfinite(variable.numpy()).all() for variable in scores.trainable_variables
    ):
        raise progress.make_explosion_error("not finite after", recipe, epoch)


def _train_epoch(scores, watch, batches):
    """Train one epoch, and return its row of the log.

    If the recipe averages weights, `fit` replaces the weights by their averages at the end. The
    averages are tested. Training continues from the weights in `watch.last_weights`.

    Args:
        scores: compiled network of logits.
        watch: the `progress.Watch`.
        batches: batches of the epoch.

    Returns:
        dict.
    """
    rate = float(keras.ops.convert_to_numpy(scores.optimizer.learning_rate))
    start = time.perf_counter()
    ahead = CopyAhead()
    with ahead.active():
        # shuffle=False: the order of the batches is fixed, and fit would warn.
        options = {"verbose": 0, "shuffle": False, "callbacks": [ahead, watch]}
        values = scores.fit(batches, epochs=1, **options).history
    seconds = time.perf_counter() - start
    # On JAX weights and averages now share their arrays, which the next step would donate.
    if watch.last_weights:
        for variable in scores.trainable_variables:
            variable.assign(variable.numpy())
    row = {
        "epoch": watch.epoch + 1,
        "learning_rate": rate,
        "loss": values["loss"][-1],
        "train_error": 100 * (1 - values["top1"][-1]),
        "images_per_second": watch.steps * watch.batch / seconds,
        "seconds": seconds,
    }
    return row


def _after_plateau(state, recipe, optimizer, say):
    """Apply the plateau rule to the last epoch, and return the new state."""
    error = state.rows[-1]["validation_error"]
    plateau, drop, stop = state.plateau.after(error, recipe.patience, recipe.drops)
    if drop:
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate)) * recipe.factor
        optimizer.learning_rate = rate
        say(f"plateau at epoch {state.epoch}: learning rate {rate:.3g}")
    if stop:
        say(f"plateau at epoch {state.epoch} after the last drop: training ends")
    return replace(state, plateau=plateau, stopped=stop)
