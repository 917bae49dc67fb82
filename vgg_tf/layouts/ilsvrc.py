"""The folder of Kaggle's ILSVRC competition as a source.

Train has class folders. Validation is one folder, and a table has its classes. Test has no labels.
"""

import os
from dataclasses import dataclass, replace

import numpy as np

from vgg_tf.layouts import folders
from vgg_tf.records import annotations
from vgg_tf.records.splits import Source, Split
from vgg_tf.runtime import files

PICTURES, BOXES = "Data/CLS-LOC", "Annotations/CLS-LOC"  # below ILSVRC/


@dataclass(frozen=True)
class Layout:
    """Folders of the competition.

    Attributes:
        root: folder of the source; names of images are relative to it.
        data: the folder `ILSVRC`.
        tables: folder of the `LOC_*` tables.
    """

    root: str
    data: str
    tables: str

    def locate_pictures(self, split):
        """Return the folder of the images of a split."""
        return f"{self.data}/{PICTURES}/{split}"

    def locate_boxes(self, split):
        """Return the folder of the annotations of a split."""
        return f"{self.data}/{BOXES}/{split}"


def find_layout(root):
    """Find the competition's files in a folder.

    Args:
        root: path of the competition's folder, or of the folder `ILSVRC` in it.

    Returns:
        A `Layout`, or None if the folder is not the competition's.
    """
    for data, tables in (
        (f"{root}/ILSVRC", root),
        (root, os.path.dirname(files.make_absolute(root))),
    ):
        if files.is_folder(f"{data}/{PICTURES}"):
            return Layout(root, data, tables)
    return None


def open_competition(layout, takes):
    """Return a source of the competition's images.

    Args:
        layout: a `Layout`.
        takes: as for `folders.list_images_by_class`.

    Returns:
        A `splits.Source`.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: there is only one class, or a table lacks an image or a class.
    """
    mapping, train = f"{layout.tables}/LOC_synset_mapping.txt", layout.locate_pictures("train")
    texts = _read_texts(mapping)
    by_class, notes = folders.list_images_by_class(train, takes)
    classes = tuple(sorted(by_class))
    if unknown := [name for name in classes if takes(name) and name not in texts]:
        raise ValueError(
            f"{mapping} must name every class of {train}. Received: no line for "
            f"{', '.join(unknown[:5])}. Add these lines."
        )
    if len(classes) < 2:
        raise ValueError(
            f"{train} must have images of at least 2 classes. Received: {len(classes)}. Add class "
            "folders."
        )
    splits = {"train": _list_train(layout, classes, by_class)}
    if files.is_folder(layout.locate_pictures("val")):
        validation, more = _list_validation(layout, classes)
        splits |= {"validation": validation} if len(validation) else {}
        notes += more
    if files.is_folder(layout.locate_pictures("test")):
        notes.append("the competition's test images have no labels: left out")
    words = tuple(texts.get(name, name) for name in classes)
    return Source(layout.root, classes, splits, tuple(notes), words)


def _read_texts(path):
    """Return `{synset: description}`."""
    words = (line.partition(" ") for line in files.read_text(path).splitlines())
    return {name: text for name, _, text in words if name}


def _list_train(layout, classes, by_class):
    """Return train, with boxes from the annotations or, without annotations, from the table."""
    folder, table = layout.locate_pictures("train"), f"{layout.tables}/LOC_train_solution.csv"
    split, boxes = folders.make_split(layout.root, folder, classes, by_class), None
    if not files.is_folder(layout.locate_boxes("train")) and files.exists(table):
        solution = annotations.read_solution(table)
        boxes = [solution.get(_make_id(path)) for path in split.contents]
    return _add_boxes(split, folder, layout.locate_boxes("train"), boxes)


def _list_validation(layout, classes):
    """Return the validation split and notes about images without a class or a file."""
    folder, table = layout.locate_pictures("val"), f"{layout.tables}/LOC_val_solution.csv"
    solution, notes = annotations.read_solution(table), []
    found = folders.list_images(folder)
    notes += folders.note_others(folder)
    if lost := [path for path in found if _make_id(path) not in solution]:
        raise ValueError(
            f"{table} must name the class of every file in {folder}. Received: {len(lost)} files "
            f"without a class, first {lost[0]}. Remove these files, or download the table again."
        )
    if len(found) < len(solution):
        notes.append(
            f"{len(solution) - len(found)} of {len(solution)} validation images of the "
            "table are missing"
        )
    label_of = {name: label for label, name in enumerate(classes)}
    boxes = {path: solution[_make_id(path)] for path in found}
    kept = [path for path in found if boxes[path][0][0] in label_of]
    if len(kept) < len(found):
        notes.append(
            f"{len(found) - len(kept)} of {len(found)} validation images are of classes without "
            "training images: left out"
        )
    names, paths = folders.name_files(layout.root, folder, kept)
    labels = np.array([label_of[boxes[path][0][0]] for path in kept], np.int64)
    in_table = [boxes[path] for path in kept]
    split = Split(names, labels, paths)
    return _add_boxes(split, folder, layout.locate_boxes("val"), in_table), notes


def _make_id(path):
    """Return the ID of an image in the tables: its file name without suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def _add_boxes(split, folder, xml_folder, in_table=None):
    """Return a split with boxes.

    Args:
        split: a `splits.Split`.
        folder: folder of its images.
        xml_folder: folder of its annotations; may be missing.
        in_table: boxes from the solution table, for images without an annotation; or None.

    Returns:
        A `splits.Split`.
    """
    there = set(files.walk(xml_folder)) if files.is_folder(xml_folder) else ()
    boxes = list(in_table or [None] * len(split))
    for i, path in enumerate(split.contents):
        name = f"{os.path.splitext(path[len(folder) + 1 :])[0]}.xml"
        if name in there:
            boxes[i] = f"{xml_folder}/{name}"
    return replace(split, boxes=boxes)
