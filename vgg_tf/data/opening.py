"""Sources by name or folder.

TensorFlow is imported on use: only shards need it.
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
    """Open a source and list its images.

    If a source has no validation split, the same share of each class of train is held out. These
    are always the same images. Our own shards stay as they were written.

    Args:
        name: str or path, one of:

            - `digits`: the 1,797 handwritten digits of scikit-learn, with fixed splits (360 test
              images).
            - `tfds:NAME`: a dataset of TensorFlow Datasets.
            - A folder of class folders, `<class>/**/<image>`, or of `train/`, `val/` (or `valid/`,
              `validation/`) and `test/` with class folders. Images are JPEG, PNG, GIF and BMP
              files. Hidden files are ignored, and links to folders are followed.
            - The folder of Kaggle's ILSVRC competition, with `ILSVRC/Data/CLS-LOC` and the `LOC_*`
              tables.
            - A folder with images in `images/` (or `JPEGImages/`) and Pascal VOC files in
              `annotations/` (or `Annotations/`).
            - A folder of shards: our own, or those of TF-Slim, Cloud TPU or TensorFlow Datasets.
        selection: a `selection.Selection` of classes, of images per class and of the share to hold
            out.
        skip_bad: whether to skip, with a note, images whose annotation cannot be read.
        only: name of a split, or None. Of our own shards, only this split is read and returned. A
            share to hold out is then ignored if there is a validation split.

    Returns:
        A `splits.Source`.

    Raises:
        FileNotFoundError: the folder, or a file that its layout needs, does not exist.
        ValueError: the folder has no images or fewer than two classes, or `selection` does not fit
            it.
    """
    name = _normalize(name)
    if only and not selection and holds_shards(name):
        collection = Collection.read(name)
        paths = collection.count_images(only) and list_shards(name, collection, only)
        return foreign_shards.open_shards(name, {only: paths})
    source = selection.apply(_list_images(name, selection, skip_bad))
    if selection.labels_from and not isinstance(source.splits["train"].contents[0], Record):
        raise ValueError(
            "--labels-from is only for shards without class names. Received: --labels-from "
            f"{selection.labels_from} for {name}, which has class names. Remove the flag."
        )
    if "validation" in source.splits:
        if selection.hold_out is not None and not only:
            raise ValueError(
                "--hold-out is only for sources without a validation split. Received: --hold-out "
                f"{selection.hold_out:g} for {name}, which has one. Remove the flag, or write the "
                "shards again with it."
            )
        return source
    if selection.hold_out is None and holds_shards(name):
        return source  # as written
    return hold_out_validation(source, selection.held_out)


def _normalize(name):
    """Return the name of a source without a trailing slash."""
    if not str(name):
        raise ValueError(
            f"A source must have a name. Received: {name!r}. Give digits, tfds:NAME or a folder."
        )
    if (name := str(name)) == "digits":
        return name
    name = name.rstrip("/") or "/"  # in a bucket, a double slash is another name
    return "./digits" if name == "digits" else name  # digits/ is a path


def _list_images(name, selection, skip_bad):
    """Return the whole `splits.Source` of a name; arguments as for `open_source`."""
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
            f"No folder {name!r}. Give digits, tfds:NAME, a folder of class folders, of the ILSVRC "
            "competition, of Pascal VOC annotations, or of shards."
        )
    if layout := ilsvrc.find_layout(name):
        return ilsvrc.open_competition(layout, selection.takes)
    if layout := pascal_voc.find_layout(name):
        return pascal_voc.open_annotated(name, *layout, skip_bad)
    return folders.open_class_folders(name, selection.takes)


def open_tested(split, selections, own, data=None, labels_from=None):
    """Open the source that trained networks are tested on.

    If the validation split was drawn from train, it has only the images that all networks held out.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        selections: the `Selection`s that the networks were trained on.
        own: name of the source that the first network was trained on. Without `data` it is used,
            with the selection of this network.
        data: name of another source, used whole; or None.
        labels_from: as in `Selection`, for `data`.

    Returns:
        A `splits.Source`.

    Raises:
        FileNotFoundError: as for `open_source`.
        ValueError: as for `open_source`, or a network may have been trained on images that another
            one held out.
    """
    selections = list(selections)
    name, first = (data, Selection(labels_from=labels_from)) if data else (own, selections[0])
    # The same default as in open_source.
    share = find_least_held_out(selections, 0.0 if holds_shards(name) else HOLD_OUT)
    source = open_source(name, replace(first, hold_out=share), only=split)
    limits = {selection.limit_per_class for selection in (first, *selections)}
    trained_on = own in (name, files.make_absolute(name))
    if split == "validation" and source.drawn and trained_on and len(limits) > 1:
        raise ValueError(
            f"Networks tested on a validation split drawn from train of {source.name} must have "
            "the same --limit-per-class. Received: "
            f"{' and '.join(map(str, sorted(limits)))}. Test on --split test."
        )
    return source


def _make_digits():
    """Return the digits of scikit-learn as a `splits.Source`."""
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
