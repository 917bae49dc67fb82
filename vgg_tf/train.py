"""Train a VGG network: `python -m vgg_tf.train --arch vgg16 --data FOLDER`. Without data: the handwritten digits."""

import itertools
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from vgg_tf.data.selection import Selection
from vgg_tf.paper import recipes
from vgg_tf.paper.architectures import architecture
from vgg_tf.records.collection import Collection, holds_shards, is_word
from vgg_tf.runs import tracking
from vgg_tf.runtime import files, processes, quiet, signals
from vgg_tf.runtime.devices import Precision, StrategyName, choose, settle

SMOKE_BATCHES = 2  # tested in a smoke run


@dataclass(frozen=True)
class Words:
    """The flags that the defaults of all others hang on, and where to train: some data cannot be listed without TensorFlow."""

    arch: str = "vgg16"
    """vgg11, vgg11_lrn, vgg13, vgg16c, vgg16, vgg19; with _bn for batch normalisation (all but vgg11_lrn)."""
    data: str = "digits"
    """A folder of shards, of class folders or of the ILSVRC competition, tfds:NAME, or digits (scikit-learn's)."""
    recipe: str = "auto"
    """auto, paper, paper384, paper-jitter, cifar or digits: the default of the numbers below. auto looks at the data."""
    smoke: bool = False
    """Walk the whole road with tiny numbers, to see that it works; the errors mean nothing."""
    strategy: StrategyName = "auto"
    """Where to train; auto is the first of tpu, gpu, cpu that TensorFlow or JAX sees."""
    together: Annotated[processes.Hosts, tyro.conf.arg(name="")] = field(default_factory=processes.Hosts)
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)


@dataclass(frozen=True)
class Flags(Words):
    """Train a VGG network on images, test it, and keep everything in a run folder that the same command continues."""

    out: str = ""
    """Run folder, here or on gs://; runs/<arch>-<name of the data> by default."""
    precision: Precision = "auto"
    """auto: mixed_bfloat16 on TPUs, on GPUs of compute capability 8 and under TensorFlow on CPUs with AVX512-BF16 or AMX,
    mixed_float16 on older GPUs, else float32."""
    inherit: str = ""
    """Take the first weights from a run folder, a file of Keras (.keras, .weights.h5, .h5) or of torchvision or timm
    (.safetensors), a Keras Hub preset, imagenet (Keras' own, for vgg16 and vgg19), or cifar10 (which comes with vgg_tf)."""
    inherit_layers: str = "paper"
    """Which layers: paper (the seven that the paper copies from A), all-matching, or names with commas between."""
    profile: int = 0
    """Do not train: make so many steps on a network that is thrown away, and tell where their time goes. The trace lies
    beside the run folder, in OUT-profile, for TensorBoard's profiler."""
    check: bool = True
    """Refuse a start whose loss will be NaN, by a look at one batch."""
    grace: float = 25.0
    """Seconds that SIGTERM leaves: an epoch that ends in them is saved, one that does not is left at once; exit code 75."""
    track: str = ""
    """Show each epoch's numbers in tensorboard, wandb (Weights & Biases; WANDB_MODE=offline works), or tensorboard,wandb."""
    numbers: Annotated[recipes.Recipe, tyro.conf.arg(name="")] = field(default_factory=recipes.Recipe)


