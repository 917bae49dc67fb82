"""A trained network to test or to use, wherever it lies: a run folder, or a file of weights that
says no more than that.
"""

import os
import sys
from dataclasses import dataclass

from vgg_tf.data.selection import EVERYTHING, Selection
from vgg_tf.evaluation.recognition import find_crop, recognize_architecture
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper import protocols
from vgg_tf.records.collection import RECIPE_FILE
from vgg_tf.runs import run_folder
from vgg_tf.runtime import files, remote
from vgg_tf.weights import reading
from vgg_tf.weights.container import Weights
from vgg_tf.weights.inheritance import load_weights
from vgg_tf.weights.keras_layers import HEAD

EVALUATIONS = "evaluations"  # folder of what is known of networks that are no runs


@dataclass(frozen=True)
class Checkpoint:
    """A network and what must be known to feed it.

    Attributes:
        path: run folder or file, as given.
        folder: where its posteriors are kept.
        arch: name of the architecture.
        crop: side of the training's crop, in pixels.
        scale: `(S_min, S_max)` of the training, in pixels; 256 for crops of 224 where that is not
            known.
        test_scale: Q in pixels where the recipe has one of its own, else 0.
        classes: their names, in the order of the labels; None: not known.
        texts: the classes in words, or empty.
        number: of classes.
        least: smaller side of an image that it may be asked for, in pixels: 32, or what it was
            trained on.
        data, selection: what it was trained on; None where that is not known.
        fingerprint: of its weights.
        run: the `run_folder.Run`, or None.
        weights: the `container.Weights`.
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

    @property
    def depth(self):
        """Numbers in a descriptor: outputs of fc2, or channels of the last map of a network
        without a head.
        """
        layers = self.weights.layers
        last = (
            "fc2" if self.number else max(name for name in layers if name.startswith("block5_conv"))
        )
        return layers[last]["bias"].size

    @property
    def name(self):
        """Short name, for people."""
        return os.path.basename(self.path.rstrip("/")) or self.path

    def scales(self, words):
        """Q in pixels: numbers with commas between, `one`, what the recipe tests at, or `several`,
        the three of section 4.2.

        Raises:
            ValueError: something else.
        """
        if words == "one" and self.test_scale:
            return (self.test_scale,)
        if words in ("one", "several"):
            low, high = self.scale
            crop = self.crop if self.number or self.test_scale else 224  # else S is the paper's
            return protocols.choose_scales(
                low if low == high else (low, high), crop, words == "several"
            )
        if not all(word.strip().isdigit() for word in words.split(",")):
            raise ValueError(
                "--scales are numbers of pixels such as 256,384,512, or one, or several. "
                f"Received: {words!r}."
            )
        return tuple(dict.fromkeys(int(word) for word in words.split(",")))

    def load(self):
        """The Keras model, raw RGB to posteriors, in the precision of its training or, of a file,
        of Keras' policy.

        `devices.Devices.scope` sets that policy, for what is loaded within it.
        """
        return self.run.load_best() if self.run else self.build()

    def build(self):
        """The Keras model, built and filled in the precision of Keras' policy."""
        width = self.weights.width
        # With a seed, weights that are replaced take no number from Python's random.
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
        """Raise a ValueError where these are not the classes that the network knows."""
        if self.classes is None and len(classes) == self.number:
            return
        if self.classes != tuple(classes):
            known = f"{self.number} classes" if self.classes is None else _name_some(self.classes)
            raise ValueError(
                f"{self.path} knows {known}, {where} has {_name_some(classes)}. Give the same "
                "classes in the same order."
            )


def open_checkpoint(path, headless=False):
    """Open a run folder, or a file or folder of weights that `reading.read_weights` reads.

    Args:
        path: of it, or `cifar10`.
        headless: take networks without a head, too: their `number` is 0, their crop 32 pixels,
            their scale the paper's 256.

    Raises:
        FileNotFoundError: there is none, or a run without an epoch done.
        ValueError: no VGG network with its head; the message says what was found.
    """
    path = str(path).rstrip("/")
    if path not in reading.SHIPPED and files.exists(os.path.join(path, RECIPE_FILE)):
        if (run := run_folder.read_run(path)).settings.task != "classification":
            raise ValueError(
                f"{path} tells where an object is, not what it is: python -m vgg_tf.localize "
                "tests and uses it."
            )
        return _open_run(run, path)
    weights = reading.read_weights(path)
    for note in weights.notes:
        print(f"{path}: {note}", file=sys.stderr)
    row, fingerprint = recognize_architecture(weights), weights.fingerprint()
    missing = [name for name in HEAD if name not in weights.layers]
    if missing and not headless:
        raise ValueError(
            f"{weights.source} has no {', '.join(missing)}, and so no posteriors. Give weights "
            "with their head."
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
            f"{path} has no model.keras yet: its first epoch is not done. Continue the training."
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
    )


def _choose_folder(path, fingerprint):
    """Where posteriors are kept: in a run that can be written to, as Kaggle's inputs cannot,
    else by its name and weights.
    """
    if files.exists(os.path.join(path, RECIPE_FILE)) and (
        remote.is_remote(path) or os.access(path, os.W_OK)
    ):
        return path
    return os.path.join(
        EVALUATIONS, f"{os.path.splitext(os.path.basename(path))[0]}-{fingerprint[:8]}"
    )


def _name_some(classes):
    return f"{len(classes)} classes ({', '.join(classes[:3])}{', ...' * (len(classes) > 3)})"
