"""Locate objects (appendix A): `python -m vgg_tf.localize train|evaluate|predict`."""

import os
import sys
from dataclasses import make_dataclass

import tyro

from vgg_tf.localization.flags import COMMANDS, PROG, Predict
from vgg_tf.localization.session import train
from vgg_tf.localization.testing import evaluate, make_rater, parse_scales
from vgg_tf.runtime import command_line, files, programs, quiet
from vgg_tf.runtime.devices import choose
from vgg_tf.runtime.engines import settle


def main(arguments=None):
    """Run the command that the first word names.

    Args:
        arguments: list of words; None takes the command line.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    command_line.print_version(words)
    commands = {"train": train, "evaluate": evaluate, "predict": predict}
    if words and words[0] in commands:
        commands[words[0]](words[1:])
        return
    # Without their flags, which take a third of a second, and which COMMAND --help shows.
    plain = {name: make_dataclass(kind.__name__, ()) for name, kind in COMMANDS.items()}
    for name, kind in plain.items():
        kind.__doc__ = COMMANDS[name].__doc__.partition("Attributes:")[0]
    tyro.extras.subcommand_cli_from_dict(plain, args=words, prog=PROG)


def predict(words):
    """Predict boxes in pictures, draw them and write them.

    Args:
        words: words of the command line.

    Raises:
        ValueError: no run is given.
    """
    flags = command_line.parse_flags(Predict, words, f"{PROG} predict")
    if not flags.run:
        raise ValueError(
            f"A run is required. Received: {flags.run!r}. Give a run folder of {PROG} train."
        )
    from vgg_tf.weights.reading import check_paths

    check_paths([flags.run, *flags.classifier])
    settle(flags.strategy)
    quiet.quiet_tensorflow()

    from vgg_tf.layouts.folders import find_pictures
    from vgg_tf.localization import inference

    paths = find_pictures(flags.pictures)
    devices = choose(flags.strategy, "auto")
    with devices.scope():
        localizer = inference.Localizer(flags.run)
        rater = make_rater(flags.classifier, localizer.classes)
    _check_label(flags, localizer, rater)
    print(devices.reason, file=sys.stderr)
    files.make_folder(flags.out)
    with devices.scope():
        rows, bad = _locate(paths, localizer, rater, flags)
    files.write_json(os.path.join(flags.out, "boxes.json"), rows)
    print(f"{programs.count(len(rows), 'picture')}; {flags.out}")
    if bad:
        listed = "\n  ".join(bad)
        sys.exit(
            f"error: {len(bad)} of {programs.count(len(paths), 'picture')} could not be read:\n  "
            f"{listed}"
        )


def _check_label(flags, localizer, rater):
    """Raise a ValueError if the class of the boxes is unknown."""
    if flags.label and flags.label not in localizer.classes:
        raise ValueError(
            f"--label must be a class of {flags.run}. Received: --label {flags.label}. Choose "
            f"from: {', '.join(localizer.classes)}."
        )
    if rater is None and not flags.label and localizer.kind == "pcr":
        raise ValueError(
            f"{flags.run} predicts a box for each class, so it needs to know the class. Received: "
            "neither --classifier nor --label. Give --classifier RUN or --label CLASS."
        )


def _locate(paths, localizer, rater, flags):
    """Predict boxes in pictures, and draw them.

    Args:
        paths: paths of the pictures.
        localizer: the `inference.Localizer`.
        rater: the `inference.Rater`, or None.
        flags: `Predict`.

    Returns:
        rows: rows of boxes.json.
        bad: problems of the pictures that cannot be read.
    """
    import numpy as np
    from tqdm import tqdm

    from vgg_tf.images import decoding, rescaling
    from vgg_tf.localization import inference, reports

    rows, bad, classes = [], [], localizer.classes
    scales, named = [parse_scales(flags.scales, localizer)], rater or flags.label
    for number, path in enumerate(tqdm(paths, "locate", unit=" pictures", disable=None)):
        try:
            picture = decoding.decode_named(files.read(path), path)
            rescaling.check_proportions(*picture.shape[:2], max(scales[0]), path)
        except (ValueError, OSError) as error:
            bad.append(str(error))
            continue
        posteriors, windows = rater.rate(picture) if rater else (None, None)
        labels = [classes.index(flags.label) if flags.label else 0]
        if rater and not flags.label:
            labels = np.argsort(-posteriors, kind="stable")[: flags.top].tolist()
        found = inference.locate([localizer], scales, picture, labels, windows)
        names = classes if named else ["object"]
        rows.append(reports.make_row(path, found, names, picture.shape[1::-1]))
        stem = os.path.splitext(os.path.basename(path))[0]
        out = os.path.join(flags.out, f"{number:04d}-{stem}.png")
        reports.draw_boxes(picture, os.path.basename(path), found, names, out)
    return rows, bad


if __name__ == "__main__":
    programs.run(main)
