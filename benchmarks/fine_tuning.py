"""Compare fine-tuning with training from scratch and with a short Keras script, on own pictures.

    python benchmarks/fine_tuning.py caltech-25

The pictures are divided once into 70 % for training and 30 % for testing, the same share of each
class. For each seed three networks are trained: `python -m vgg_tf.train --inherit cifar10` without
other numbers, the same network and epochs from random weights, and a network as in Keras' tutorials
for as many seconds. An interrupted benchmark continues. The table has the accuracies on the test
pictures, with the 95 % interval of their mean over the seeds (Student's t).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from seeds import add_seeds, check_seeds, format_mean

from vgg_tf.data.opening import open_source
from vgg_tf.data.selection import Selection
from vgg_tf.figures.markdown import make_markdown_table

TESTED = 0.3  # of the pictures
HEADER = ["training", "seeds, %", "accuracy, 95 %", "seconds each"]


def main(arguments=None):
    """Divide the pictures, train missing networks, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="class folders")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/fine-tuning"), help="folder for the runs"
    )
    add_seeds(parser)
    flags, more = parser.parse_known_args(arguments)
    check_seeds(parser, flags)
    split = flags.out / "pictures"
    if not split.exists():
        divide(flags.data, split)
    found = {"fine-tuned": [], "from scratch": [], "Keras script": []}
    for seed in range(flags.seeds):
        tuned, scratch = (flags.out / f"{name}-{seed}" for name in ("tuned", "scratch"))
        _train(split, tuned, seed, ["--inherit", "cifar10", *more])
        recipe = json.loads((tuned / "recipe.json").read_text())["recipe"]
        _train(split, scratch, seed, [*list_flags(recipe), *more])
        found["fine-tuned"].append(_read(tuned))
        found["from scratch"].append(_read(scratch))
        found["Keras script"].append(
            _train_keras(split, flags.out / f"keras-{seed}.json", seed, found["fine-tuned"][-1][1])
        )
    print_table(found)


def divide(data, folder):
    """Make a folder of links to the pictures, with the splits train and test."""
    source = open_source(data, Selection(hold_out=TESTED))
    for split, name in (("train", "train"), ("validation", "test")):
        images = source.splits[split]
        for path, label in zip(images.contents, images.labels, strict=True):
            link = folder / name / source.classes[label] / Path(path).name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(path).resolve())


def list_flags(recipe):
    """Return the flags of a training from scratch with the network and epochs of a recipe.

    The rest is the recipe `cifar` for crops of this size, whose rate and augmentation suit random
    weights.
    """
    size, (low, high) = recipe["size"], recipe["scale"]
    flags = ["--arch", "vgg11_bn", "--recipe", "cifar", "--size", size, "--scale", f"{low},{high}"]
    flags += ["--test-scale", (low + high) // 2, "--padding", 0, "--cutout", 0, "--cache", "bytes"]
    for name in ("width", "head_width", "epochs", "batch_size"):
        flags += ["--" + name.replace("_", "-"), recipe[name]]
    return flags


def _train(split, out, seed, words):
    """Train a network if it is not trained yet."""
    words = ["--data", split, "--seed", seed, "--out", out, *words]
    subprocess.run([sys.executable, "-m", "vgg_tf.train", *map(str, words)], check=True)


def _read(run):
    """Return accuracy in % and seconds of a run."""
    report = json.loads((run / "report.json").read_text())
    return 100 - report["top1_error"], report["seconds"]


def _train_keras(split, path, seed, seconds):
    """Train as Keras' tutorials do, and return accuracy in % and seconds."""
    if path.exists():
        return tuple(json.loads(path.read_text()))
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    keras.utils.set_random_seed(seed)
    read = keras.utils.image_dataset_from_directory
    train = read(split / "train", image_size=(64, 64), batch_size=32, seed=seed)
    test = read(split / "test", image_size=(64, 64), batch_size=32, shuffle=False)
    layers = keras.layers
    model = keras.Sequential([keras.Input((64, 64, 3)), layers.Rescaling(1 / 255)])
    model.add(layers.RandomFlip("horizontal"))
    for filters in (32, 64, 128):
        model.add(layers.Conv2D(filters, 3, activation="relu"))
        model.add(layers.MaxPooling2D())
    for layer in (layers.Flatten(), layers.Dropout(0.5), layers.Dense(128, activation="relu")):
        model.add(layer)
    model.add(layers.Dense(len(train.class_names), activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        model.fit(train, shuffle=False, verbose=0)
    took = time.perf_counter() - start
    found = 100 * model.evaluate(test, verbose=0, return_dict=True)["accuracy"], took
    path.write_text(json.dumps(found))
    return found


def print_table(found):
    """Print the accuracies.

    Args:
        found: dict of names to pairs of accuracy in % and seconds, a pair for each seed.
    """
    rows = []
    for name, pairs in found.items():
        accuracies, seconds = np.array(pairs).T
        seeds = " ".join(f"{accuracy:.1f}" for accuracy in accuracies)
        rows.append([name, seeds, format_mean(accuracies), f"{seconds.mean():.0f}"])
    print("\n" + make_markdown_table(HEADER, rows))


if __name__ == "__main__":
    main()
