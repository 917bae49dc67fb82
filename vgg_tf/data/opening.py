"""Sources by name or folder.

TensorFlow is imported on use: only shards need it.
"""

import io
import os
from dataclasses import replace

import numpy as np

from vgg_tf.data import foreign_shards, shard_files, tfds
from vgg_tf.data.own_shards import open_own_shards
from vgg_tf.data.selection import (
    EVERYTHING,
    HOLD_OUT,
    Selection,
    find_least_held_out,
    hold_out_validation,
)
from vgg_tf.layouts import folders, ilsvrc, pascal_voc
from vgg_tf.records.collection import holds_shards
from vgg_tf.records.framing import Record
from vgg_tf.records.splits import Source, Split
from vgg_tf.runtime import files

THIRD_PARTY = "third-party shards"


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
              `annotations/` (or `Annotations/`). Splits are folders such as `train/` in them, or
              lists such as `ImageSets/Main/train.txt`.
            - A folder of shards: our own, or those of TF-Slim, Cloud TPU, TensorFlow Datasets,
              Kaggle or other writers.
        selection: a `selection.Selection` of classes, of images per class and of the share to hold
            out.
        skip_bad: whether to skip, with a note, images whose annotation cannot be read.
            `selection.skip_bad` skips unreadable images as well.
        only: name of the only split that is used, or None. A share to hold out is then ignored if
            there is a validation split.

    Returns:
        A `splits.Source`.

    Raises:
        FileNotFoundError: the folder, or a file that its layout needs, does not exist.
        NotADirectoryError: it is a file.
        ValueError: the folder has no images or fewer than two classes, or `selection` does not fit
            it.
    """
    source = _find_form(_normalize(name), selection, skip_bad or selection.skip_bad)
    return _take(_skip(source, selection), selection, only)


def _skip(source, selection):
    """Return a source without unreadable images, if the selection asks for it."""
    if not selection.skip_bad:
        return source
    from vgg_tf.data.skipping import skip_unreadable  # brings TensorFlow

    return skip_unreadable(source)


def _take(source, selection, only):
    """Return the selected images of a whole source, and hold out its validation split.

    Args:
        source: a `splits.Source` of `_find_form`.
        selection: as for `open_source`.
        only: as for `open_source`.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: `selection` does not fit the source.
    """
    own, name = source.collection is not None, source.name
    if not own or replace(selection, hold_out=None):
        source = replace(selection.apply(source), collection=None)
    if selection.labels_from and (
        own or not isinstance(source.splits["train"].contents[0], Record)
    ):
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
    if own and (selection.hold_out is None or only not in (None, "validation")):
        return source  # as written
    whole = replace(source, collection=None)
    return hold_out_validation(whole, selection.held_out, selection.hold_out_rule)


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


def _find_form(name, selection, skip_bad):
    """Return the whole source of a name. Nothing else decides what a source is.

    Args:
        name: as for `open_source`, normalized.
        selection: as for `open_source`.
        skip_bad: as for `open_source`.

    Returns:
        A `splits.Source`.

    Raises:
        FileNotFoundError: the folder does not exist.
        NotADirectoryError: it is a file.
        ValueError: the source has no records with the keys of `selection`.
    """
    layout, source = _open_form(name, selection, skip_bad)
    if selection.keys and layout != THIRD_PARTY:
        raise ValueError(
            f"--keys is only for third-party shards. Received: --keys {selection.keys} for {name}: "
            f"{layout}. Remove the flag."
        )
    return replace(source, layout=layout)


def _open_form(name, selection, skip_bad):
    """Return what a source is taken for, in words, and the source; see `_find_form`."""
    if name == "digits":
        return "scikit-learn's digits", _make_digits()
    if name.startswith("tfds:"):
        source = tfds.open_tfds(name.removeprefix("tfds:"), selection.labels_from)
        return "TensorFlow Datasets", source
    if holds_shards(name):
        return "shards of vgg_tf", open_own_shards(name)
    shards, notes = shard_files.find_shards(name)
    if shards:
        source = foreign_shards.open_shards(
            name, shards, selection.labels_from, given_keys=selection.keys
        )
        return THIRD_PARTY, replace(source, notes=(*notes, *source.notes))
    if not files.is_folder(name):
        if files.exists(name):
            raise NotADirectoryError(
                f"A source must be a folder. Received a file: {name}. Give the folder of its "
                "dataset, such as the one that has the class folders or the shards"
                f"{_suggest_folder(name)}. Unpack an archive first."
            )
        raise FileNotFoundError(
            f"No folder {name!r}. Give digits, tfds:NAME, a folder of class folders, of the ILSVRC "
            "competition, of Pascal VOC annotations, or of shards."
        )
    if layout := ilsvrc.find_layout(name):
        return "Kaggle's ILSVRC folder", ilsvrc.open_competition(layout, selection.takes)
    if layout := pascal_voc.find_layout(name):
        source = pascal_voc.open_annotated(name, *layout, skip_bad)
        return "pictures with Pascal VOC annotations", source
    try:
        source = folders.open_class_folders(name, selection.takes)
    except ValueError:
        shard_files.refuse_inside(name)
        raise
    return "class folders in splits" if len(source.splits) > 1 else "class folders", source


def _suggest_folder(path):
    """Return the folders around a file, as examples in a message."""
    around = os.path.dirname(path)
    folders = [folder for folder in (around, os.path.dirname(around)) if folder.strip("/")]
    return f": {' or '.join(folders)}" * bool(folders)


def open_tested(split, selections, own, data=None, labels_from=None, keys="", skip_bad=False):
    """Open the source that trained networks are tested on.

    If the validation split was drawn from train, it has only the images that all networks held out.
    Of another source without splits, all images are the test split.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        selections: the `Selection`s that the networks were trained on.
        own: name of the source that the first network was trained on. Without `data` it is used,
            with the selection of this network.
        data: name of another source, used whole; or None.
        labels_from: as in `Selection`, for `data`.
        keys: as in `Selection`, for `data`.
        skip_bad: as in `Selection`.

    Returns:
        A `splits.Source`.

    Raises:
        FileNotFoundError: as for `open_source`.
        ValueError: as for `open_source`, or a network may have been trained on images that another
            one held out.
    """
    selections = list(selections)
    rule = selections[0].hold_out_rule
    given = Selection(labels_from=labels_from, keys=keys, hold_out_rule=rule)
    name, first = (data, given) if data else (own, selections[0])
    first = replace(first, skip_bad=skip_bad or first.skip_bad)
    whole = _find_form(_normalize(name), first, first.skip_bad)
    # The same default as in open_source.
    default = 0.0 if whole.collection else HOLD_OUT
    whole = _skip(whole, first)
    trained_on = own in (name, files.make_absolute(name))
    if data and split == "test" and set(whole.splits) == {"train"} and not trained_on:
        note = f"no splits: all {whole.count_images('train'):,} labeled images are tested"
        splits = {"test": whole.splits["train"]}
        return whole.add_note(note, splits=splits, collection=None)
    share = find_least_held_out(selections, default)
    source = _take(whole, replace(first, hold_out=share), split)
    limits = {selection.limit_per_class for selection in (first, *selections)}
    rules = {selection.hold_out_rule for selection in selections}
    if split == "validation" and source.drawn and trained_on and len(rules) > 1:
        raise ValueError(
            f"Networks tested on a validation split drawn from train of {source.name} must have "
            f"drawn it by the same rule. Received: rules {sorted(rules)} of two versions of "
            "vgg_tf. "
            "Test on --split test."
        )
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
