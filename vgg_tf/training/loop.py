"""The loop: a network and its batches, epoch by epoch, into a run folder that survives any
interruption.
"""

import math
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from vgg_tf.figures import charts
from vgg_tf.training import progress
from vgg_tf.training.model import classification, make_optimizer, scores_of

DRAW_EVERY = 60  # seconds


def train(
    run,
    model,
    steps,
    batch,
    training,
    validation,
    say=print,
    begin=None,
    check=True,
    look=None,
    heed=lambda seconds: None,
    track=lambda rows: None,
    task=None,
):
    """Train to the end of the recipe, or on from where the run folder stands.

    Args:
        run: the open `run_folder.Run`.
        model: the network; its weights are the last epoch's afterwards, the best are in `run.best`.
        steps: steps an epoch.
        batch: images a step.
        training: function of the epoch, from 0, that gives batches `(images, labels)`.
        validation: batches `(images, labels, mask)`; None: the last network is the best.
        say: called with each line for the user.
        begin: called before the first step of a run that starts anew, such as to take weights from
            elsewhere.
        check: refuse a start that ends in NaN, by a look at one batch; without it, it is only told.
        look: batches to look at before the first step; None: validation, or training.
        heed: called after each step with the seconds until the next state is saved; may raise to
            end here, without loss of what was saved before (see `signals.Notice`).
        track: called with all rows of the log, before the first epoch and after each.
        task: the `Task`; None is classification.

    Returns:
        The final `state.State`.

    Raises:
        FloatingPointError: the loss is not a number, or will not be one; the message says what to
            look at. The run folder is as before.
        OSError: the disk has no room for the run.
    """
    recipe = run.settings.recipe
    scores, task = scores_of(model), task or classification(recipe)
    task.compile(scores, make_optimizer(recipe, steps))
    scores.optimizer.build(scores.trainable_variables)
    run.check_space(scores, scores.optimizer)
    state, note = run.restore(scores, scores.optimizer)
    if note:
        say(note)
    if not state.epoch:
        if begin:
            begin()
        task.look(
            model, look or (training(0) if validation is None else validation), recipe, check, say
        )
    if validation is None:
        stays = ", and without a plateau the learning rate stays as it is" * (
            recipe.schedule == "plateau"
        )
        say(f"no validation: the last network is kept{stays}")
    track(state.rows)
    drawn, after = time.perf_counter(), 0.0  # seconds from an epoch's last step to its saved state
    while state.epoch < recipe.epochs and not state.stopped:
        heed(math.inf)
        watch = progress.Watch(state.epoch, recipe, steps, batch, run.writes, heed, after)
        row = _epoch(scores, watch, training(state.epoch))
        stepped = time.perf_counter()
        checked = task.evaluate(scores, validation) if validation is not None else {}
        error, loss = checked.get("top1_error"), checked.get("loss")
        row |= {
            "validation_top5_error": checked.get("top5_error"),
            "validation_loss": loss,
            "validation_error": error,
        }
        _check_finite(loss, scores, recipe, state.epoch)
        state = replace(state, epoch=state.epoch + 1, rows=(*state.rows, row))
        if validation is None or task.keep_last or (error, loss) < state.best:
            run.save_best(model)
            state = replace(
                state, best=(error, loss) if checked else state.best, best_epoch=state.epoch
            )
        for variable, value in zip(scores.trainable_variables, watch.last_weights, strict=False):
            variable.assign(value)
        if recipe.schedule == "plateau" and checked:
            state = _after_plateau(state, error, recipe, scores.optimizer, say)
        run.save_last(state, scores, scores.optimizer)
        after = time.perf_counter() - stepped
        track(state.rows)
        say(progress.line(row, state, recipe))
        if time.perf_counter() - drawn > DRAW_EVERY:
            _draw(run, state)
            drawn = time.perf_counter()
    run.write_log(state)  # again: the kill may have come between the last state and its log
    _draw(run, state)
    return state


def _draw(run, state):
    title = f"{run.settings.arch} on {Path(run.settings.data).name}"
    run.draw(lambda: charts.history(state.rows, title))


def _check_finite(validation_loss, scores, recipe, epoch):
    """Refuse an epoch that has exploded in its last steps, which the running loss does not show."""
    finite = validation_loss is None or math.isfinite(validation_loss)
    if not finite or not all(
        np.isfinite(variable.numpy()).all() for variable in scores.trainable_variables
    ):
        raise progress.explosion("not a number after", recipe, epoch)


def _epoch(scores, watch, batches):
    """Train one epoch; give its row of the log.

    Where the recipe averages, `fit` ends with the averages in place of the weights: they are what
    is to be tested, but not what is to be trained on; those are in `watch.last_weights`.
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


def _after_plateau(state, error, recipe, optimizer, say):
    plateau, drop, stop = state.plateau.after(error, recipe.patience, recipe.drops)
    if drop:
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate)) * recipe.factor
        optimizer.learning_rate = rate
        say(f"plateau at epoch {state.epoch}: learning rate {rate:.3g}")
    if stop:
        say(f"plateau at epoch {state.epoch} after the last drop: done")
    return replace(state, plateau=plateau, stopped=stop)
