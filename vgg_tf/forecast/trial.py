"""Throughput and profile of a few training steps of a temporary network."""

import itertools
from dataclasses import replace

from vgg_tf.runtime.devices import choose
from vgg_tf.training.flags import parse
from vgg_tf.training.session import make_training_batches


def time_training(arguments, source=None):
    """Estimate the cost of a training from a few seconds of steps of a temporary network.

    Args:
        arguments: as for `flags.parse`.
        source: as for `flags.parse`.

    Returns:
        images: int, upper bound of the images of the whole training.
        throughput: float, images/s in batches of at most 32, data loading included. With `muon` it
            is too low, because Muon's own work is the same for any batch.
    """
    flags, source = parse(arguments, source)
    scores, batches, plan, devices = _make_temporary(flags, source, batch_size=32)

    from vgg_tf.data.unreadable import naming_the_unreadable
    from vgg_tf.training.probe import measure_throughput

    with devices.scope(), naming_the_unreadable(source):
        speed = measure_throughput(
            scores, itertools.chain.from_iterable(map(batches, itertools.count()))
        )
    return flags.numbers.epochs * plan.steps * plan.batch, speed


def profile(flags, source, out):
    """Profile the steps of a temporary network. The trace is written next to the run folder.

    Args:
        flags: flags from `flags.parse`.
        source: source from `flags.parse`.
        out: the run folder.

    Returns:
        The `profiler.Profile`.
    """
    from vgg_tf.data import unreadable
    from vgg_tf.forecast import profiler
    from vgg_tf.training import progress

    scores, batches, plan, devices = _make_temporary(flags, source)
    print(devices.reason)

    def callbacks(steps):
        return [
            progress.Watch(
                0,
                flags.numbers,
                steps,
                plan.batch,
                shown=True,
                heed=lambda seconds: None,
                after=0.0,
            )
        ]

    with devices.scope(), unreadable.naming_the_unreadable(source):
        return profiler.profile(scores, batches, flags.profile, f"{out}-profile", callbacks)


def _make_temporary(flags, source, batch_size=None):
    """Return a compiled temporary network, its batches by epoch, the plan and the devices."""
    recipe, devices = flags.numbers, choose(flags.strategy, flags.precision)

    from vgg_tf.records import statistics
    from vgg_tf.training.model import (
        build,
        drop_softmax,
        make_classification_task,
        make_optimizer,
        plan_steps,
    )

    collection = statistics.measure(source)
    plan = plan_steps(recipe, collection.count_images("train"), devices.replicas)
    with devices.scope():
        scores = drop_softmax(build(flags.arch, recipe, collection))
        task = make_classification_task(recipe, collection.splits)
        task.compile(scores, make_optimizer(recipe, plan.steps))
    batch = min(plan.batch, batch_size * devices.replicas) if batch_size else plan.batch
    batches = make_training_batches(
        source, recipe, collection, replace(plan, batch=batch, steps=None)
    )
    return scores, batches, plan, devices
