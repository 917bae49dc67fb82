"""Where the object is (appendix A): `python -m vgg_tf.localize train|evaluate|predict`."""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from vgg_tf.data.selection import Selection
from vgg_tf.paper import recipes
from vgg_tf.runtime import files, programs, quiet, signals
from vgg_tf.runtime.devices import Precision, StrategyName, choose, settle

PROG = "python -m vgg_tf.localize"


@dataclass(frozen=True)
class Words:
    """The flags that the defaults of the numbers hang on."""

    data: str = ""
    """Pictures with Pascal-VOC annotations, the ILSVRC competition's folder, or shards with boxes."""
    inherit: str = ""
    """The classification network that it starts from: a run folder, a file of weights, or cifar10."""
    recipe: Literal["auto", "boxes", "small"] = "auto"
    """boxes: the paper's, S=256 and a rate of 1e-3; small: for networks whose crops are below 64 pixels, on crops of 64; auto:
    by the network."""
    strategy: StrategyName = "auto"
    """Where to train; auto is the first of tpu, gpu, cpu that is there."""


@dataclass(frozen=True)
class Train(Words):
    """Train a network to give the box of the object, and keep everything in a run folder that the same command continues."""

    regression: Literal["pcr", "scr"] = "pcr"
    """pcr: a box for each class; scr: one for all. With --freeze-until fc1 the fully connected layers learn alone."""
    out: str = ""
    """Run folder; runs/<regression>-<name of the data> by default."""
    precision: Precision = "auto"
    """As for vgg_tf.train."""
    grace: float = 25.0
    """Seconds that SIGTERM leaves, as for vgg_tf.train."""
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)
    numbers: Annotated[recipes.Recipe, tyro.conf.arg(name="")] = field(default_factory=lambda: recipes.BOXES)


@dataclass(frozen=True)
class Evaluate:
    """Localisation errors of one network, or of several whose boxes are merged; tables in the form of the paper's 8 to 10."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Run folders of localize train."""
    data: str = ""
    """Pictures with boxes; the first run's own data by default."""
    split: str = "validation"
    """train, validation or test; the paper's tables 8 and 9 are of validation."""
    protocol: Literal["center", "dense"] = "dense"
    """center: the centre crop, the class known (protocol 1). dense: the whole picture at all --scales, boxes merged, classes by
    --classifier (protocol 2)."""
    scales: str = "one"
    """Q in pixels, such as 352,384; one: the training's."""
    flip: bool = False
    """Look at each picture's mirror image as well: two boxes of the centre crop are averaged, those of windows merged."""
    classifier: tuple[str, ...] = ()
    """Classification networks that name and rate, several together; without any the class is known (protocol 2)."""
    out: str = ""
    """Folder of the report; in the first run's folder by default."""
    strategy: StrategyName = "auto"
    """Where to compute."""


@dataclass(frozen=True)
class Predict:
    """Draw boxes on pictures, and write them as JSON."""

    run: Annotated[str, tyro.conf.Positional]
    """Run folder of localize train."""
    pictures: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Files, folders (with all below them), or patterns."""
    classifier: tuple[str, ...] = ()
    """Classification networks that tell which classes are asked for; or give --label."""
    label: str = ""
    """The class whose box is asked for."""
    top: int = 1
    """How many classes of each picture."""
    scales: str = "one"
    """Q in pixels, such as 352,384; one: the training's."""
    out: str = "boxes"
    """Folder of the drawn pictures and of boxes.json."""
    strategy: StrategyName = "auto"
    """Where to compute."""


