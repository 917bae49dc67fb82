"""Where the object is (appendix A): `python -m vgg_tf.localize train|evaluate|predict`."""

import os
import sys

import numpy as np
import tyro

from vgg_tf.localization.flags import PROG, Evaluate, Predict, Train
from vgg_tf.localization.session import train
from vgg_tf.localization.testing import evaluate, make_rater, parse_scales
from vgg_tf.runtime import files, programs, quiet
from vgg_tf.runtime.devices import choose
from vgg_tf.runtime.engines import settle


def main(arguments=None):
    """Run the command that the first word names."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    commands = {"train": train, "evaluate": evaluate, "predict": predict}
    if words and words[0] in commands:
        commands[words[0]](words[1:])
        return
    tyro.extras.subcommand_cli_from_dict(
        {"train": Train, "evaluate": Evaluate, "predict": Predict}, args=words, prog=PROG
    )


def predict(words):
    """Find boxes, draw them, write them."""
    flags = tyro.cli(Predict, args=words, prog=f"{PROG} predict")
    settle(flags.strategy)
    quiet.quiet_tensorflow()

    from tqdm import tqdm

    from vgg_tf.data.folders import find_pictures
    from vgg_tf.figures import drawing, sheets
    from vgg_tf.images import decoding
    from vgg_tf.localization import inference, reports
    from vgg_tf.records import annotations

    paths = find_pictures(flags.pictures)
    devices = choose(flags.strategy, "auto")
    with devices.scope():
        localizer = inference.Localizer(flags.run)
        rater, classes = make_rater(flags.classifier, localizer.classes), localizer.classes
    if flags.label and flags.label not in classes:
        raise ValueError(
            f"{flags.run} knows no class {flags.label!r}. It has {', '.join(classes)}."
        )
    if rater is None and not flags.label and localizer.kind == "pcr":
        raise ValueError(
            "A box is of a class: give --classifier RUN, which tells what is there, or --label "
            "CLASS."
        )
    print(devices.reason, file=sys.stderr)
    rows, scales = [], [parse_scales(flags.scales, localizer)]
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
            rows.append(reports.make_row(path, found, called, picture.shape[1::-1]))
            boxes = annotations.Boxes(
                np.stack([box.corners for box in found]), [called[box.label] for box in found]
            )
            stem = os.path.splitext(os.path.basename(path))[0]
            drawn = os.path.join(flags.out, f"{number:04d}-{stem}.png")
            with programs.noting(drawn):
                drawing.save(
                    sheets.draw_contact_sheet([picture], [os.path.basename(path)], [boxes], ""),
                    drawn,
                    dpi=200,
                )
    files.write_json(os.path.join(flags.out, "boxes.json"), rows)
    print(f"{len(rows):,} pictures; {flags.out}")
    if bad:
        listed = "\n  ".join(bad)
        sys.exit(f"error: {len(bad)} of {len(paths)} pictures could not be read:\n  {listed}")


if __name__ == "__main__":
    programs.run(main)
