"""A word or a folder becomes a `Source`: its classes and, split by split, its images. No
TensorFlow for what lies in files.
"""

import io
from dataclasses import replace

import numpy as np

from vgg_tf.data import folders, foreign_shards, tfds
from vgg_tf.data.selection import EVERYTHING, HOLD_OUT, Selection, least_held_out
from vgg_tf.records import schema
from vgg_tf.records.collection import Collection, holds_shards, shard_paths
from vgg_tf.records.splits import Source, Split
from vgg_tf.runtime import files

HOLD_OUT_SEED = 0


def open_source(name, selection=EVERYTHING, skip_bad=False, only=None):
    """List the images of a source.

    Args:
        name: `digits`, scikit-learn's 1,797 handwritten digits (train, validation, test n=360,
            fixed); `tfds:NAME`, a set of tensorflow-datasets; or a folder:

            - of class folders `<class>/**/<image>`, itself or below `train/`, `val/`, `valid/` or
                `validation/`, `test/`; JPEG, PNG, GIF and BMP files count, hidden files do not;
                links to folders are followed;
            - of Kaggle's ILSVRC competition, with `ILSVRC/Data/CLS-LOC` and the `LOC_*` tables;
            - of pictures in `images/` with Pascal-VOC files in `annotations/` (or `JPEGImages/`,
                `Annotations/`);
            - of shards, our own or those of slim, Cloud TPU or tensorflow-datasets.

            Without a validation split a share of each class of train is held out, always the same
                images; our own shards
            are taken as they were written.
        selection: which classes, how many images of each, and how many are held out; see
            `selection.Selection`.
        only: a split; of our own shards no other one is read through then, and given. A share to
            hold out then counts where there is no validation split.
        skip_bad: leave out, and note, pictures whose class cannot be read in their annotation.

    Raises:
        FileNotFoundError: there is no such folder, or a file that its layout needs is missing.
        ValueError: the folder holds no images, or fewer than two classes, or is to hold out what it
            holds out itself; the message says what was expected.
    """
    if not str(name):
        raise ValueError("The source has no name. Give digits, tfds:NAME or a folder.")
    if (name := str(name)) != "digits":
        name = name.rstrip("/") or "/"  # in a bucket a doubled slash is another name
        name = "./digits" if name == "digits" else name  # digits/ is a path, and not the word
    if name == "digits":
        source = _digits()
    elif name.startswith("tfds:"):
        source = tfds.open_tfds(name.removeprefix("tfds:"), selection.labels_from)
    elif only and not selection and holds_shards(name):
        collection = Collection.read(name)
        paths = collection.images(only) and shard_paths(name, collection, only)
        return foreign_shards.open_shards(name, {only: paths})
    elif shards := _shards(name):
        source = foreign_shards.open_shards(name, shards, selection.labels_from)
    else:
        source = folders.open_folder(name, selection.takes, skip_bad)
    source = selection.of(source)
    if selection.labels_from and not isinstance(source.splits["train"].contents[0], schema.Record):
        raise ValueError(
            f"{name} tells its classes, labels count from 0. Leave --labels-from "
            f"{selection.labels_from} away."
        )
    if "validation" in source.splits and selection.hold_out is not None and not only:
        raise ValueError(
            f"{name} has a validation split of its own: --hold-out {selection.hold_out:g} is "
            "for those without one. Leave it away, or write the shards anew with it."
        )
    as_written = selection.hold_out is None and holds_shards(name)
    return (
        source
        if "validation" in source.splits or as_written
        else _hold_out(source, selection.held_out)
    )


def open_tested(split, selections, own, data=None, labels_from=None):
    """List the images that trained networks are tested on; of a validation split drawn from train,
    what all of them held out.

    Args:
        split: train, validation or test.
        selections: the `Selection` that each network was trained on.
        own: the source of the first one's training, taken by its selection where there is no
            `data`.
        data: another source, all of it.
        labels_from: as in `Selection`, of `data`.

    Raises:
        FileNotFoundError, ValueError: as `open_source`; or what one held out another may have
            learned from.
    """
    selections = list(selections)
    name, first = (data, Selection(labels_from=labels_from)) if data else (own, selections[0])
    # As open_source has it.
    share = least_held_out(selections, 0.0 if holds_shards(name) else HOLD_OUT)
    source = open_source(name, replace(first, hold_out=share), only=split)
    limits = {selection.limit_per_class for selection in (first, *selections)}
    trained_on = own in (name, files.absolute(name))
    if split == "validation" and source.drawn and trained_on and len(limits) > 1:
        raise ValueError(
            f"{source.name} has no validation split, and with a --limit-per-class of "
            f"{' and '.join(map(str, sorted(limits)))} others are held out: some of them were "
            "trained on. Test on --split test."
        )
    return source


def _shards(folder):
    if holds_shards(folder):
        collection = Collection.read(folder)
        return {split: shard_paths(folder, collection, split) for split in collection.splits}
    if not files.is_folder(folder):
        return {}
    return foreign_shards.shards_in(folder)


def _digits():
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    contents = []
    for picture in digits.images:  # float [8, 8], 0..16
        file = io.BytesIO()
        Image.fromarray(np.round(picture * (255 / 16)).astype(np.uint8)).convert("RGB").save(
            file, "png"
        )
        contents.append(file.getvalue())
    names = [f"{label}/{i:04d}.png" for i, label in enumerate(digits.target)]
    every = Split(names, digits.target.astype(np.int64), contents)
    train, test = train_test_split(
        np.arange(len(every)), test_size=360, stratify=every.labels, random_state=0
    )
    return Source(
        "digits",
        tuple("0123456789"),
        {"train": every.take(np.sort(train)), "test": every.take(np.sort(test))},
    )


def _hold_out(source, share):
    if not share:
        return source.noting("no validation split, and nothing held out")
    train = source.splits["train"]
    random = np.random.default_rng(HOLD_OUT_SEED)
    held = []
    for label in range(len(source.classes)):
        members = np.flatnonzero(train.labels == label)
        # The last picture of a class stays in train.
        n = min(max(1, round(share * len(members))), len(members) - 1)
        held.extend(random.permutation(members)[: max(n, 0)])
    if not held:
        return source.noting(
            "one image a class: nothing can be held out for validation, training goes on without"
        )
    keep = np.setdiff1d(np.arange(len(train)), held)
    note = (
        f"no validation split: {len(held)} of {len(train)} training images held out, the "
        "same share of each class"
    )
    splits = {"train": train.take(keep), "validation": train.take(np.sort(held))}
    return source.noting(note, splits={**source.splits, **splits}, drawn=True)
