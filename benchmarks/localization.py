"""Does a network trained here find the objects better than one who does not look?

    python benchmarks/localization.py FOLDER --inherit cifar10

FOLDER holds pictures with Pascal-VOC annotations. Five times, with seeds 0 to 4, a fifth of the
pictures of each class is kept to test on; a network learns boxes on the rest by `python -m
vgg_tf.localize train` (which goes on where it was interrupted) and is tested by both protocols, the
class known. Beside it stand the mean of the training pictures' largest boxes, and the whole
picture. Other flags go to the trainings.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np


def main(arguments=None):
    """Split, train, test, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("--inherit", default="cifar10")
    parser.add_argument("--out", type=Path, default=Path("runs/localization"))
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument(
        "--protocols", default="center,center --flip,dense,dense --flip", help="separated by commas"
    )
    flags, more = parser.parse_known_args(arguments)
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    from vgg_tf.data import opening
    from vgg_tf.data.writing import write
    from vgg_tf.features.protocols import merge_splits
    from vgg_tf.localization import inference, inputs

    source, *_ = merge_splits(opening.open_source(flags.folder), "none")
    every, table = source.splits["train"], []
    for seed in range(flags.splits):
        random, learn, ask = np.random.default_rng(seed), [], []
        for label in range(len(source.classes)):
            members = random.permutation(np.flatnonzero(every.labels == label))
            cut = round(0.2 * len(members))
            ask.append(members[:cut])
            learn.append(members[cut:])
        parts = {
            "train": every.take(np.sort(np.concatenate(learn))),
            "test": every.take(np.sort(np.concatenate(ask))),
        }
        shards, run = flags.out / f"shards-{seed}", flags.out / f"run-{seed}"
        write(
            source.add_note(f"split {seed}", splits=parts),
            str(shards),
            progress=False,
            skip_bad=True,
        )
        opened = opening.open_source(str(shards), only=None)
        train, test = (
            inputs.read_boxes(opened.splits[name], opened.classes) for name in ("train", "test")
        )
        row = {"n": len(test)}
        for name, box in (
            ("mean box", inference.mean_box(train)),
            ("whole picture", np.array([0.0, 0, 1, 1])),
        ):
            found = [[inference.Found(int(label), 1.0, box)] for label in test.images.labels]
            row[name] = (
                100
                - inference.errors(found, test.images.labels.tolist(), test.corners)["top1_error"]
            )
        program = [sys.executable, "-m", "vgg_tf.localize"]
        words = [
            "train",
            "--data",
            shards,
            "--inherit",
            flags.inherit,
            "--out",
            run,
            "--seed",
            seed,
            *more,
        ]
        subprocess.run([*program, *map(str, words)], check=True)
        for name in flags.protocols.split(","):
            protocol, *flip = name.split()
            out = run / f"tested-{'-'.join([protocol, *flip]).replace('--', '')}"
            words = [
                "evaluate",
                run,
                "--split",
                "test",
                "--protocol",
                protocol,
                *flip,
                "--out",
                out,
            ]
            subprocess.run([*program, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
            (errors,) = json.loads((out / "report.json").read_text())["results"].values()
            row[name] = 100 - errors["top1_error"]
        table.append(row)
        print(row, flush=True)
    names = [name for name in table[0] if name != "n"]
    print(
        "\n| boxes right (IoU > 0.5), % | "
        f"{' | '.join(f'split {i}' for i in range(len(table)))} | mean |"
    )
    print(f"| --- |{' --- |' * (len(table) + 1)}")
    for name in names:
        values = [row[name] for row in table]
        print(
            f"| {name} | {' | '.join(f'{value:.1f}' for value in values)} | {np.mean(values):.1f} |"
        )
    best = max(np.mean([row[name] for row in table]) for name in ("mean box", "whole picture"))
    for name in names[2:]:
        gain = np.mean([row[name] for row in table]) - best
        print(f"{name}: {gain:+.1f} points over the better baseline, n={table[0]['n']} a split")


if __name__ == "__main__":
    main()
