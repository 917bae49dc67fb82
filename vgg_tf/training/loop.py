"""Train a network epoch by epoch, into a run folder that survives any interruption."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from vgg_tf.figures import charts
from vgg_tf.training import progress
from vgg_tf.training.model import drop_softmax, make_classification_task, make_optimizer

DRAW_EVERY = 60  # seconds


@dataclass(frozen=True)
class Feed:
    """Batches of a training.

    Attributes:
        steps: steps per epoch.
        batch: images per step.
        training: function of the epoch, from 0, to batches `(images, labels)`.
        validation: batches `(images, labels, mask)`. Without them the last network is the best.
        sample: batches of which the first is checked before the first step. None takes those of
            validation, or else of training.
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
            to end the training. What was saved before is kept (see `signals.Notice`).
        track: called with all rows of the log, before the first epoch and after each epoch.
    """

    say: Callable = print
    begin: Callable = lambda: None
    heed: Callable = lambda seconds: None
    track: Callable = lambda rows: None


def train(run, model, feed, hooks=Hooks(), task=None, check=True):
    """Train to the end of the recipe, or on from the last saved state of the run folder.

    Args:
        run: the open `run_folder.Run`.
        model: the network. Afterwards its weights are the last epoch's; the best are in `run.best`.
        feed: the `Feed`.
        hooks: the `Hooks`.
        task: the `Task`; None is classification.
        check: refuse a start that ends in NaN, by a check of one batch. Without it, the verdict is
            only printed.

    Returns:
        The final `state.State`.

    Raises:
        FloatingPointError: the loss is not a number, or will not be one; the message says what to
            look at. The run folder is as before.
        OSError: the disk has no space for the run.
    """
    recipe = run.settings.recipe
    scores, task = drop_softmax(model), task or make_classification_task(recipe)
    task.compile(scores, make_optimizer(recipe, feed.steps))
    scores.optimizer.build(scores.trainable_variables)
    run.check_space(scores, scores.optimizer)
    state, note = run.restore(scores, scores.optimizer)
    if note:
        hooks.say(note)
    if not state.epoch:
        hooks.begin()
        task.look(model, feed.first(), recipe, check, hooks.say)
    if feed.validation is None:
        stays = ", and without a plateau the learning rate stays as it is"
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
    run.write_log(state)  # again: the kill may have come between the last state and its log
    _draw(run, state)
    return state


def _add_epoch(state, row, checked, keep_last):
    """Return the state after an epoch, and whether its network is the best so far.

    Args:
        state: the one before.
        row: of the log, of the training.
        checked: what the task's `evaluate` found; empty without validation.
        keep_last: the last network is always the best.
    """
    error, loss = checked.get("top1_error"), checked.get("loss")
    row = row | {
        "validation_top5_error": checked.get("top5_error"),
        "validation_loss": loss,
        "validation_error": error,
    }
    state = replace(state, epoch=state.epoch + 1, rows=(*state.rows, row))
    if checked and not keep_last and not (error, loss) < state.best:
        return state, False
    best = (error, loss) if checked else state.best
    return replace(state, best=best, best_epoch=state.epoch), True


def _draw(run, state):
    title = f"{run.settings.arch} on {Path(run.settings.data).name}"
    run.draw(lambda: charts.draw_history(state.rows, title))


def _check_finite(validation_loss, scores, recipe, epoch):
    """Refuse an epoch that exploded in its last steps, which the running loss does not show."""
    finite = validation_loss is None or math.isfinite(validation_loss)
    if not finite or not all(
        np.isfinite(variable.numpy()).all() for variable in scores.trainable_variables
    ):
        raise progress.make_explosion_error("not a number after", recipe, epoch)


def _train_epoch(scores, watch, batches):
    """Train one epoch, and return its row of the log.

    Where the recipe averages, `fit` ends with the averages in place of the weights. The averages
    are tested. Training continues from the weights in `watch.last_weights`.

    Args:
        scores: compiled network of logits.
        watch: the `progress.Watch`.
        batches: of the epoch.

    Returns:
        dict.
    """
    rate = float(keras.ops.convert_to_numpy(scores.optimizer.learning_rate))
    start = time.perf_counter()
    # shuffle=False: the batches come in their own order, and fit would warn.
    values = scores.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[watch]).history
    seconds = time.perf_counter() - start
    # On JAX weights and averages are the same arrays now, which the next step would give away.
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
    """Apply the rule of the plateau to the last epoch, and return the state."""
    error = state.rows[-1]["validation_error"]
    plateau, drop, stop = state.plateau.after(error, recipe.patience, recipe.drops)
    if drop:
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate)) * recipe.factor
        optimizer.learning_rate = rate
        say(f"plateau at epoch {state.epoch}: learning rate {rate:.3g}")
    if stop:
        say(f"plateau at epoch {state.epoch} after the last drop: done")
    return replace(state, plateau=plateau, stopped=stop)
