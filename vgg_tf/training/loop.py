"""The loop: a network and its batches, epoch by epoch, into a run folder that survives any interruption."""

import math
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

from vgg_tf.figures import charts
from vgg_tf.models.cpu_layers import SGD, faster
from vgg_tf.models.initializers import fitting
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper.architectures import architecture
from vgg_tf.paper.recipes import check_fit
from vgg_tf.runtime.devices import shared_by_tensorflow
from vgg_tf.training import progress
from vgg_tf.training.optimizers import Muon, without_decay
from vgg_tf.training.probe import probe
from vgg_tf.training.schedules import Schedule

DRAW_EVERY = 60  # seconds


@dataclass(frozen=True)
class Arithmetic:
    """How a recipe falls on a number of images.

    Attributes:
        batch: images a step: the recipe's batch, or one of its parts with `accumulate`.
        steps: steps an epoch; `accumulate` of them make an update.
        note: what to tell the user, or None.
    """

    batch: int
    steps: int
    note: str | None = None


def arithmetic(recipe, n, replicas=1):
    """Divide `n` training images into batches; fewer images than a batch make a smaller one.

    Raises:
        ValueError: the numbers do not fit; the message says which would.
    """
    parts, note = recipe.accumulate, None
    batch = recipe.micro_batch_size
    if n < batch * parts:
        batch = n // parts // replicas * replicas
        note = f"{n} training images are fewer than a batch of {recipe.batch_size}: batches of {batch * parts} instead"
        if not batch:
            raise ValueError(f"{n} training images are too few for {parts} parts on {replicas} devices.")
    if batch % replicas:
        good = max(1, batch // replicas) * replicas * parts
        raise ValueError(f"{replicas} devices share a batch, {batch} does not divide by it. Try --batch-size {good}.")
    updates = n // (batch * parts)
    if recipe.steps_per_epoch > updates:
        raise ValueError(f"{n} images make {updates} updates of {batch * parts}. Lower --steps-per-epoch or --batch-size.")
    return Arithmetic(batch, (recipe.steps_per_epoch or updates) * parts, note)


@dataclass(frozen=True)
class Task:
    """What a network is trained to do.

    Attributes:
        compile: called with the network, up to its layer `predictions`, and an optimizer; makes a metric `top1`.
        evaluate: called with it and batches; gives a dict of `top1_error` (%), `loss` and perhaps `top5_error`.
        look: called with the whole network and batches before the first step, as `look`.
        keep_last: keep the last network, not the one with the lowest validation error: where the rate ends near zero and the
            validation pictures are so few that the lowest is luck.
    """

    compile: object
    evaluate: object
    look: object
    keep_last: bool = False


def classification(recipe):
    """The task of naming what is in a picture."""
    return Task(
        lambda scores, optimizer: compile_scores(scores, optimizer, recipe.label_smoothing), evaluate, look_at_one_batch
    )


def build(arch, recipe, collection, standardized=None, outputs=None):
    """The network of a recipe for these images, with their mean (and std) inside; random weights; gives posteriors.

    Args:
        arch, recipe, collection: what is trained on what.
        standardized: whether the input will be divided by a std in the end, where weights bring their own statistics along:
            the initialiser of all other kernels hangs on it. None: as the recipe says.
        outputs: numbers that it gives in place of posteriors, without a softmax.
    """
    check_fit(arch, recipe)
    initializer = recipe.initializer
    if standardized is not None:
        initializer = fitting(initializer, standardized or architecture(arch).batch_norm)
    model = build_vgg(
        arch,
        input_shape=(recipe.size, recipe.size, 3),
        classes=len(collection.classes) if outputs is None else outputs,
        classifier_activation="softmax" if outputs is None else None,
        dropout=recipe.dropout,
        initializer=initializer,
        l2=recipe.l2,
        width=recipe.width,
        head_width=recipe.head_width or None,
        mean=collection.mean_rgb,
        std=collection.std_rgb if recipe.standardize else None,
        seed=recipe.seed,
        freeze_until=recipe.freeze_until or None,
    )
    if recipe.muon:
        without_decay(model)
    return model


def cross_entropy(smoothing=0.0):
    """Loss on scores: int labels `[B]` and scores `[B, classes]` to `[B]`, in nats.

    Args:
        smoothing: share of the target that is spread evenly over all classes.
    """

    def loss(labels, scores):
        labels = keras.ops.reshape(labels, (-1,))
        plain = keras.ops.sparse_categorical_crossentropy(labels, scores, from_logits=True)
        if not smoothing:
            return plain
        return (1 - smoothing) * plain - smoothing * keras.ops.mean(keras.ops.log_softmax(scores), axis=-1)

    return loss


def scores_of(model):
    """The same network up to its scores, sharing all variables: what is trained, where a softmax would lose digits."""
    return faster(keras.Model(model.input, model.get_layer("predictions").output, name=model.name))


def compile_scores(scores, optimizer="sgd", smoothing=0.0):
    """Compile a network of scores; its weighted metrics count each image of a masked batch once.

    The loss that Keras reports of masked batches is diluted by the mask, so the loss is a metric, too. XLA stays off in
    TensorFlow: on CPUs it is ten times slower for these convolutions, under its strategies it fails. JAX is XLA. A call makes
    one step: more fail under TensorFlow's strategies (keras#19246), and on JAX Keras makes them one by one anyway.
    """
    for layer in scores.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # JAX takes the moments of the whole batch by itself
            layer.synchronized = shared_by_tensorflow()
    classes = scores.output.shape[-1]
    scores.compile(
        optimizer,
        cross_entropy(smoothing),
        weighted_metrics=[
            keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy"),
            keras.metrics.SparseCategoricalAccuracy(name="top1"),
            keras.metrics.SparseTopKCategoricalAccuracy(min(5, classes), name="top5"),
        ],
        jit_compile=keras.config.backend() == "jax",
    )


def evaluate(scores, batches):
    """Errors of a compiled network of scores over batches `(images, labels, mask)`.

    Returns:
        dict: `top1_error` and `top5_error` in %, `loss` in nats, each image counted once.
    """
    values = scores.evaluate(batches, verbose=0, return_dict=True)
    return {
        "top1_error": 100 * (1 - float(values["top1"])),
        "top5_error": 100 * (1 - float(values["top5"])),
        "loss": float(values["cross_entropy"]),
    }


def make_optimizer(recipe, steps):
    """SGD, or Muon, with the recipe's momentum, schedule, accumulation and averaging.

    Args:
        recipe: the `Recipe`.
        steps: steps an epoch.
    """
    rate = recipe.learning_rate
    if recipe.schedule != "plateau":
        total = recipe.epochs * steps
        rate = Schedule(recipe.schedule, rate, total, round(recipe.warmup * total), recipe.factor, recipe.drops)
    kind = partial(Muon, share=recipe.muon / recipe.learning_rate) if recipe.muon else SGD
    return kind(
        rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        gradient_accumulation_steps=recipe.accumulate if recipe.accumulate > 1 else None,
        use_ema=recipe.average > 0,
        # Keras averages at every step, also at those that only accumulate.
        ema_momentum=recipe.average ** (1 / recipe.accumulate) if recipe.average else 0.99,
    )


def train(
    run, model, steps, batch, training, validation, say=print, begin=None, check=True,
    look=None, heed=lambda seconds: None, track=lambda rows: None, task=None,
):  # fmt: skip
    """Train to the end of the recipe, or on from where the run folder stands.

    Args:
        run: the open `runs.Run`.
        model: the network; its weights are the last epoch's afterwards, the best are in `run.best`.
        steps: steps an epoch.
        batch: images a step.
        training: function of the epoch, from 0, that gives batches `(images, labels)`.
        validation: batches `(images, labels, mask)`; None: the last network is the best.
        say: called with each line for the user.
        begin: called before the first step of a run that starts anew, such as to take weights from elsewhere.
        check: refuse a start that ends in NaN, by a look at one batch; without it, it is only told.
        look: batches to look at before the first step; None: validation, or training.
        heed: called after each step with the seconds until the next state is saved; may raise to end here, without loss of
            what was saved before (see `programs.Notice`).
        track: called with all rows of the log, before the first epoch and after each.
        task: the `Task`; None is classification.

    Returns:
        The final `runs.State`.

    Raises:
        FloatingPointError: the loss is not a number, or will not be one; the message says what to look at. The run folder
            is as before.
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
        task.look(model, look or (training(0) if validation is None else validation), recipe, check, say)
    if validation is None:
        stays = ", and without a plateau the learning rate stays as it is" * (recipe.schedule == "plateau")
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
        row |= {"validation_top5_error": checked.get("top5_error"), "validation_loss": loss, "validation_error": error}
        _check_finite(loss, scores, recipe, state.epoch)
        state = replace(state, epoch=state.epoch + 1, rows=(*state.rows, row))
        if validation is None or task.keep_last or (error, loss) < state.best:
            run.save_best(model)
            state = replace(state, best=(error, loss) if checked else state.best, best_epoch=state.epoch)
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


def look_at_one_batch(model, batches, recipe, check, say):
    """Tell how the fresh network takes one batch, and refuse one that cannot train."""
    pixels, labels, *mask = map(np.asarray, next(iter(batches)))
    real = mask[0] > 0 if mask else slice(None)
    found = probe(model, pixels[real], labels[real])
    say(f"a look at one batch: {found.verdict}")
    if found.fatal and check:
        raise FloatingPointError(
            f"A look at one batch: {found.verdict}. Look at the weights that were inherited, or the initializer (now "
            f"{recipe.initializer}; auto is safe): python -m vgg_tf.preflight --init compares them. --no-check trains anyway."
        )


def _draw(run, state):
    title = f"{run.settings.arch} on {Path(run.settings.data).name}"
    run.draw(lambda: charts.history(state.rows, title))


def _check_finite(validation_loss, scores, recipe, epoch):
    """Refuse an epoch that has exploded in its last steps, which the running loss does not show."""
    finite = validation_loss is None or math.isfinite(validation_loss)
    if not finite or not all(np.isfinite(variable.numpy()).all() for variable in scores.trainable_variables):
        raise progress.explosion("not a number after", recipe, epoch)


def _epoch(scores, watch, batches):
    """Train one epoch; give its row of the log.

    Where the recipe averages, `fit` ends with the averages in place of the weights: they are what is to be tested, but not
    what is to be trained on; those are in `watch.last_weights`.
    """
    rate = float(keras.ops.convert_to_numpy(scores.optimizer.learning_rate))
    start = time.perf_counter()
    # shuffle=False: the batches come in their own order, and fit would warn.
    values = scores.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[watch]).history
    seconds = time.perf_counter() - start
    if watch.last_weights:  # on JAX weights and averages are the same arrays now, which the next step would give away
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
