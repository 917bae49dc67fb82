"""Pictures for comparing exported files and for calibrating int8."""

import contextlib
from typing import NamedTuple

import numpy as np

from vgg_tf.runtime import files

CALIBRATION = 100  # number of pictures for int8, none of which is in the comparison
PHOTOGRAPHS = "two photographs of scikit-learn"


class Views(NamedTuple):
    """Views of pictures for an export.

    Attributes:
        pixels: uint8 `[n, height, width, 3]`, RGB. The network and the file are compared on them.
        where: Source of `pixels`, as text.
        learnt: uint8 `[CALIBRATION, height, width, 3]`, for the calibration of int8. They are from
            the run's train split if its data can be opened, else from --pictures. None of them is
            in `pixels`. Windows of photographs fill them up. None if nothing is calibrated.
        calibrated: Source of `learnt`, as text; empty if nothing is calibrated.
    """

    pixels: np.ndarray
    where: str
    learnt: np.ndarray | None
    calibrated: str


def choose_views(flags, opened, network, calibrate):
    """Return the views for the comparison and for the calibration of int8.

    Args:
        flags: `pictures` and `n` are used, as in `exporting.ExportFlags`.
        opened: A `checkpoint.Checkpoint`.
        network: A `source_network.Network`.
        calibrate: Whether views for the calibration are needed.

    Returns:
        `Views`.
    """
    from vgg_tf.data import opening
    from vgg_tf.images import decoding
    from vgg_tf.layouts.folders import find_pictures
    from vgg_tf.records.splits import Split

    def views(split, numbers):
        return [network.view(decoding.decode_named(split.read(i), split.names[i])) for i in numbers]

    source = compared = None
    if opened.data and (calibrate or not flags.pictures):
        with contextlib.suppress(FileNotFoundError, ValueError):  # optional: it may be gone
            source = opening.open_source(opened.data, opened.selection)
    if flags.pictures:
        paths = find_pictures((flags.pictures,))
        compared, where = Split(paths, np.zeros(len(paths), np.int64), paths), flags.pictures
    elif source:
        split = next(name for name in ("test", "validation", "train") if name in source.splits)
        compared, where = source.splits[split], f"{source.name}, {split}"
    if compared:
        chosen = _spread(range(len(compared)), flags.n)
        pixels, seen = views(compared, chosen), {_known(compared.contents[i]) for i in chosen}
    else:
        pixels, where, seen = _photographs(network, flags.n), PHOTOGRAPHS, set()
    if not calibrate:
        return Views(np.stack(pixels), where, None, "")
    train, words = (
        (source.splits["train"], f"{source.name}, train") if source else (compared, flags.pictures)
    )
    rest = (
        [i for i, content in enumerate(train.contents) if _known(content) not in seen]
        if train
        else []
    )
    learnt = views(train, _spread(rest, CALIBRATION))
    parts = {words: len(learnt), PHOTOGRAPHS: CALIBRATION - len(learnt)}
    learnt += _photographs(network, parts[PHOTOGRAPHS], seed=1)
    words = " and ".join(f"{n} views of {of}" for of, n in parts.items() if n)
    return Views(np.stack(pixels), where, np.stack(learnt), words)


def _known(content):
    """Return what identifies an image, whatever the spelling of its path."""
    return files.make_absolute(content) if isinstance(content, str) else content


def _spread(numbers, n):
    """Return up to `n` of these numbers, evenly spaced."""
    return [
        numbers[i]
        for i in np.unique(np.linspace(0, len(numbers) - 1, min(n, len(numbers))).astype(int))
    ]


def _photographs(network, n, seed=0):
    """Return `n` windows of two photographs, at several sizes; the seed selects them."""
    from sklearn.datasets import load_sample_images

    views, random = [], np.random.default_rng(seed)
    photographs = load_sample_images().images
    for i in range(n):
        photograph = photographs[i % 2]
        side = int(random.integers(min(photograph.shape[:2]) // 3, min(photograph.shape[:2]) + 1))
        top, left = (int(random.integers(0, whole - side + 1)) for whole in photograph.shape[:2])
        views.append(network.view(photograph[top : top + side, left : left + side]))
    return views
