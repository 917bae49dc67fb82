"""Train a VGG network: `python -m vgg_tf.train --arch vgg16 --data FOLDER`. Without data: the handwritten digits."""

import itertools
import os
from pathlib import Path

from vgg_tf.records.collection import Collection, holds_shards, is_word
from vgg_tf.runtime import files, processes
from vgg_tf.runtime.devices import choose
from vgg_tf.training.flags import parse
from vgg_tf.training.session import closing_line, inherited_weights, train_and_test, training_batches


def main(arguments=None):
    """Train, test the best network, print the closing line."""
    flags, source = parse(arguments)
    where = flags.data if is_word(flags.data) else files.absolute(flags.data)
    name = f"{flags.arch}-{Path(where).name.replace(':', '-')}" + ("-smoke" if flags.smoke else "")
    recipe, out = flags.numbers, flags.out.rstrip("/") or os.path.join("runs", name)
    if flags.profile:
        print(profile(flags, source, out))
        return
    flags.together.told().join()
    devices = choose(flags.strategy, flags.precision)
    devices.wait("all here")  # connects them now: later, one that is slower than half a minute would be given up
    if devices.engine == "tensorflow" and devices.distribution and recipe.accumulate > 1:
        raise ValueError("--accumulate works on a single device: Keras cannot accumulate under TensorFlow's strategies.")

    from vgg_tf.records import statistics
    from vgg_tf.runs import run_folder
    from vgg_tf.runs.settings import Settings

    shards = None if source else Collection.read(flags.data)
    fingerprint = source.fingerprint() if source else shards.fingerprint
    weights, inherit = inherited_weights(flags, out)
    settings = Settings(
        flags.arch, where, fingerprint, devices.policy, recipe, flags.selection, flags.inherit, inherit, flags.inherit_layers
    )
    if devices.process:
        devices.wait("run folder")
    with run_folder.open_run(out, settings, devices.process) as run:
        # The digits go the whole road, shards and all.
        data = os.path.join(out, "shards") if flags.data == "digits" else source or flags.data
        if run.writes and not run.report():
            if flags.data == "digits":
                from vgg_tf.data.writing import write

                collection = write(source, data, progress=False)
            elif holds_shards(out) and run.collection().fingerprint == fingerprint:  # the run's own dataset.json
                collection = run.collection()
            else:
                collection = shards or statistics.measure(source)
            collection.write(out)
        if run.writes:
            devices.wait("run folder")
        if (report := run.report()) and run.writes:
            print(f"{out} is done; delete it or choose another --out to train anew")
            print(closing_line(report))
        elif not report:
            train_and_test(run, run.collection(), data, devices, weights, flags)


def timing(arguments, source=None):
    """What a training will cost here, without doing it: steps are made for a few seconds on a network that is thrown away.

    Args:
        arguments, source: as for `parse`.

    Returns:
        images of the whole training, at most; images a second, with the data they wait for, in batches of at most 32: too
        few for `muon`, whose own work is the same for a batch of any size.
    """
    flags, source = parse(arguments, source)
    scores, batches, plan, devices = _thrown_away(flags, source, batch_size=32)

    from vgg_tf.data.loading import naming_the_unreadable
    from vgg_tf.training.probe import images_per_second

    with devices.scope(), naming_the_unreadable(source or flags.data):
        speed = images_per_second(scores, itertools.chain.from_iterable(map(batches, itertools.count())))
    return flags.numbers.epochs * plan.steps * plan.batch, speed


def profile(flags, source, out):
    """Tell where the time of a step goes, on a network that is thrown away; the trace lies beside the run folder.

    Args:
        flags, source: of `parse`.
        out: the run folder.

    Returns:
        The `profiles.Profile`.
    """
    from vgg_tf.data import loading
    from vgg_tf.forecast import profiler
    from vgg_tf.training import progress

    scores, batches, plan, devices = _thrown_away(flags, source)
    print(devices.reason)

    def callbacks(steps):
        return [progress.Watch(0, flags.numbers, steps, plan.batch, shown=True, heed=lambda seconds: None, after=0.0)]

    with devices.scope(), loading.naming_the_unreadable(source or flags.data):
        return profiler.profile(scores, batches, flags.profile, f"{out}-profile", callbacks)


def _thrown_away(flags, source, batch_size=None):
    """A compiled network as the training would make, its batches by epoch, the `training.Arithmetic` and the devices."""
    recipe, devices = flags.numbers, choose(flags.strategy, flags.precision)

    from vgg_tf.records import statistics
    from vgg_tf.training.model import arithmetic, build, compile_scores, make_optimizer, scores_of

    collection = statistics.measure(source) if source else Collection.read(flags.data)
    plan = arithmetic(recipe, collection.images("train"), devices.replicas)
    with devices.scope():
        scores = scores_of(build(flags.arch, recipe, collection))
        compile_scores(scores, make_optimizer(recipe, plan.steps), recipe.label_smoothing)
    batch = min(plan.batch, batch_size * devices.replicas) if batch_size else plan.batch
    return scores, training_batches(source or flags.data, recipe, collection, batch, None), plan, devices


if __name__ == "__main__":
    processes.run("vgg_tf.train", main)
