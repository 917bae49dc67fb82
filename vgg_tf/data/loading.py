"""Datasets of batches from any source of images.

An epoch is one finite pass. Seed, epoch and image fix the view of an image.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from vgg_tf.data.batches import Plan, finish, make_epochs
from vgg_tf.data.selection import EVERYTHING, Selection
from vgg_tf.images.augmentation import Mix, View
from vgg_tf.records.splits import Source
from vgg_tf.runtime import passes

if TYPE_CHECKING:
    import numpy.typing as npt
    import tensorflow as tf


def load_dataset(
    source: str | os.PathLike | Source,
    split: Literal["train", "validation", "test"] = "train",
    *,
    batch_size: int,
    epoch: int | None = None,
    size: int = 224,
    scale: int | tuple[int, int] | None = None,
    seed: int = 0,
    training: bool | None = None,
    steps: int | None = None,
    flip: bool = True,
    shift: float = 0.1,
    covariance: "npt.ArrayLike | None" = None,
    padding: int = 0,
    cutout: int = 0,
    rand_augment: float = 0.0,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    cache: Literal["none", "bytes", "pixels"] = "none",
    selection: Selection = EVERYTHING,
    part: tuple[int, int] = (0, 1),
) -> "tf.data.Dataset":
    """Return the images of a split as batches, for `fit`, `evaluate` or a loop.

    A pass over the dataset is one epoch. A training dataset has a new order and new views in each
    pass. Both depend only on `seed`, the epoch and the images, not on threads or devices.

    Examples:
        Batches of a training pass have images and labels:

        >>> from vgg_tf import load_dataset
        >>> batches = load_dataset("digits", batch_size=32, size=32)
        >>> len(batches)
        40
        >>> images, labels = next(iter(batches))
        >>> images.shape, images.dtype, labels.shape
        (TensorShape([32, 32, 32, 3]), tf.uint8, TensorShape([32]))

        Other passes have every image once. A mask marks the padding of the last batch:

        >>> batches = load_dataset("digits", "test", batch_size=50, size=32)
        >>> [int(sum(mask)) for images, labels, mask in batches]
        [50, 50, 50, 50, 50, 50, 50, 10]

        Train a network (the dataset is shuffled already):

            model.fit(load_dataset("digits", batch_size=32, size=32), epochs=12, shuffle=False)

    Args:
        source: where the images come from: a folder, `"digits"`, `"tfds:NAME"` or an opened
            `splits.Source`. A folder has shards, class folders, Kaggle's ILSVRC competition or
            Pascal VOC annotations; see `opening.open_source`.
        split: `"train"`, `"validation"` or `"test"`. If the source has no validation split, a share
            of train is held out; see `selection`.
        batch_size: images per batch, of all processes together.
        epoch: the only epoch to read, from 0. None: each pass over the dataset is the next epoch.
            Keras with JAX opens one more pass in the first `fit`. If each pass must have the number
            of its epoch, use `load_epochs`.
        size: side of the square views, in pixels.
        scale: smaller side of the rescaled image, in pixels. A pair `(S_min, S_max)` draws one
            scale per image in training; evaluation takes the middle. None: `size * 256 / 224`,
            rounded.
        seed: seed of the order and of the views.
        training: True for a random order and random views. False for a fixed order, which mixes
            shards, and center crops. None: True for train only.
        steps: batches in a training pass. A random part of the images is then omitted. None: all
            full batches.
        flip: whether half of the training views are mirrored left to right, at random.
        shift: standard deviation of the random RGB shift in training, as in AlexNet. 0: no shift.
        covariance: `[3, 3]` covariance of the colors for the shift, in squared gray levels. None:
            that of the shards; for image files, that of ImageNet.
        padding: pixels that a training crop may extend beyond the rescaled image. The image is
            mirrored there.
        cutout: side, in pixels, of a random square that gets the mean color of its training view.
            0: no square.
        rand_augment: magnitude, 0 to 10, of two random operations on each training view, such as
            rotation and contrast (Cubuk et al. 2020). 0: none.
        mixup: parameter of the Beta distribution by which each training image is mixed with another
            of its batch, such as 0.2 (Zhang et al. 2018). 0: none.
        cutmix: parameter of the Beta distribution of the area that stays of each training image
            where a rectangle of another is pasted, such as 1 (Yun et al. 2019). With both, each
            batch draws one. 0: none.
        cache: what stays in memory after the first pass: `"bytes"` (encoded images), `"pixels"`
            (decoded images, before any random step) or `"none"`.
        selection: a `selection.Selection` of classes, of images per class and of the share to hold
            out. With a selection, our own shards are read again at the start.
        part: `(process, processes)`, if several processes share each batch. A training pass over
            shards reads other shards in each process. A training pass over files, or from a cache,
            takes rows of the batches of a single process. Other passes take a range of the split.
            All processes have the same number of batches. Each mixes its part of a batch.

    Returns:
        A `tf.data.Dataset` of known length. Training batches are `(images, labels)`: uint8
        `[batch_size, size, size, 3]`, RGB from 0 to 255, and int32 `[batch_size]`. With `mixup` or
        `cutmix` the labels are float32 `[batch_size, 3]`: the image's label, that of the image
        mixed into it, and the share of the first, 0..1. Train on these with the loss of
        `training.cross_entropy.make_cross_entropy`, which takes both forms. Other batches
        are `(images, labels, mask)`. Their last batch is padded with black images. The mask,
        float32 `[batch_size]`, is 1 for images and 0 for padding. Each of several processes has its
        part of the rows.

    Raises:
        ValueError: the split does not exist, the split has fewer batches than `steps`, or a size is
            out of range; the message says what fits.
        FileNotFoundError: the source does not exist, or shards are missing.
    """
    one = load_epochs(
        source,
        split,
        batch_size=batch_size,
        size=size,
        scale=scale,
        seed=seed,
        training=training,
        steps=steps,
        flip=flip,
        shift=shift,
        covariance=covariance,
        padding=padding,
        cutout=cutout,
        rand_augment=rand_augment,
        mixup=mixup,
        cutmix=cutmix,
        cache=cache,
        selection=selection,
        part=part,
    )
    if epoch is not None:
        return one(epoch)
    first = one(0)
    if len(first.element_spec) == 3:  # with a mask, all passes are the same
        return first
    return finish(passes.count_passes(one, len(first)), len(first))


def load_epochs(
    source: str | os.PathLike | Source,
    split: Literal["train", "validation", "test"] = "train",
    *,
    batch_size: int,
    size: int = 224,
    scale: int | tuple[int, int] | None = None,
    seed: int = 0,
    training: bool | None = None,
    steps: int | None = None,
    flip: bool = True,
    shift: float = 0.1,
    covariance: "npt.ArrayLike | None" = None,
    padding: int = 0,
    cutout: int = 0,
    rand_augment: float = 0.0,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    cache: Literal["none", "bytes", "pixels"] = "none",
    selection: Selection = EVERYTHING,
    part: tuple[int, int] = (0, 1),
) -> "Callable[[int | tf.Tensor], tf.data.Dataset]":
    """Return a function from an epoch to its batches; all epochs share one cache.

    Use it if each pass must have the number of its epoch. The arguments are those of
    `load_dataset`, without `epoch`.

    Examples:
        >>> from vgg_tf import load_epochs
        >>> read_epoch = load_epochs("digits", batch_size=32, size=32, cache="pixels")
        >>> for epoch in range(2):
        ...     print(epoch, len(read_epoch(epoch)))
        0 40
        1 40

    Args:
        source: as for `load_dataset`.
        split: as for `load_dataset`.
        batch_size: as for `load_dataset`.
        size: as for `load_dataset`, in pixels.
        scale: as for `load_dataset`, in pixels.
        seed: as for `load_dataset`.
        training: as for `load_dataset`.
        steps: as for `load_dataset`.
        flip: as for `load_dataset`.
        shift: as for `load_dataset`.
        covariance: as for `load_dataset`, `[3, 3]`.
        padding: as for `load_dataset`, in pixels.
        cutout: as for `load_dataset`, in pixels.
        rand_augment: as for `load_dataset`.
        mixup: as for `load_dataset`.
        cutmix: as for `load_dataset`.
        cache: as for `load_dataset`.
        selection: as for `load_dataset`.
        part: as for `load_dataset`.

    Returns:
        A function of the epoch, an int or an int64 scalar tensor. It returns a `tf.data.Dataset`
        like that of `load_dataset`.

    Raises:
        ValueError: as for `load_dataset`.
        FileNotFoundError: as for `load_dataset`.
    """
    if training is None:
        training = split == "train"
    scale = scale or round(size * 256 / 224)
    # Evaluation uses only the crop and the scale: the other arguments may be out of range.
    random = (flip, shift, covariance, padding, cutout, rand_augment) if training else ()
    view = View(size, scale, *random)
    mix = Mix(mixup, cutmix) if training else Mix()
    plan = Plan(batch_size, training, steps, seed, cache, part, mix)
    return make_epochs(source, split, view, plan, selection)
