"""The training of an open run, from its data to its report."""

import math

from vgg_tf.runs import tracking
from vgg_tf.runtime import files, signals

SMOKE_BATCHES = 2  # tested in a smoke run


def inherited_weights(flags, out):
    """The weights to inherit, read before anything else is done, and their fingerprint; None and an
    empty one without.

    A run that has begun needs its source no more.
    """
    from vgg_tf.runs import run_folder
    from vgg_tf.weights.imagenet import fetch_imagenet_weights
    from vgg_tf.weights.reading import read_weights

    if not flags.inherit:
        return None, ""
    if flags.inherit == "imagenet":
        weights = fetch_imagenet_weights(flags.arch)
    elif run_folder.begun(out) and not files.exists(flags.inherit):
        return None, run_folder.read_run(out).settings.inherit_fingerprint
    else:
        weights = read_weights(flags.inherit)
    return weights, weights.fingerprint()


def train_and_test(run, collection, data, devices, weights, flags):
    """Train the network of a run, test the best one, write the report and print the closing
    line.
    """
    from vgg_tf.data import loading
    from vgg_tf.training import loop
    from vgg_tf.training.model import arithmetic, build, compile_scores, evaluate, scores_of

    recipe = run.settings.recipe
    n = collection.images("train")
    plan = arithmetic(recipe, n, devices.replicas)
    counts = ", ".join(
        f"{values['images']:,} {split}" for split, values in collection.splits.items()
    )
    say = print if run.writes else lambda line: None
    say(
        f"{run.settings.arch} on {run.settings.data}: {counts} images of "
        f"{len(collection.classes)} classes; {devices.reason}"
    )
    for note in filter(None, (*collection.notes[:5], plan.note)):
        say(f"  {note}")

    common = {"batch_size": plan.batch, "size": recipe.size, "seed": recipe.seed}
    train = training_batches(data, recipe, collection, plan.batch, plan.steps, devices.part)

    def centre_crops(split, cache="none", part=devices.part):
        batches = loading.load_dataset(
            data, split, scale=recipe.evaluation_scale, cache=cache, part=part, **common
        )
        return batches.take(SMOKE_BATCHES if flags.smoke else -1)

    validation = (
        centre_crops("validation", recipe.cache) if "validation" in collection.splits else None
    )
    if validation is None and recipe.schedule == "plateau" and flags.selection.hold_out == 0:
        raise ValueError(
            "--hold-out 0 leaves nothing to see a plateau on. Give --schedule step, cosine or "
            "one-cycle as well."
        )
    look = None
    if devices.processes > 1:  # all of them at the same batch
        look = centre_crops("validation" if validation else "train", part=(0, devices.processes))
    split = "test" if "test" in collection.splits else "validation" if validation else None
    tracks = tracking.opened(flags.track if run.writes else "", run)
    notice = signals.Notice(flags.grace)
    with tracks as track, notice, devices.scope(), loading.naming_the_unreadable(data):
        model = build(run.settings.arch, recipe, collection, _standardized(weights, run.settings))
        state = loop.train(
            run,
            model,
            plan.steps,
            plan.batch,
            train,
            validation,
            say,
            begin=lambda: _inherit(run, model, weights, collection.classes),
            check=flags.check,
            look=look,
            heed=notice.heed,
            track=track,
        )
        devices.wait("best network")
        best = scores_of(run.load_best())
        compile_scores(best)
        errors = evaluate(best, centre_crops(split)) if split else {}
    if split != "test":
        say(
            f"no test split: the error is that of {split}, which chose the network"
            if split
            else "no images to test on"
        )
    seconds = sum(row["seconds"] for row in state.rows)
    report = {
        "split": split,
        "n": min(collection.images(split), SMOKE_BATCHES * plan.batch if flags.smoke else math.inf)
        if split
        else 0,
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


def training_batches(data, recipe, collection, batch, steps, part=(0, 1)):
    """A function of the epoch to its training batches, by the recipe. See `loading.load_epochs`."""
    from vgg_tf.data import loading

    return loading.load_epochs(
        data,
        "train",
        batch_size=batch,
        size=recipe.size,
        scale=recipe.scale,
        seed=recipe.seed,
        steps=steps,
        flip=recipe.flip,
        shift=recipe.rgb_shift,
        covariance=collection.covariance_rgb,
        cache=recipe.cache,
        padding=recipe.padding,
        cutout=recipe.cutout,
        part=part,
    )


def _layers(settings):
    """Which layers are inherited, as `inheritance.inherit_weights` takes them."""
    words = settings.inherit_layers
    return (
        words if words in ("paper", "all-matching") else [name.strip() for name in words.split(",")]
    )


def _standardized(weights, settings):
    """Whether the input will be divided by the std of inherited weights, which come with the
    first layer; None without.
    """
    if weights is None or weights.mean is None:
        return None
    layers = _layers(settings)
    return weights.std is not None if isinstance(layers, str) or "block1_conv1" in layers else None


def _inherit(run, model, weights, classes):
    """Take the first weights from where the settings say, and note in the run folder which came
    from there.
    """
    from vgg_tf.weights.inheritance import inherit_weights

    note, settings = run.path("inherited.txt"), run.settings
    if run.writes:
        files.remove(note)  # of a run that never began
    if weights is None:
        return
    report = inherit_weights(
        weights, model, _layers(settings), classes, say=print if run.writes else None
    )
    left = {*report.random, *report.skipped}
    if stuck := [
        layer.name for layer in model.layers if not layer.trainable and layer.name in left
    ]:
        raise ValueError(
            f"--freeze-until {settings.recipe.freeze_until} would keep random weights for ever "
            f"in {', '.join(stuck)}. Give --inherit-layers all-matching, or freeze less."
        )
    if run.writes:
        files.write_whole(note, f"{report}\n".encode())


def closing_line(report):
    """The result in one line: errors in %, n, seconds of training, images a second."""
    errors = "not tested"
    if report["split"]:
        errors = "{split} top-1 error {top1_error:.2f} %, top-5 {top5_error:.2f} %".format(**report)
    return errors + ", n={n:,}, {seconds:.0f} s, {images_per_second:.0f} images/s".format(**report)
