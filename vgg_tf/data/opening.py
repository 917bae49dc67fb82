"""A word or a folder becomes a `splits.Source`.

TensorFlow is imported for shards only.
"""

import io
from dataclasses import replace

import numpy as np

from vgg_tf.data import folders, foreign_shards, ilsvrc, pascal_voc, tfds
from vgg_tf.data.selection import (
    EVERYTHING,
    HOLD_OUT,
    Selection,
    find_least_held_out,
    hold_out_validation,
)
from vgg_tf.records.collection import Collection, holds_shards, list_shards
from vgg_tf.records.framing import Record
from vgg_tf.records.splits import Source, Split
from vgg_tf.runtime import files


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
            images. Our own shards are taken as they were written.
        selection: which classes, how many images of each, and how many are held out; see
            `selection.Selection`.
        only: a split. Of our own shards only this one is read through and returned. A share to
            hold out is then ignored where there is a validation split.
        skip_bad: leave out, and note, pictures whose class cannot be read in their annotation.

    Raises:
        FileNotFoundError: there is no such folder, or a file that its layout needs is missing.
        ValueError: the folder holds no images, or fewer than two classes, or is to hold out what it
            holds out itself; the message says what was expected.
    """
    name = _normalize(name)
    if only and not selection and holds_shards(name):
        collection = Collection.read(name)
        paths = collection.count_images(only) and list_shards(name, collection, only)
        return foreign_shards.open_shards(name, {only: paths})
    source = selection.apply(_list_images(name, selection, skip_bad))
    if selection.labels_from and not isinstance(source.splits["train"].contents[0], Record):
        raise ValueError(
            f"{name} tells its classes, labels count from 0. Leave --labels-from "
            f"{selection.labels_from} away."
        )
    if "validation" in source.splits:
        if selection.hold_out is not None and not only:
            raise ValueError(
                f"{name} has a validation split of its own: --hold-out {selection.hold_out:g} is "
                "for those without one. Leave it away, or write the shards anew with it."
            )
        return source
    if selection.hold_out is None and holds_shards(name):
        return source  # as written
    return hold_out_validation(source, selection.held_out)


def _normalize(name):
    """Return the name of a source, without a slash at its end."""
    if not str(name):
        raise ValueError("The source has no name. Give digits, tfds:NAME or a folder.")
    if (name := str(name)) == "digits":
        return name
    name = name.rstrip("/") or "/"  # in a bucket a doubled slash is another name
    return "./digits" if name == "digits" else name  # digits/ is a path, and not the word


def _list_images(name, selection, skip_bad):
    """Return the `splits.Source` of a name, all of it; arguments as for `open_source`."""
    if name == "digits":
        return _make_digits()
    if name.startswith("tfds:"):
        return tfds.open_tfds(name.removeprefix("tfds:"), selection.labels_from)
    if holds_shards(name):
        collection = Collection.read(name)
        shards = {split: list_shards(name, collection, split) for split in collection.splits}
    else:
        shards = foreign_shards.find_shards(name) if files.is_folder(name) else {}
    if shards:
        return foreign_shards.open_shards(name, shards, selection.labels_from)
    if not files.is_folder(name):
        raise FileNotFoundError(
            f"No folder {name!r}. Give digits, tfds:NAME, a folder of class folders, of the "
            "ILSVRC competition, or of shards."
        )
    if layout := ilsvrc.find_layout(name):
        return ilsvrc.open_competition(layout, selection.takes)
    if layout := pascal_voc.find_layout(name):
        return pascal_voc.open_annotated(name, *layout, skip_bad)
    return folders.open_class_folders(name, selection.takes)


def open_tested(split, selections, own, data=None, labels_from=None):
    """List the images that trained networks are tested on.

    Of a validation split drawn from train, these are the images that all of them held out.

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
    share = find_least_held_out(selections, 0.0 if holds_shards(name) else HOLD_OUT)
    source = open_source(name, replace(first, hold_out=share), only=split)
    limits = {selection.limit_per_class for selection in (first, *selections)}
    trained_on = own in (name, files.make_absolute(name))
    if split == "validation" and source.drawn and trained_on and len(limits) > 1:
        raise ValueError(
            f"{source.name} has no validation split, and with a --limit-per-class of "
            f"{' and '.join(map(str, sorted(limits)))} others are held out: some of them were "
            "trained on. Test on --split test."
        )
    return source


def _make_digits():
    """Return scikit-learn's digits as a `splits.Source`."""
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
