"""Train the network of an open run, from its data to its report."""

import contextlib
import functools
import sys
from dataclasses import replace

from vgg_tf.paper import presets
from vgg_tf.paper.architectures import HEAD_WIDTH
from vgg_tf.runs import results, tracking
from vgg_tf.runtime import processes, programs, signals

SMOKE_BATCHES = 2  # tested in a smoke run
FEW_CLASSES, SMALL_CROP = 100, 128  # at most; a wider head than needed is noted. Crop in pixels


def train_and_test(run, collection, data, devices, weights, flags, words=None):
    """Train the network of a run, test the best one, write the report, and print the result.

    Args:
        run: the open `run_folder.Run`.
        collection: the `Collection` of the data.
        data: the source.
        devices: the `Devices`.
        weights: the `Weights` to inherit, or None.
        flags: flags of the program.
        words: the words of the command line, for `result.json`; None takes those of this process.
    """
    from vgg_tf.data.describing import list_notes
    from vgg_tf.data.unreadable import naming_the_unreadable
    from vgg_tf.runs import run_folder
    from vgg_tf.training import loop
    from vgg_tf.training.class_balance import describe_balance
    from vgg_tf.training.inheriting import divides_by_std, inherit
    from vgg_tf.training.model import build, make_classification_task, plan_steps

    settings = run.settings
    images = collection.count_images("train")
    if _have_batch_size(words) and not run_folder.has_begun(run.folder):
        presets.check_batch_size(settings.recipe, images)
    plan = plan_steps(settings.recipe, images, devices.replicas, flags.smoke)
    say = print if run.writes else lambda line: None
    counts = {split: values["images"] for split, values in collection.splits.items()}
    for split, n in counts.items():
        processes.check_share(n, split, devices.processes)
    announce(settings, counts, collection, devices, say)
    per_class = collection.splits["train"]["per_class"]
    balance = describe_balance(settings.recipe.class_weights, per_class)
    notes = list_notes(collection.notes, settings.data)
    passes = describe_passes(settings.recipe, plan)
    for note in filter(None, (*notes, plan.note, balance, passes)):
        say(f"  {note}")
    load = functools.partial(_load_center_crops, data, settings.recipe, plan, flags.smoke)
    feed = _make_feed(data, settings, collection, plan, devices, load)
    with (
        naming_the_unreadable(data),
        following(run, devices, flags.grace, flags.track) as hooks,
    ):
        standardized = divides_by_std(weights, settings)
        model = build(settings.arch, settings.recipe, collection, standardized)
        for note in describe_network(model, settings.recipe.size):
            say(f"  {note}")
        hooks = replace(
            hooks, say=say, begin=lambda: inherit(run, model, weights, collection.classes)
        )
        task = make_classification_task(settings.recipe, collection.splits)
        state = loop.train(run, model, feed, hooks, task, check=flags.check)
        devices.wait("best network")
        tested = _test(run, collection, lambda split: load(split, devices.part), say)
    seconds = sum(row["seconds"] for row in state.rows)
    if flags.smoke:
        tested["n"] = min(tested["n"], SMOKE_BATCHES * plan.batch)
    report = {
        **tested,
        "seconds": seconds,
        "images_per_second": plan.steps * plan.batch * len(state.rows) / seconds,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "parameters": model.count_params(),
        "class_weights": settings.recipe.class_weights,
    }
    if run.writes:
        _write_result(run, report, devices, flags.smoke, words)
    run.write_report(report)
    say(format_result(report))
    devices.wait("report")


def _have_batch_size(words):
    words = sys.argv[1:] if words is None else words
    return any(str(word).replace("_", "-").startswith("--batch-size") for word in words)


def _write_result(run, report, devices, smoke, words):
    results.write_result(
        run.folder,
        ("vgg_tf.train", words),
        devices,
        report,
        arch=run.settings.arch,
        data=run.settings.data,
        protocol="center",
        seed=run.settings.recipe.seed,
        note="a trial with tiny numbers (--smoke)" if smoke else None,
        **{key: report[key] for key in ("parameters", "split", "seconds", "images_per_second")},
    )


def announce(settings, counts, collection, devices, say=print):
    """Print the network, its images and the devices.

    Args:
        settings: the `Settings` of the run.
        counts: number of images of each split.
        collection: the `Collection` of the images.
        devices: the `Devices`.
        say: called with the line.
    """
    what = " for boxes" if settings.task != "classification" else ""
    splits = ", ".join(f"{n:,} {split}" for split, n in counts.items())
    say(
        f"{settings.arch}{what} on {settings.data}: {splits} images of "
        f"{len(collection.classes)} classes; {devices.reason}"
    )