def main(arguments=None):
    """Run the command that the first word names."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    commands = {"train": train, "evaluate": evaluate, "predict": predict}
    if words and words[0] in commands:
        commands[words[0]](words[1:])
        return
    tyro.extras.subcommand_cli_from_dict({"train": Train, "evaluate": Evaluate, "predict": Predict}, args=words, prog=PROG)


def train(words):
    """Train, print the closing line."""
    plain = [word for word in words if word not in ("-h", "--help")]
    first, _ = tyro.cli(Words, args=plain, return_unknown_args=True, prog=f"{PROG} train")
    begun, recipe = None, recipes.BOXES
    if plain == words:
        if not (first.data and first.inherit):
            raise ValueError("--data and --inherit are needed: pictures with boxes, and the network to start from.")
        settle(first.strategy)
        quiet.quiet_tensorflow()
        from vgg_tf.evaluation import checkpoint

        begun = checkpoint.open_trained(first.inherit, headless=True)
        small = first.recipe == "small" or (first.recipe == "auto" and begun.number and begun.crop < 64)
        recipe = _like(begun, recipes.SMALL_BOXES if small else recipes.BOXES)
    flags = tyro.cli(Train, args=words, default=Train(numbers=recipe), prog=f"{PROG} train")
    devices = choose(flags.strategy, flags.precision)

    from vgg_tf.data import loading, opening
    from vgg_tf.localization import inputs
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
        begun.arch, where, source.fingerprint(), devices.policy, recipe, flags.selection, flags.inherit, begun.fingerprint,
        "all-matching", flags.regression,
    )  # fmt: skip
    with run_folder.open_run(out, settings) as run:
        if report := run.report():
            print(f"{out} is done; delete it or choose another --out to train anew\n{closing_line(report)}")
            return
        collection = statistics.measure(source)
        collection.write(out)
        splits = {split: images for split, images in source.splits.items() if split != "test"}
        parts = {split: inputs.annotated(images, source.classes) for split, images in splits.items()}
        plan = arithmetic(recipe, len(parts["train"]), devices.replicas)
        counts = ", ".join(f"{len(part):,} {split}" for split, part in parts.items())
        print(f"{begun.arch} for boxes on {where}: {counts} pictures of {len(source.classes)} classes; {devices.reason}")
        for note in [*source.notes[:5], *(note for part in parts.values() for note in part.notes[:5])]:
            print(f"  {note}")
        batches = inputs.batches(parts["train"], recipe, plan.batch, plan.steps, collection.covariance_rgb)
        validation = None
        if "validation" in parts:
            validation = inputs.batches(parts["validation"], recipe, plan.batch)
        outputs = 4 * (1 if flags.regression == "scr" else len(source.classes))
        notice = signals.Notice(flags.grace)
        with notice, devices.scope(), loading.naming_the_unreadable(source), tracking.opened("", run) as track:
            model = build(begun.arch, recipe, collection, begun.weights.std is not None, outputs)
            names = [layer.name for layer in model.layers if layer.weights and layer.name not in ("predictions", "normalize")]
            state = loop.train(
                run, model, plan.steps, plan.batch, batches, validation,
                begin=lambda: inherit_weights(begun.weights, model, names), task=inputs.task(recipe), heed=notice.heed,
                track=track,
            )  # fmt: skip
        best = state.rows[state.best_epoch - 1]
        report = {
            "split": "validation" if validation else "train", "n": len(parts.get("validation", parts["train"])),
            "error": best["validation_error"] if validation else best["train_error"], "epochs": state.epoch,
            "best_epoch": state.best_epoch, "seconds": sum(row["seconds"] for row in state.rows),
        }  # fmt: skip
        run.write_report(report)
        print(closing_line(report))


def _like(begun, recipe):
    """The recipe for a network that starts from this one: its width, its input, and no crop below its own."""
    from dataclasses import replace

    head = begun.weights.layers.get("fc1")
    return replace(
        recipe, width=begun.weights.width, head_width=head["kernel"].shape[-1] if head else 0,
        standardize=begun.weights.std is not None,
    )  # fmt: skip


def closing_line(report):
    """The result in one line."""
    return (
        "{split} localisation error {error:.2f} % (centre crop, class known), n={n:,}, epoch {best_epoch} of {epochs}, "
        "{seconds:.0f} s; test it with python -m vgg_tf.localize evaluate"
    ).format(**report)


def evaluate(words):
    """Find boxes of all pictures of a split, print the tables and the closing line."""
    flags = tyro.cli(Evaluate, args=words, prog=f"{PROG} evaluate")
    if not flags.runs:
        raise ValueError("No run. Give run folders of python -m vgg_tf.localize train.")
    settle(flags.strategy)
    quiet.quiet_tensorflow()

    from tqdm import tqdm

    from vgg_tf.data import opening
    from vgg_tf.images import decoding
    from vgg_tf.localization import inference, inputs, reports
    from vgg_tf.runs import run_folder

    run_folder.refuse_run(flags.out)
    start = time.perf_counter()
    devices = choose(flags.strategy, "auto")
    with devices.scope():
        localizers = [inference.Localizer(path) for path in flags.runs]
        first = localizers[0]
        rater = _rater(flags.classifier, first.classes)
    selections = [localizer.run.settings.selection for localizer in localizers]
    source = opening.open_tested(flags.split, selections, first.run.settings.data, flags.data)
    for localizer in localizers:
        if localizer.classes != tuple(source.classes):
            known, asked = (", ".join(classes[:5]) for classes in (localizer.classes, source.classes))
            raise ValueError(f"{localizer.path} knows the classes {known}; {source.name} has {asked}. They must be the same.")
    source.images(flags.split)
    pictures = inputs.annotated(source.splits[flags.split], source.classes)
    for note in pictures.notes:
        print(note)
    scales = [_scales(flags.scales, localizer) for localizer in localizers]
    alone = [(f"{localizer.path}", [localizer], [of]) for localizer, of in zip(localizers, scales, strict=True)]
    together = [("all, merged", localizers, scales)] if len(localizers) > 1 and flags.protocol == "dense" else []
    lines = [*alone, *together]
    found = [[] for _ in lines]
    print(devices.reason)
    with devices.scope():
        for i in tqdm(range(len(pictures)), "locate", unit=" images", disable=None):
            picture = decoding.decode_named(pictures.images.read(i), pictures.images.names[i])
            label = int(pictures.images.labels[i])
            posteriors, windows = rater.rate(picture) if rater else (None, None)
            labels = [label] if rater is None else np.argsort(-posteriors, kind="stable")[: inference.TOP].tolist()
            for (_, some, of), into in zip(lines, found, strict=True):
                if flags.protocol == "center":
                    corners = some[0].centre(picture, of[0][0], flags.flip)
                    corners = corners[label if len(corners) > 1 else 0]
                    into.append([inference.Found(label, 1.0, np.clip(corners, 0, 1))])
                else:
                    into.append(inference.locate(some, of, picture, labels, windows, flip=flags.flip))
    labels = pictures.images.labels.tolist()
    errors = [inference.errors(of, labels, pictures.corners) for of in found]
    known = rater is None or flags.protocol == "center"
    text = reports.tables_of(flags.protocol, lines, errors, known)
    results = {name: error for (name, *_), error in zip(lines, errors, strict=True)}
    facts = {
        "networks": [localizer.path for localizer in localizers], "classifier": [] if known else list(flags.classifier),
        "images": f"{source.name}, {flags.split}", "protocol": flags.protocol, "scales": scales, "flip": flags.flip,
    }  # fmt: skip
    folder = flags.out or reports.folder_of(first.run.folder, flags.split, facts)
    reports.write(folder, facts | {"tables": text, "results": results}, found[-1], pictures, source.classes)
    last = errors[-1]
    (low, high), kind = last["top5_interval"], "class known" if known else "top-5"
    print(f"\n{text}\n")
    print(
        f"{flags.split} localisation error {last['top5_error']:.2f} % ({kind}; 95 %: {low:.2f} to {high:.2f}), "
        f"n={last['n']:,}, {time.perf_counter() - start:.0f} s; {folder}"
    )


def _rater(paths, classes):
    from vgg_tf.evaluation import checkpoint
    from vgg_tf.localization import inference

    if not paths:
        return None
    networks = [checkpoint.open_trained(path) for path in paths]
    for network in networks:
        network.check_classes(classes, "the run of boxes")
    return inference.Rater(networks)


def _scales(words, localizer):
    """Q in pixels.

    Raises:
        ValueError: no numbers, or one below the crop.
    """
    if words == "one":
        return [localizer.test_scale]
    numbers = [int(word) if word.strip().isdigit() else 0 for word in words.split(",")]
    if min(numbers) < localizer.crop:
        raise ValueError(
            f"--scales are pixels of at least the crop's {localizer.crop}, such as {localizer.test_scale}, or one. "
            f"Received: {words!r}."
        )
    return numbers


def predict(words):
    """Find boxes, draw them, write them."""
    flags = tyro.cli(Predict, args=words, prog=f"{PROG} predict")
    settle(flags.strategy)
    quiet.quiet_tensorflow()

    from tqdm import tqdm

    from vgg_tf.data.folders import picture_paths
    from vgg_tf.figures import charts as drawing
    from vgg_tf.figures import drawing as drawing
    from vgg_tf.images import decoding
    from vgg_tf.localization import inference, reports
    from vgg_tf.records import annotations

    paths = picture_paths(flags.pictures)
    devices = choose(flags.strategy, "auto")
    with devices.scope():
        localizer = inference.Localizer(flags.run)
        rater, classes = _rater(flags.classifier, localizer.classes), localizer.classes
    if flags.label and flags.label not in classes:
        raise ValueError(f"{flags.run} knows no class {flags.label!r}. It has {', '.join(classes)}.")
    if rater is None and not flags.label and localizer.kind == "pcr":
        raise ValueError("A box is of a class: give --classifier RUN, which tells what is there, or --label CLASS.")
    print(devices.reason, file=sys.stderr)
    rows, scales = [], [_scales(flags.scales, localizer)]
    files.make_folder(flags.out)
    bad = []
    with devices.scope():
        for number, path in enumerate(tqdm(paths, "locate", unit=" pictures", disable=None)):
            try:
                picture = decoding.decode_named(files.read(path), path)
            except (ValueError, OSError) as error:
                bad.append(str(error))
                continue
            posteriors, windows = rater.rate(picture) if rater else (None, None)
            labels = [classes.index(flags.label) if flags.label else 0]
            if rater and not flags.label:
                labels = np.argsort(-posteriors, kind="stable")[: flags.top].tolist()
            found = inference.locate([localizer], scales, picture, labels, windows)
            called = classes if rater or flags.label else ["object"]
            rows.append(reports.row(path, found, called, picture.shape[1::-1]))
            boxes = annotations.Boxes(np.stack([box.corners for box in found]), [called[box.label] for box in found])
            stem = os.path.splitext(os.path.basename(path))[0]
            drawn = os.path.join(flags.out, f"{number:04d}-{stem}.png")
            with programs.noting(drawn):
                drawing.save(drawing.contact_sheet([picture], [os.path.basename(path)], [boxes], ""), drawn, dpi=200)
    files.write_whole(os.path.join(flags.out, "boxes.json"), json.dumps(rows, indent=1).encode())
    print(f"{len(rows):,} pictures; {flags.out}")
    if bad:
        listed = "\n  ".join(bad)
        sys.exit(f"error: {len(bad)} of {len(paths)} pictures could not be read:\n  {listed}")


if __name__ == "__main__":
    programs.run(main)