def parse(arguments=None, source=None):
    """Flags from the command line: the recipe that --recipe, --arch and --data name is the default of all others.

    Args:
        arguments: the words after `python -m vgg_tf.train`.
        source: the data of these words where they are opened already.

    Returns:
        flags: the `Flags`.
        source: the opened `splits.Source`, or None where the data are shards.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    plain = [word for word in arguments if word not in ("-h", "--help")]
    words, _ = tyro.cli(Words, args=plain, return_unknown_args=True, prog="python -m vgg_tf.train")
    architecture(words.arch)
    smaller_side = None
    if plain == arguments:
        settle(words.strategy, several=words.together.told().processes > 1)
        if source is None and holds_shards(words.data) and not words.selection:
            smaller_side = Collection.read(words.data).smaller_side
        else:
            from vgg_tf.data import opening  # brings numpy, a third of the time of --help

            source = source or opening.open_source(words.data, words.selection)
            smaller_side = source.smaller_side() if words.recipe == "auto" else None
    recipe = recipes.preset(words.recipe, words.arch, smaller_side, words.data)
    default = Flags(numbers=recipes.smoke(recipe) if words.smoke else recipe)
    flags = tyro.cli(Flags, args=arguments, default=default, prog="python -m vgg_tf.train")
    recipes.check_fit(flags.arch, flags.numbers)
    tracking.check(flags.track)
    if not flags.inherit:
        for word, value in (
            ("--inherit-layers", flags.inherit_layers != "paper"),
            ("--freeze-until", flags.numbers.freeze_until),
        ):
            if value:
                raise ValueError(f"{word} is for weights that come from elsewhere: give --inherit as well.")
    quiet.quiet_tensorflow()  # takes seconds: after what is refused without it
    return flags, source


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
    weights, inherit = _weights(flags, out)
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
            _train(run, run.collection(), data, devices, weights, flags)


def _weights(flags, out):
    """The weights to inherit, read before anything else is done, and their fingerprint; None and an empty one without.

    A run that has begun needs its source no more.
    """
    from vgg_tf.runs import run_folder
    from vgg_tf.weights import reading

    if not flags.inherit:
        return None, ""
    if flags.inherit == "imagenet":
        weights = reading.imagenet_weights(flags.arch)
    elif run_folder.begun(out) and not files.exists(flags.inherit):
        return None, run_folder.read_run(out).settings.inherit_fingerprint
    else:
        weights = reading.read_weights(flags.inherit)
    return weights, weights.fingerprint()


def _train(run, collection, data, devices, weights, flags):

    from vgg_tf.data import loading
    from vgg_tf.training import loop

    recipe = run.settings.recipe
    n = collection.images("train")
    plan = loop.arithmetic(recipe, n, devices.replicas)
    counts = ", ".join(f"{values['images']:,} {split}" for split, values in collection.splits.items())
    say = print if run.writes else lambda line: None
    say(f"{run.settings.arch} on {run.settings.data}: {counts} images of {len(collection.classes)} classes; {devices.reason}")
    for note in filter(None, (*collection.notes[:5], plan.note)):
        say(f"  {note}")

    common = {"batch_size": plan.batch, "size": recipe.size, "seed": recipe.seed}
    train = _training_batches(data, recipe, collection, plan.batch, plan.steps, devices.part)

    def centre_crops(split, cache="none", part=devices.part):
        batches = loading.load_dataset(data, split, scale=recipe.evaluation_scale, cache=cache, part=part, **common)
        return batches.take(SMOKE_BATCHES if flags.smoke else -1)

    validation = centre_crops("validation", recipe.cache) if "validation" in collection.splits else None
    if validation is None and recipe.schedule == "plateau" and flags.selection.hold_out == 0:
        raise ValueError("--hold-out 0 leaves nothing to see a plateau on. Give --schedule step, cosine or one-cycle as well.")
    look = None
    if devices.processes > 1:  # all of them at the same batch
        look = centre_crops("validation" if validation else "train", part=(0, devices.processes))
    split = "test" if "test" in collection.splits else "validation" if validation else None
    tracks = tracking.opened(flags.track if run.writes else "", run)
    notice = signals.Notice(flags.grace)
    with tracks as track, notice, devices.scope(), loading.naming_the_unreadable(data):
        model = loop.build(run.settings.arch, recipe, collection, _standardized(weights, run.settings))
        state = loop.train(
            run, model, plan.steps, plan.batch, train, validation, say,
            begin=lambda: _inherit(run, model, weights, collection.classes), check=flags.check,
            look=look, heed=notice.heed, track=track,
        )  # fmt: skip
        devices.wait("best network")
        best = loop.scores_of(run.load_best())
        loop.compile_scores(best)
        errors = loop.evaluate(best, centre_crops(split)) if split else {}
    if split != "test":
        say(f"no test split: the error is that of {split}, which chose the network" if split else "no images to test on")
    seconds = sum(row["seconds"] for row in state.rows)
    report = {
        "split": split,
        "n": min(collection.images(split), SMOKE_BATCHES * plan.batch if flags.smoke else math.inf) if split else 0,
        **errors,
        "seconds": seconds,
        "images_per_second": plan.steps * plan.batch * len(state.rows) / seconds,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "parameters": model.count_params(),
    }
    run.write_report(report)
    say(closing_line(report))
    devices.wait("report")


def _training_batches(data, recipe, collection, batch, steps, part=(0, 1)):
    from vgg_tf.data import loading

    return loading.load_epochs(
        data, "train", batch_size=batch, size=recipe.size, scale=recipe.scale, seed=recipe.seed, steps=steps,
        flip=recipe.flip, shift=recipe.rgb_shift, covariance=collection.covariance_rgb, cache=recipe.cache,
        padding=recipe.padding, cutout=recipe.cutout, part=part,
    )  # fmt: skip


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
    from vgg_tf.training import loop

    collection = statistics.measure(source) if source else Collection.read(flags.data)
    plan = loop.arithmetic(recipe, collection.images("train"), devices.replicas)
    with devices.scope():
        scores = loop.scores_of(loop.build(flags.arch, recipe, collection))
        loop.compile_scores(scores, loop.make_optimizer(recipe, plan.steps), recipe.label_smoothing)
    batch = min(plan.batch, batch_size * devices.replicas) if batch_size else plan.batch
    return scores, _training_batches(source or flags.data, recipe, collection, batch, None), plan, devices


def _layers(settings):
    """Which layers are inherited, as `weights.inherit_weights` takes them."""
    words = settings.inherit_layers
    return words if words in ("paper", "all-matching") else [name.strip() for name in words.split(",")]


def _standardized(weights, settings):
    """Whether the input will be divided by the std of inherited weights, which come with the first layer; None without."""
    if weights is None or weights.mean is None:
        return None
    layers = _layers(settings)
    return weights.std is not None if isinstance(layers, str) or "block1_conv1" in layers else None


def _inherit(run, model, weights, classes):
    """Take the first weights from where the settings say, and note in the run folder which came from there."""
    from vgg_tf.weights.inheritance import inherit_weights

    note, settings = run.path("inherited.txt"), run.settings
    if run.writes:
        files.remove(note)  # of a run that never began
    if weights is None:
        return
    report = inherit_weights(weights, model, _layers(settings), classes, say=print if run.writes else None)
    left = {*report.random, *report.skipped}
    if stuck := [layer.name for layer in model.layers if not layer.trainable and layer.name in left]:
        raise ValueError(
            f"--freeze-until {settings.recipe.freeze_until} would keep random weights for ever in {', '.join(stuck)}. Give "
            "--inherit-layers all-matching, or freeze less."
        )
    if run.writes:
        files.write_whole(note, f"{report}\n".encode())


def closing_line(report):
    """The result in one line: errors in %, n, seconds of training, images a second."""
    errors = "not tested"
    if report["split"]:
        errors = "{split} top-1 error {top1_error:.2f} %, top-5 {top5_error:.2f} %".format(**report)
    return errors + ", n={n:,}, {seconds:.0f} s, {images_per_second:.0f} images/s".format(**report)


if __name__ == "__main__":
    processes.run("vgg_tf.train", main)