def describe_passes(recipe, plan):
    """Return the epochs, the updates, and the sizes of the images, in one line.

    Args:
        recipe: the `Recipe`.
        plan: the `StepPlan`.

    Returns:
        str.
    """
    low, high = recipe.scale
    side = f"{low}" if low == high else f"{low} to {high}"
    updates = programs.count(plan.steps // recipe.accumulate, "update")
    return (
        f"{programs.count(recipe.epochs, 'epoch')} of {updates}; crops of {recipe.size} pixels "
        f"from images of S={side}, tests at Q={recipe.evaluation_scale}"
    )


def describe_network(model, crop):
    """Return notes on the size of a network, and on a head that is larger than needed.

    Args:
        model: the network.
        crop: side of the crops, in pixels.

    Returns:
        list of str.
    """
    parameters = model.count_params()
    # model.keras holds the weights; each of two states holds the weights and their momentum.
    notes = [f"{parameters:,} parameters; run folder: about {20 * parameters / 1e6:,.0f} MB"]
    width, classes = (model.get_layer(name).kernel.shape[-1] for name in ("fc1", "predictions"))
    if width >= HEAD_WIDTH and classes <= FEW_CLASSES and crop <= SMALL_CROP:
        head = sum(model.get_layer(name).count_params() for name in ("fc1", "fc2", "predictions"))
        notes.append(
            f"the head of {width:,} outputs has {head:,} of these parameters, for {classes} "
            f"classes; --head-width 512 may be enough for crops of {crop} pixels"
        )
    return notes


@contextlib.contextmanager
def following(run, devices, grace, track=""):
    """Return a context of the devices that handles SIGTERM and tracks the rows of the log.

    Args:
        run: the open `run_folder.Run`.
        devices: the `Devices`.
        grace: seconds between SIGTERM and the kill.
        track: names of trackers, as for `tracking.open_trackers`.

    Yields:
        `loop.Hooks`.
    """
    from vgg_tf.training import loop

    notice = signals.Notice(grace)
    tracks = tracking.open_trackers(track if run.writes else "", run)
    with tracks as follow, notice, devices.scope():
        yield loop.Hooks(heed=notice.heed, track=follow)


def _make_feed(data, settings, collection, plan, devices, load):
    """Make the `loop.Feed`; raise if the schedule needs a validation split that is missing."""
    from vgg_tf.training import loop

    recipe, validation = settings.recipe, None
    if "validation" in collection.splits:
        validation = load("validation", devices.part, recipe.cache)
    elif recipe.schedule == "plateau" and settings.selection.hold_out == 0:
        raise ValueError(
            "--schedule plateau needs a validation split. Received: --hold-out "
            f"{settings.selection.hold_out}. Use --schedule step, cosine or one-cycle, or hold "
            "out more."
        )
    sample = None
    if devices.processes > 1:  # all of them check the same batch
        sample = load("validation" if validation else "train", (0, devices.processes))
    batches = make_training_batches(data, recipe, collection, plan, devices.part)
    return loop.Feed(plan.steps, plan.batch, batches, validation, sample)


def _load_center_crops(data, recipe, plan, smoke, split, part, cache="none"):
    """Read the center crops of a split as batches; a smoke run takes only the first ones."""
    from vgg_tf.data.batches import Plan, make_epochs
    from vgg_tf.images.augmentation import View

    view = View(recipe.size, recipe.evaluation_scale)
    batches = make_epochs(data, split, view, Plan(plan.batch, False, cache=cache, part=part))(0)
    return batches.take(SMOKE_BATCHES if smoke else -1)


def _test(run, collection, load, say):
    """Test the best network of a run on the test split, or on the validation split without one.

    Args:
        run: the open `run_folder.Run`.
        collection: the `Collection` of the data.
        load: function of the name of a split to its batches.
        say: called with a note if there is no test split.

    Returns:
        dict: `split`, or None without any; `n`, its number of images; and the result of
        `model.evaluate`, with the mean class recall where the classes of the split are unequal.
    """
    from vgg_tf.training.class_balance import are_unequal
    from vgg_tf.training.model import compile_scores, drop_softmax, evaluate

    tested = next((split for split in ("test", "validation") if split in collection.splits), None)
    if tested is None:
        say("no test and no validation split: the network is not tested")
        return {"split": None, "n": 0}
    best = drop_softmax(run.load_best())
    compile_scores(best, recall=are_unequal(collection.splits[tested]["per_class"]))
    errors = evaluate(best, load(tested))
    if tested != "test":
        say(f"no test split: the reported error is that of {tested}, which selected the network")
    return {"split": tested, "n": collection.count_images(tested), **errors}


def make_training_batches(data, recipe, collection, plan, part=(0, 1)):
    """Return a function of the epoch to its training batches, as `loading.load_epochs` does.

    Args:
        data: the source.
        recipe: the `Recipe`.
        collection: the `Collection` of the source.
        plan: the `StepPlan`.
        part: `(process, processes)`.

    Returns:
        A function of the epoch.
    """
    from vgg_tf.data.batches import Plan, make_epochs
    from vgg_tf.images.augmentation import Mix

    view, mix = recipe.view(collection.covariance_rgb), Mix(recipe.mixup, recipe.cutmix)
    batches = Plan(plan.batch, True, plan.steps, recipe.seed, recipe.cache, part, mix)
    return make_epochs(data, "train", view, batches)


def format_result(report):
    """Return the result in one line: errors and recall in %, n, seconds of training, throughput."""
    words = ["not tested"]
    if report["split"]:
        words = ["{split} top-1 error {top1_error:.2f} %", "top-5 {top5_error:.2f} %"]
    if "mean_class_recall" in report:
        words.append(f"mean class recall {100 * report['mean_class_recall']:.1f} %")
    words += ["n={n:,}", "{seconds:.0f} s", "{images_per_second:.0f} images/s"]
    return ", ".join(words).format(**report)
