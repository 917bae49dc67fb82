"""A trained network to test or to use, wherever it lies: a run folder, or a file of weights that
says no more than that.
"""

import math
import os
import sys
from dataclasses import dataclass

from vgg_tf.data.selection import EVERYTHING, Selection
from vgg_tf.models.vgg import build_vgg
from vgg_tf.paper import protocols
from vgg_tf.paper.architectures import ARCHITECTURES
from vgg_tf.records.collection import RECIPE_FILE
from vgg_tf.runs import run_folder
from vgg_tf.runtime import files, remote
from vgg_tf.weights import reading
from vgg_tf.weights.container import Weights
from vgg_tf.weights.inheritance import load_weights
from vgg_tf.weights.keras_layers import HEAD
from vgg_tf.weights.torchvision import LRN

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
            return protocols.evaluation_scales(
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
            known = f"{self.number} classes" if self.classes is None else _some(self.classes)
            raise ValueError(
                f"{self.path} knows {known}, {where} has {_some(classes)}. Give the same "
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
        return _of_run(run, path)
    weights = reading.read_weights(path)
    for note in weights.notes:
        print(f"{path}: {note}", file=sys.stderr)
    row, fingerprint = _architecture(weights), weights.fingerprint()
    missing = [name for name in HEAD if name not in weights.layers]
    if missing and not headless:
        raise ValueError(
            f"{weights.source} has no {', '.join(missing)}, and so no posteriors. Give weights "
            "with their head."
        )
    crop, number = (
        (32, 0) if missing else (_crop(weights), weights.layers["predictions"]["kernel"].shape[-1])
    )
    S = weights.test_scale or (256 if missing else round(256 * crop / 224))
    return Checkpoint(
        path=path,
        folder=_folder(path, fingerprint),
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


def _of_run(run, path):
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
        folder=_folder(path, fingerprint),
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


def _folder(path, fingerprint):
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


def _architecture(weights):
    """The row of the table that these weights belong to."""
    layers = weights.layers
    found = {name: values["kernel"].shape[0] for name, values in layers.items() if "_conv" in name}
    batch_norm = any("_bn" in name for name in layers)
    for row in ARCHITECTURES.values():
        stages = enumerate(row.kernels, 1)
        kernels = {
            f"block{b}_conv{i}": side for b, stage in stages for i, side in enumerate(stage, 1)
        }
        if kernels == found and row.batch_norm == batch_norm and row.lrn == (LRN in layers):
            break
    else:
        raise ValueError(
            f"{weights.source} is of no architecture of the table: it has {', '.join(found)}."
        )
    return row


def _crop(weights):
    """Side of the crops, from the map that fc1 reads."""
    kernel, channels = (
        weights.layers["fc1"]["kernel"],
        max(v["kernel"].shape[-1] for n, v in weights.layers.items() if "_conv" in n),
    )
    inputs = math.prod(kernel.shape[:-1])
    h, w = weights.map_sides or (math.isqrt(inputs // channels),) * 2
    if h != w or h * w * channels != inputs:
        raise ValueError(
            f"{weights.source} was trained on crops that are no squares (fc1 is "
            f"{kernel.shape}), which programs do not take. Give build_vgg their input_shape and "
            "these weights."
        )
    return 32 * h


def _some(classes):
    return f"{len(classes)} classes ({', '.join(classes[:3])}{', ...' * (len(classes) > 3)})"


def open_network_and_view(network, picture):
    """A network, its `checkpoint.Checkpoint`, and the centre crop of a picture that it sees."""
    from vgg_tf.images import decoding
    from vgg_tf.images.rescaling import center_view

    opened = open_checkpoint(network, headless=True)
    whole = decoding.decode_named(files.read(picture), picture)
    (Q,) = opened.scales("one")
    crop = opened.crop if opened.number else 224
    return opened.load(), opened, center_view(whole, crop, max(Q, crop)).numpy()


def find_label(word, opened):
    """Number of a class that is named or numbered; None for none."""
    if not word:
        return None
    if opened.classes and word in opened.classes:
        return opened.classes.index(word)
    if not word.isdigit():
        raise ValueError(
            f"{opened.path} knows no class {word!r}. It has "
            f"{', '.join(opened.classes or ['numbers alone'])}."
        )
    return int(word)
