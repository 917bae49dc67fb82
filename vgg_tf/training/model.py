"""A compiled network from a recipe: layers, loss, optimizer and batch size."""

from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

from vgg_tf.models.cpu_layers import make_faster
from vgg_tf.models.initializers import choose_initializer
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper.architectures import find_architecture
from vgg_tf.runtime.engines import is_shared_by_tensorflow
from vgg_tf.training.class_balance import MeanClassRecall, are_unequal, compute_class_weights
from vgg_tf.training.cross_entropy import choose_labels, make_cross_entropy, make_metrics
from vgg_tf.training.optimizers import SGD, Muon, remove_decay
from vgg_tf.training.probe import probe
from vgg_tf.training.schedules import Schedule


@dataclass(frozen=True)
class StepPlan:
    """Batches and steps of an epoch.

    Attributes:
        batch: images per step: the recipe's batch, or one part of it with `accumulate`.
        steps: steps per epoch. An update takes `accumulate` steps.
        note: a line for the user, or None.
    """

    batch: int
    steps: int
    note: str | None = None


def plan_steps(recipe, n, replicas=1, smoke=False):
    """Divide training images into batches.

    If the images do not fill a batch of the recipe, the batch is smaller.

    Args:
        recipe: the `Recipe`.
        n: number of training images.
        replicas: number of devices that share a batch.
        smoke: whether the numbers are those of `presets.shrink`. If the images do not make its
            steps, the batches are smaller, and then the steps are fewer.

    Returns:
        The `StepPlan`.

    Raises:
        ValueError: too few images, or a batch that the devices cannot share evenly.
    """
    parts, asked = recipe.accumulate, recipe.steps_per_epoch
    batch, note = _fit_batch(recipe, n, replicas, asked if smoke else 1)
    if batch % replicas:
        good = max(1, batch // replicas) * replicas * parts
        raise ValueError(
            f"The images of a step must divide evenly among {replicas} devices. Received: {batch}. "
            f"Try --batch-size {good}."
        )
    updates = n // (batch * parts)
    asked = min(asked, updates) if smoke else asked
    if asked > updates:
        raise ValueError(
            f"--steps-per-epoch must be at most {updates}: {n} images make {updates} updates of "
            f"{batch * parts}. Received: --steps-per-epoch {asked}. Lower it, or --batch-size."
        )
    return StepPlan(batch, (asked or updates) * parts, note)


def _fit_batch(recipe, n, replicas, updates):
    """Return the images of a step for this number of updates, and a note if they are fewer."""
    parts, batch, updates = recipe.accumulate, recipe.micro_batch_size, max(1, updates)
    if n >= batch * parts * updates:
        return batch, None
    fewest = parts * replicas
    if n < fewest:
        cause = f"--accumulate {parts} on {replicas}" if parts > 1 else f"Training on {replicas}"
        remedy = "lower --accumulate" if parts > 1 else "train on fewer devices"
        raise ValueError(
            f"{cause} devices needs at least {fewest} training images. Received: {n}. Add images, "
            f"or {remedy}."
        )
    fitting = max(1, n // (fewest * updates)) * replicas
    lack = "a batch" if updates == 1 else f"{updates} batches"
    return fitting, (
        f"{n} training images are fewer than {lack} of {recipe.batch_size}: batches of "
        f"{fitting * parts} instead"
    )


@dataclass(frozen=True)
class Task:
    """The task that a network is trained for.

    Attributes:
        compile: function of the network, up to its layer `predictions`, and an optimizer. It makes
            a metric `top1`.
        evaluate: function of the network and batches. It returns a dict of `top1_error` (%), `loss`
            and perhaps `top5_error` (%) and `mean_class_recall` (0..1).
        look: function that checks the whole network on batches before the first step.
        keep_last: keep the last network, not the one with the lowest validation error. Use it where
            the learning rate ends near zero and the validation images are few.
    """

    compile: object
    evaluate: object
    look: object
    keep_last: bool = False


def make_classification_task(recipe, splits=None):
    """Return the `Task` of classification.

    Args:
        recipe: the `Recipe`.
        splits: those of the `Collection` of the images. The numbers of images of the classes of
            `train` decide the weights of the classes. Those of `validation` decide whether the mean
            class recall is computed. None computes neither.

    Returns:
        A `Task`.
    """
    counts = {split: values["per_class"] for split, values in (splits or {}).items()}
    weights = compute_class_weights(recipe.class_weights, counts.get("train", ()))
    recall = are_unequal(counts.get("validation", ()))

    def compiled(scores, optimizer):
        compile_scores(scores, optimizer, recipe.label_smoothing, weights, recall)

    return Task(compiled, evaluate, check_first_batch)


def build(arch, recipe, collection, standardized=None, outputs=None):
    """Build the network of a recipe, with random weights and the statistics of its images.

    Args:
        arch: name of the architecture.
        recipe: the `Recipe`.
        collection: the `Collection` of the images.
        standardized: whether inherited weights will divide the input by a std. The initializer of
            the kernels depends on it. The default is the recipe's `standardize`.
        outputs: number of outputs instead of class probabilities, without a softmax.

    Returns:
        A `keras.Model`.
    """
    initializer = recipe.initializer
    if standardized is not None:
        initializer = choose_initializer(
            initializer, standardized or find_architecture(arch).batch_norm
        )
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
        remove_decay(model)
    return model


def drop_softmax(model):
    """Return the same network up to its logits, with the same variables.

    Training uses the logits, because a softmax would lose precision.
    """
    return make_faster(
        keras.Model(model.input, model.get_layer("predictions").output, name=model.name)
    )


def compile_scores(scores, optimizer="sgd", smoothing=0.0, weights=None, recall=False):
    """Compile a network of logits, with metrics that count each image of a masked batch once.

    For masked batches, Keras averages the loss over masked images too. So the loss is also a
    metric. XLA is off in TensorFlow: it is ten times slower for these convolutions on CPUs, and
    fails under TensorFlow's strategies. JAX always compiles with XLA. Each call runs one step.
    Several steps per call fail under TensorFlow's strategies (keras#19246). On JAX, Keras runs
    them one at a time.

    Args:
        scores: network of logits.
        optimizer: a Keras optimizer, or its name.
        smoothing: as for `cross_entropy.make_cross_entropy`.
        weights: as for `cross_entropy.make_cross_entropy`. The metrics are not weighted.
        recall: whether the mean class recall is one of the metrics.
    """
    for layer in scores.layers:
        # JAX computes the moments of the whole batch on its own.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = is_shared_by_tensorflow()
    classes = scores.output.shape[-1]
    scores.compile(
        optimizer,
        make_cross_entropy(smoothing, weights),
        weighted_metrics=[
            *make_metrics(),
            *([MeanClassRecall(classes)] if recall else []),
        ],
        jit_compile=keras.config.backend() == "jax",
    )


def evaluate(scores, batches):
    """Return the errors of a compiled network of logits. Each image counts once.

    Args:
        scores: compiled network of logits.
        batches: of `(images, labels, mask)`.

    Returns:
        dict: `top1_error` and `top5_error` in %, `loss` in nats, and `mean_class_recall` in 0..1
        where it is a metric of the network.
    """
    values = scores.evaluate(batches, verbose=0, return_dict=True)
    found = {
        "top1_error": 100 * (1 - float(values["top1"])),
        "top5_error": 100 * (1 - float(values["top5"])),
        "loss": float(values["cross_entropy"]),
    }
    if "mean_class_recall" in values:
        found["mean_class_recall"] = float(values["mean_class_recall"])
    return found


def make_optimizer(recipe, steps):
    """Make SGD or Muon with the numbers of a recipe.

    Args:
        recipe: the `Recipe`.
        steps: steps per epoch.

    Returns:
        A Keras optimizer.
    """
    rate = recipe.learning_rate
    if recipe.schedule != "plateau":
        total = recipe.epochs * steps
        rate = Schedule(
            recipe.schedule, rate, total, round(recipe.warmup * total), recipe.factor, recipe.drops
        )
    kind = partial(Muon, share=recipe.muon / recipe.learning_rate) if recipe.muon else SGD
    return kind(
        rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        gradient_accumulation_steps=recipe.accumulate if recipe.accumulate > 1 else None,
        global_clipnorm=recipe.clip_norm or None,
        use_ema=recipe.average > 0,
        ema_momentum=recipe.average or 0.99,  # Keras wants a momentum without averages too
    )


def check_first_batch(model, batches, recipe, check, say):
    """Check a fresh network on one batch, and print the result.

    Args:
        model: the network.
        batches: batches `(images, labels)`, perhaps mixed, or `(images, labels, mask)`. Only the
            first is used.
        recipe: the `Recipe`.
        check: whether to raise if the check fails.
        say: called with the result.

    Raises:
        FloatingPointError: the loss would become NaN.
    """
    pixels, labels, *mask = map(np.asarray, next(iter(batches)))
    real = mask[0] > 0 if mask else slice(None)
    found = probe(model, pixels[real], np.asarray(choose_labels(labels))[real])
    say(f"check of one batch: {found.verdict}")
    if found.fatal and check:
        raise FloatingPointError(
            f"The check of one batch failed: {found.verdict}. Received: --initializer "
            f"{recipe.initializer} (auto is safe). Change it, or the inherited weights; python -m "
            "vgg_tf.preflight --init compares initializers. --no-check trains anyway."
        )
