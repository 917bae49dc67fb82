"""Boxes for all pictures of a split, and their errors."""

import time

import numpy as np
import tyro

from vgg_tf.localization.flags import PROG, Evaluate
from vgg_tf.runtime import quiet
from vgg_tf.runtime.devices import choose, settle


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
        rater = rater_of(flags.classifier, first.classes)
    selections = [localizer.run.settings.selection for localizer in localizers]
    source = opening.open_tested(flags.split, selections, first.run.settings.data, flags.data)
    for localizer in localizers:
        if localizer.classes != tuple(source.classes):
            known, asked = (
                ", ".join(classes[:5]) for classes in (localizer.classes, source.classes)
            )
            raise ValueError(
                f"{localizer.path} knows the classes {known}; {source.name} has {asked}. They "
                "must be the same."
            )
    source.images(flags.split)
    pictures = inputs.annotated(source.splits[flags.split], source.classes)
    for note in pictures.notes:
        print(note)
    scales = [scales_of(flags.scales, localizer) for localizer in localizers]
    alone = [
        (f"{localizer.path}", [localizer], [of])
        for localizer, of in zip(localizers, scales, strict=True)
    ]
    together = (
        [("all, merged", localizers, scales)]
        if len(localizers) > 1 and flags.protocol == "dense"
        else []
    )
    lines = [*alone, *together]
    found = [[] for _ in lines]
    print(devices.reason)
    with devices.scope():
        for i in tqdm(range(len(pictures)), "locate", unit=" images", disable=None):
            picture = decoding.decode_named(pictures.images.read(i), pictures.images.names[i])
            label = int(pictures.images.labels[i])
            posteriors, windows = rater.rate(picture) if rater else (None, None)
            labels = (
                [label]
                if rater is None
                else np.argsort(-posteriors, kind="stable")[: inference.TOP].tolist()
            )
            for (_, some, of), into in zip(lines, found, strict=True):
                if flags.protocol == "center":
                    corners = some[0].centre(picture, of[0][0], flags.flip)
                    corners = corners[label if len(corners) > 1 else 0]
                    into.append([inference.Found(label, 1.0, np.clip(corners, 0, 1))])
                else:
                    into.append(
                        inference.locate(some, of, picture, labels, windows, flip=flags.flip)
                    )
    labels = pictures.images.labels.tolist()
    errors = [inference.errors(of, labels, pictures.corners) for of in found]
    known = rater is None or flags.protocol == "center"
    text = reports.tables_of(flags.protocol, lines, errors, known)
    results = {name: error for (name, *_), error in zip(lines, errors, strict=True)}
    facts = {
        "networks": [localizer.path for localizer in localizers],
        "classifier": [] if known else list(flags.classifier),
        "images": f"{source.name}, {flags.split}",
        "protocol": flags.protocol,
        "scales": scales,
        "flip": flags.flip,
    }
    folder = flags.out or reports.folder_of(first.run.folder, flags.split, facts)
    reports.write(
        folder, facts | {"tables": text, "results": results}, found[-1], pictures, source.classes
    )
    last = errors[-1]
    (low, high), kind = last["top5_interval"], "class known" if known else "top-5"
    print(f"\n{text}\n")
    print(
        f"{flags.split} localisation error {last['top5_error']:.2f} % ({kind}; 95 %: {low:.2f} "
        f"to {high:.2f}), n={last['n']:,}, {time.perf_counter() - start:.0f} s; {folder}"
    )


def rater_of(paths, classes):
    """The `inference.Rater` of these classification networks, which must know the classes; None
    without any.
    """
    from vgg_tf.evaluation import checkpoint
    from vgg_tf.localization import inference

    if not paths:
        return None
    networks = [checkpoint.open_trained(path) for path in paths]
    for network in networks:
        network.check_classes(classes, "the run of boxes")
    return inference.Rater(networks)


def scales_of(words, localizer):
    """Q in pixels.

    Raises:
        ValueError: no numbers, or one below the crop.
    """
    if words == "one":
        return [localizer.test_scale]
    numbers = [int(word) if word.strip().isdigit() else 0 for word in words.split(",")]
    if min(numbers) < localizer.crop:
        raise ValueError(
            f"--scales are pixels of at least the crop's {localizer.crop}, such as "
            f"{localizer.test_scale}, or one. Received: {words!r}."
        )
    return numbers
