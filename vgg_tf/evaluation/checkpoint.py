"""Trained networks to test or to use: from a run folder, a weight file or a name.

A weight file holds less information than a run folder, so some values are defaults.
"""

import os
import sys
from dataclasses import dataclass, replace

from vgg_tf.data.selection import EVERYTHING, Selection
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper import protocols
from vgg_tf.records.collection import RECIPE_FILE
from vgg_tf.runs import run_folder
from vgg_tf.runtime import files, programs, remote
from vgg_tf.weights import hub, reading
from vgg_tf.weights.container import Weights
from vgg_tf.weights.inheritance import load_weights
from vgg_tf.weights.keras_layers import HEAD
from vgg_tf.weights.recognition import find_crop, recognize_architecture
from vgg_tf.weights.stated_input import StatedInput

EVALUATIONS = "evaluations"  # results of weight files and of run folders without write access


@dataclass(frozen=True)
class Checkpoint:
    """A network and the information that is needed to use it.

    Attributes:
        path: run folder or file, as given.
        folder: where its probabilities are stored.
        arch: name of the architecture.
        crop: side of the crops in training, in pixels.
        scale: `(S_min, S_max)` of the training, in pixels; 256 for crops of 224 where it is
            unknown.
        test_scale: Q in pixels if the recipe sets one, else 0.
        classes: class names in the order of the labels; None if unknown.
        texts: descriptions of the classes; may be empty.
        number: number of classes; 0 for a network without a head.
        least: minimum of an image's smaller side, in pixels: 32, or less if the training data are
            smaller.
        data: name or folder of the training data; None if unknown.
        selection: the classes and images of the training data that were used.
        fingerprint: checksum of the weights.
        run: the `run_folder.Run`; None for a weight file.
        weights: the `container.Weights`.
        flip: whether views are also tested flipped: as in the training of a run; True for a file.
    """

    path: str
    folder: str
    arch: str
    crop: int
    scale: tuple[int, int]
    test_scale: int
    classes: tuple[str, ...] | None
    texts: tuple[str, ...]
    number: int
    least: int
    data: str | None
    selection: Selection
    fingerprint: str
    run: run_folder.Run | None
    weights: Weights
    flip: bool = True

    @property
    def depth(self):
        """Length of a descriptor.

        It is the number of outputs of fc2, or of channels of the last feature map without a head.
        """
        layers = self.weights.layers
        last = (
            "fc2" if self.number else max(name for name in layers if name.startswith("block5_conv"))
        )
        return layers[last]["bias"].size

    @property
    def name(self):
        """Short name for titles and log lines."""
        return os.path.basename(self.path.rstrip("/")) or self.path

    def scales(self, words):
        """Return the test scales that a value of `--scales` means.

        Args:
            words: numbers separated by commas, `one` (the test scale of the recipe) or `several`
                (the three scales of section 4.2).

        Returns:
            Tuple of Q in pixels, without duplicates.

        Raises:
            ValueError: `words` is something else.
        """
        if words == "one" and self.test_scale:
            return (self.test_scale,)
        if words in ("one", "several"):
            low, high = self.scale
            crop = self.crop if self.number or self.test_scale else 224  # else S is from the paper
            return protocols.choose_scales(
                low if low == high else (low, high), crop, words == "several"
            )
        if not all(word.strip().isdigit() for word in words.split(",")):
            raise ValueError(
                "--scales must be numbers of pixels separated by commas, or one, or several. "
                f"Received: {words!r}. Try --scales 256,384,512."
            )
        return tuple(dict.fromkeys(int(word) for word in words.split(",")))

    def load(self):
        """Return the Keras model, from raw RGB to probabilities.

        A run has the precision of its training. A weight file has the precision of Keras' policy,
        which `devices.Devices.scope` sets.
        """
        return self.run.load_best() if self.run else self.build()

    def build(self):
        """Return the Keras model, built from the weights in the precision of Keras' policy."""
        width = self.weights.width
        # A seed keeps the initializers from drawing from Python's random module.
        if not self.number:
            model = build_vgg(
                self.arch, include_top=False, input_shape=(None, None, 3), width=width, seed=0
            )
            load_weights(model, self.weights, say=None)
            return model
        shape = (self.crop, self.crop, 3)
        head_width = self.weights.layers["fc1"]["kernel"].shape[-1]
        model = build_vgg(
            self.arch,
            input_shape=shape,
            classes=self.number,
            width=width,
            head_width=head_width,
            seed=0,
        )
        load_weights(model, self.weights, say=None)
        return model

    def check_classes(self, classes, where):
        """Raise a ValueError if the classes differ from those of the network.

        Args:
            classes: class names, in the order of the labels.
            where: name of the data or file that they come from, for the error message.

        Raises:
            ValueError: the names or their number differ.
        """
        if self.classes is None and len(classes) == self.number:
            return
        if self.classes != tuple(classes):
            known = f"{self.number} classes" if self.classes is None else _name_some(self.classes)
            raise ValueError(
                f"{where} must have the classes of {self.path} in the same order: {known}. "
                f"Received: {_name_some(classes)}. Choose data or class names that match."
            )


