"""Figures of data: the images per class and the steps of a training view."""

import os
from dataclasses import replace

import numpy as np

from vgg_tf.data import opening
from vgg_tf.figures import charts, sheets
from vgg_tf.images import decoding
from vgg_tf.images.rand_augment import OPERATIONS, draw_operations
from vgg_tf.images.rescaling import rescale
from vgg_tf.images.views import locate_view, make_train_view
from vgg_tf.runtime import files


def draw_class_counts(source):
    """Draw the number of images per class, for each split of a source.

    Args:
        source: str, as for `opening.open_source`.

    Returns:
        A matplotlib `Figure`.
    """
    opened = opening.open_source(source)
    per_class = opened.count_per_class()
    return charts.draw_counts(
        opened.classes, per_class, f"images of {os.path.basename(source.rstrip('/'))}"
    )


def draw_view_steps(picture, view, seed):
    """Draw an image after each step of a training view, and a few more views of it.

    Args:
        picture: path of the image.
        view: an `augmentation.View`.
        seed: seed of the views, an int.

    Returns:
        A matplotlib `Figure`.
    """
    contents = files.read(picture)
    whole = decoding.decode_named(contents, picture)
    steps = _list_steps(whole, view, seed)
    shown = [
        value if isinstance(value, np.ndarray) else make_train_view(contents, *value).numpy()
        for value in steps.values()
    ]
    boxes = [((), ())] * len(shown)
    return sheets.draw_contact_sheet(shown, list(steps), boxes, os.path.basename(picture), 5)


def _list_steps(whole, view, seed):
    """Return a dict from titles to pixels, or to the seed and the `View` that make them."""
    first, colored = np.array([seed, 0]), replace(view, rand_augment=0.0, cutout=0)
    plain = replace(colored, shift=0.0)
    new, corner, mirrored = (
        np.asarray(value) for value in locate_view(first, whole.shape[:2], view)
    )
    size = f"{view.crop} x {view.crop}"
    steps = {
        ("original", f"{whole.shape[1]} x {whole.shape[0]}"): whole,
        (f"rescaled, S = {new.min()}", f"{new[1]} x {new[0]}"): rescale(
            whole, int(new.min())
        ).numpy(),
        (f"cropped at {corner[1]}, {corner[0]}", size): (first, replace(plain, flip=False)),
        f"mirrored: {'yes' if mirrored else 'no'}": (first, plain),
        "colors shifted": (first, colored),
    }
    if view.rand_augment:
        names = [list(OPERATIONS)[number].replace("_", " ") for number in draw_operations(first)[0]]
        steps["RandAugment", ", ".join(names)] = first, replace(view, cutout=0)
    if view.cutout:
        steps["cutout"] = (first, view)
    while len(steps) % 5:
        steps[f"another view, {len(steps)}"] = (np.array([seed, len(steps)]), view)
    return steps
