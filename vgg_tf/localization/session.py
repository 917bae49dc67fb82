"""One training run of box regression, from its data to its report."""

import os
from pathlib import Path

import tyro

from vgg_tf.localization.flags import PROG, Train, Words
from vgg_tf.paper import recipes
from vgg_tf.runtime import files, quiet, signals
from vgg_tf.runtime.devices import choose, settle


def train(words):
    """Train, print the closing line."""
    plain = [word for word in words if word not in ("-h", "--help")]
    first, _ = tyro.cli(Words, args=plain, return_unknown_args=True, prog=f"{PROG} train")
    begun, recipe = None, recipes.BOXES
    if plain == words:
        if not (first.data and first.inherit):
            raise ValueError(
                "--data and --inherit are needed: pictures with boxes, and the network to "
                "start from."
            )
        settle(first.strategy)
        quiet.quiet_tensorflow()
        from vgg_tf.evaluation import checkpoint

        begun = checkpoint.open_trained(first.inherit, headless=True)
        small = first.recipe == "small" or (
            first.recipe == "auto" and begun.number and begun.crop < 64
        )
        recipe = _like(begun, recipes.SMALL_BOXES if small else recipes.BOXES)
    flags = tyro.cli(Train, args=words, default=Train(numbers=recipe), prog=f"{PROG} train")
    devices = choose(flags.strategy, flags.precision)

    from vgg_tf.data import loading, opening
    from vgg_tf.localization import inputs, task
    from vgg_tf.records import statistics
    from vgg_tf.records.collection import is_word
    from vgg_tf.runs import run_folder, tracking
    from vgg_tf.runs.settings import Settings
    from vgg_tf.training import loop
    from vgg_tf.training.model import arithmetic, build
    from vgg_tf.weights.inheritance import inherit_weights

    recipe = flags.numbers
    source = opening.open_source(flags.data, flags.selection)
    where = flags.data if is_word(flags.data) else files.absolute(flags.data)
    out = flags.out or os.path.join("runs", f"{flags.regression}-{Path(where).name}")
    settings = Settings(
        begun.arch,
        where,
        source.fingerprint(),
        devices.policy,
        recipe,
        flags.selection,
        flags.inherit,
        begun.fingerprint,
        "all-matching",
        flags.regression,
    )
    with run_folder.open_run(out, settings) as run:
        if report := run.report():
            print(
                f"{out} is done; delete it or choose another --out to train "
                f"anew\n{closing_line(report)}"
            )
            return
        collection = statistics.measure(source)
        collection.write(out)
        splits = {split: images for split, images in source.splits.items() if split != "test"}
        parts = {
            split: inputs.annotated(images, source.classes) for split, images in splits.items()
        }
        plan = arithmetic(recipe, len(parts["train"]), devices.replicas)
        counts = ", ".join(f"{len(part):,} {split}" for split, part in parts.items())
        print(
            f"{begun.arch} for boxes on {where}: {counts} pictures of {len(source.classes)} "
            f"classes; {devices.reason}"
        )
        for note in [
            *source.notes[:5],
            *(note for part in parts.values() for note in part.notes[:5]),
        ]:
            print(f"  {note}")
        batches = inputs.batches(
            parts["train"], recipe, plan.batch, plan.steps, collection.covariance_rgb
        )
        validation = None
        if "validation" in parts:
            validation = inputs.batches(parts["validation"], recipe, plan.batch)
        outputs = 4 * (1 if flags.regression == "scr" else len(source.classes))
        notice = signals.Notice(flags.grace)
        with (
            notice,
            devices.scope(),
            loading.naming_the_unreadable(source),
            tracking.opened("", run) as track,
        ):
            model = build(begun.arch, recipe, collection, begun.weights.std is not None, outputs)
            names = [
                layer.name
                for layer in model.layers
                if layer.weights and layer.name not in ("predictions", "normalize")
            ]
            state = loop.train(
                run,
                model,
                plan.steps,
                plan.batch,
                batches,
                validation,
                begin=lambda: inherit_weights(begun.weights, model, names),
                task=task.task(recipe),
                heed=notice.heed,
                track=track,
            )
        best = state.rows[state.best_epoch - 1]
        report = {
            "split": "validation" if validation else "train",
            "n": len(parts.get("validation", parts["train"])),
            "error": best["validation_error"] if validation else best["train_error"],
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "seconds": sum(row["seconds"] for row in state.rows),
        }
        run.write_report(report)
        print(closing_line(report))


def _like(begun, recipe):
    """The recipe for a network that starts from this one: its width, its input, and no crop
    below its own.
    """
    from dataclasses import replace

    head = begun.weights.layers.get("fc1")
    return replace(
        recipe,
        width=begun.weights.width,
        head_width=head["kernel"].shape[-1] if head else 0,
        standardize=begun.weights.std is not None,
    )


def closing_line(report):
    """The result in one line."""
    return (
        "{split} localisation error {error:.2f} % (centre crop, class known), n={n:,}, epoch "
        "{best_epoch} of {epochs}, {seconds:.0f} s; test it with python -m vgg_tf.localize "
        "evaluate"
    ).format(**report)