def open_checkpoint(path, headless=False, stated=StatedInput()):  # noqa: B008, immutable
    """Open a run folder, or weights in any format that `reading.read_weights` supports.

    Args:
        path: run folder, weight file or folder, or `cifar10`.
        headless: also accept networks without a head. Their `number` is 0, their crop is 32 pixels
            and their scale is 256, as in the paper.
        stated: `StatedInput`: what the user says of the input of a weight file.

    Returns:
        A `Checkpoint`.

    Raises:
        FileNotFoundError: nothing is at this path, or the run has no finished epoch.
        ValueError: it is not a VGG network, or it has no head. Or the input of a run, which is
            known, was stated.
    """
    path = str(path).rstrip("/")
    if hub.is_hub_name(path):
        found = hub.resolve(path)
        opened = open_checkpoint(found.path, headless, stated)
        name = hub.parse_name(found.name)[0].rpartition("/")[2]
        folder = os.path.join(EVALUATIONS, f"{name}-{opened.fingerprint[:8]}")
        classes = opened.classes or found.classes
        return replace(opened, path=path, folder=folder, classes=classes)
    if path not in reading.SHIPPED and files.exists(os.path.join(path, RECIPE_FILE)):
        if (run := run_folder.read_run(path)).settings.task != "classification":
            raise ValueError(
                f"{path} must be a classification run. Received: a run of box regression "
                f"({run.settings.task}). Use python -m vgg_tf.localize with it."
            )
        if stated:
            raise ValueError(
                f"--mean, --std and --channels must describe a weight file. Received: {path}, a "
                "run, which knows its input. Leave them out."
            )
        return _open_run(run, path)
    weights = reading.read_weights(path, **stated.parse())
    for note in weights.notes:
        print(f"{path}: {note}", file=sys.stderr)
    row, fingerprint = recognize_architecture(weights), weights.fingerprint()
    missing = [name for name in HEAD if name not in weights.layers]
    if missing and not headless:
        raise ValueError(
            f"{weights.source} must have a head, which gives the probabilities. Missing layers: "
            f"{', '.join(missing)}. Give weights with a head."
        )
    crop, number = (
        (32, 0)
        if missing
        else (find_crop(weights), weights.layers["predictions"]["kernel"].shape[-1])
    )
    S = weights.test_scale or (256 if missing else round(256 * crop / 224))
    return Checkpoint(
        path=path,
        folder=_choose_folder(path, fingerprint),
        arch=row.name,
        crop=crop,
        scale=(S, S),
        test_scale=weights.test_scale,
        classes=weights.classes,
        texts=(),
        number=number,
        least=32,
        data=None,
        selection=EVERYTHING,
        fingerprint=fingerprint,
        run=None,
        weights=weights,
    )


def _open_run(run, path):
    if not files.exists(run.best):
        raise FileNotFoundError(
            f"{path} must contain model.keras, which the first epoch writes. Received: a run "
            "without a finished epoch. Continue its training."
        )
    weights, collection, recipe = (
        reading.read_weights(path),
        run.read_collection(),
        run.settings.recipe,
    )
    fingerprint = weights.fingerprint()
    return Checkpoint(
        path=path,
        folder=_choose_folder(path, fingerprint),
        arch=run.settings.arch,
        crop=recipe.size,
        scale=recipe.scale,
        test_scale=recipe.test_scale,
        classes=tuple(collection.classes),
        texts=tuple(collection.texts),
        number=len(collection.classes),
        least=min(32, collection.smaller_side),
        data=run.settings.data,
        selection=run.settings.selection,
        fingerprint=fingerprint,
        run=run,
        weights=weights,
        flip=recipe.flip,
    )


def _choose_folder(path, fingerprint):
    """Return the folder for probabilities.

    It is the run folder if it is writable, which Kaggle's inputs are not. Otherwise it is a folder
    with the name and checksum of the weights.

    Args:
        path: run folder or weight file.
        fingerprint: checksum of the weights.

    Returns:
        Path of a folder, which may not exist yet.
    """
    if files.exists(os.path.join(path, RECIPE_FILE)) and (
        remote.is_remote(path) or os.access(path, os.W_OK)
    ):
        return path
    return os.path.join(
        EVALUATIONS, f"{os.path.splitext(os.path.basename(path))[0]}-{fingerprint[:8]}"
    )


def _name_some(classes):
    """Return the number of classes and the first three names, for messages."""
    number = programs.count(len(classes), "class", "classes")
    return f"{number} ({', '.join(classes[:3])}{', ...' * (len(classes) > 3)})"
