"""A training run of box regression, from the data to the report."""

import os
from dataclasses import replace
from pathlib import Path

import tyro

from vgg_tf.localization.flags import PROG, Train, Words
from vgg_tf.paper import presets
from vgg_tf.runtime import command_line, files, quiet
from vgg_tf.runtime.devices import choose
from vgg_tf.runtime.engines import settle
from vgg_tf.training.session import announce, following


def run_training(begun, flags):
    """Train a network that predicts boxes.

    Args:
        begun: the `checkpoint.Checkpoint` to start from.
        flags: `Train`.

    Returns:
        folder: the run folder.
        report: dict of the error and the numbers of the training.
    """
    devices = choose(flags.strategy, flags.precision)

    from vgg_tf.data import opening
    from vgg_tf.records.collection import is_word
    from vgg_tf.runs import run_folder
    from vgg_tf.runs.resuming import keep_contents, keep_hold_out_rule
    from vgg_tf.runs.settings import Settings

    where = flags.data if is_word(flags.data) else files.make_absolute(flags.data)
    out = flags.out or os.path.join("runs", f"{flags.regression}-{Path(where).name}")
    selection = keep_hold_out_rule(out, flags.selection)
    source = opening.open_source(flags.data, selection)
    settings = Settings(
        begun.arch,
        where,
        source.fingerprint(),
        devices.policy,
        flags.numbers,
        selection,
        flags.inherit,
        begun.fingerprint,
        "all-matching",
        flags.regression,
    )
    with run_folder.open_run(out, settings) as run:
        keep_contents(run, source)
        report = run.read_report()
        if report:
            print(f"{out} is done; delete it or choose another --out to train again")
        else:
            report = _train_run(run, source, begun, devices, flags)
            run.write_report(report)
    return out, report


def parse(words):
    """Parse the flags; the defaults of the recipe depend on the network to start from.

    Args:
        words: words of the command line.

    Returns:
        begun: the `checkpoint.Checkpoint` to start from; None if the words ask for help.
        flags: `Train`.

    Raises:
        ValueError: --data or --inherit is missing, or the recipe does not fit boxes.
    """
    command_line.check_words(Train, words, f"{PROG} train")
    plain = [word for word in words if word not in ("-h", "--help")]
    first, _ = tyro.cli(Words, args=plain, return_unknown_args=True, prog=f"{PROG} train")
    begun, recipe = None, presets.BOXES
    if plain == words:
        if not (first.data and first.inherit):
            raise ValueError(
                "--data and --inherit are required. Received: "
                f"--data {first.data!r} --inherit {first.inherit!r}. Give pictures with boxes, and "
                "the network to start from."
            )
        from vgg_tf.weights.reading import check_paths

        check_paths([first.inherit])
        settle(first.strategy)
        quiet.quiet_tensorflow()
        from vgg_tf.evaluation import checkpoint

        begun = checkpoint.open_checkpoint(first.inherit, headless=True)
        small = first.recipe == "small" or (
            first.recipe == "auto" and begun.number and begun.crop < 64
        )
        recipe = _fit_recipe(begun, presets.SMALL_BOXES if small else presets.BOXES)
    flags = command_line.parse_flags(Train, words, f"{PROG} train", Train(numbers=recipe))
    check_recipe(flags.numbers)
    return begun, flags


def check_recipe(recipe):
    """Raise a ValueError if a recipe has an augmentation that boxes cannot follow.

    Args:
        recipe: the `Recipe`.

    Raises:
        ValueError: it has RandAugment, which moves pixels, or mixes pictures.
    """
    for name in ("rand_augment", "mixup", "cutmix"):
        if value := getattr(recipe, name):
            flag = "--" + name.replace("_", "-")
            raise ValueError(
                f"{flag} must be 0 for boxes, which do not follow mixed or turned pictures. "
                f"Received: {flag} {value}. Remove the flag; --scale, --padding, --flip and "
                "--rgb-shift vary the pictures with their boxes."
            )


def _train_run(run, source, begun, devices, flags):
    """Train the network of an open run, and return its report."""
    from vgg_tf.data.describing import list_notes
    from vgg_tf.data.unreadable import naming_the_unreadable
    from vgg_tf.localization import inputs, task
    from vgg_tf.records import statistics
    from vgg_tf.training import loop
    from vgg_tf.training.model import build, plan_steps

    recipe = run.settings.recipe
    collection = statistics.measure(source)
    collection.write(run.folder)
    parts = {
        split: inputs.read_boxes(images, source.classes)
        for split, images in source.splits.items()
        if split != "test"
    }
    plan = plan_steps(recipe, len(parts["train"]), devices.replicas)
    counts = {split: len(part) for split, part in parts.items()}
    announce(run.settings, counts, collection, devices)
    notes = list_notes(source.notes, source.name)
    skipped = list_notes([note for part in parts.values() for note in part.notes])
    for note in filter(None, (*notes, plan.note, *skipped)):
        print(f"  {note}")
    validation = parts.get("validation")
    feed = loop.Feed(
        plan.steps,
        plan.batch,
        inputs.make_training_batches(parts["train"], recipe, plan, collection.covariance_rgb),
        inputs.make_test_batches(validation, recipe, plan.batch) if validation else None,
    )
    outputs = 4 * (1 if flags.regression == "scr" else len(source.classes))
    with naming_the_unreadable(source), following(run, devices, flags.grace) as hooks:
        model = build(run.settings.arch, recipe, collection, begun.weights.std is not None, outputs)
        hooks = replace(hooks, begin=lambda: _inherit(begun.weights, model))
        state = loop.train(run, model, feed, hooks, task.make_boxes_task(recipe))
    best = state.rows[state.best_epoch - 1]
    return {
        "split": "validation" if validation else "train",
        "n": len(validation or parts["train"]),
        "error": best["validation_error"] if validation else best["train_error"],
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "seconds": sum(row["seconds"] for row in state.rows),
    }


def _inherit(weights, model):
    """Copy all weights except those of the last layer and the statistics of the input."""
    from vgg_tf.weights.inheritance import inherit_weights

    kept = ("predictions", "normalize")
    inherit_weights(
        weights,
        model,
        [layer.name for layer in model.layers if layer.weights and layer.name not in kept],
    )


def _fit_recipe(begun, recipe):
    """Return the recipe with the width and the input of the network to start from."""
    head = begun.weights.layers.get("fc1")
    return replace(
        recipe,
        width=begun.weights.width,
        head_width=head["kernel"].shape[-1] if head else 0,
        standardize=begun.weights.std is not None,
    )


def format_result(report):
    """Return the result in one line."""
    return (
        "{split} box error {error:.2f} % (inside the center crop, class known), n={n:,}, epoch "
        "{best_epoch} of {epochs}, {seconds:.0f} s; test it with python -m vgg_tf.localize "
        "evaluate"
    ).format(**report)
