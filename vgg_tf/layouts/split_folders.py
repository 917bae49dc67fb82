"""Folders of splits: where the class folders or the labeled images of train, val and test are."""

from dataclasses import dataclass

from vgg_tf.layouts import nesting, roles
from vgg_tf.layouts.label_tables import LabelTable
from vgg_tf.layouts.trees import Folder
from vgg_tf.records.splits import SPLITS


@dataclass(frozen=True)
class Part:
    """Where the images of a split are.

    Attributes:
        folder: the folder of the class folders, or of the images that a table labels.
        table: the `LabelTable`, or None.
        unused: folders next to `folder` that are not read, such as `masks`.
    """

    folder: Folder
    table: LabelTable | None = None
    unused: tuple[Folder, ...] = ()


def find_parts(chain, named, tables):
    """Find the folders of splits.

    Args:
        chain: folders from the source to the one that has the dataset.
        named: `{split: [Folder]}`, folders by what their names stand for.
        tables: `Tables` of the source.

    Returns:
        parts: `{split: Part}` of those with class folders or a table.
        flat: list of `Folder`, those whose images have no labels.

    Raises:
        ValueError: there are two folders for a split; the message names them.
    """
    parts, flat, classes, column = {}, [], (), ""
    for split in SPLITS:
        found = {}
        for folder in named.get(split, []):
            if part := _find_part(folder, split, chain, tables, classes, column):
                found[folder.name] = part
            else:
                flat.append(folder)
        if len(found) > 1:
            names = " and ".join(f"{name}/" for name in list(found)[:20])
            raise ValueError(
                f"{chain[-1].path} must have one folder per split. Received: {names}. Keep one of "
                "them."
            )
        for part in found.values():
            parts[split] = part
            if split == "train" and _has_labels_of(part, named, chain, tables):
                return {}, list(named["train"])
            if split == "train":
                classes, column = list_classes(part), part.table.column if part.table else ""
    return parts, flat


def _find_part(folder, split, chain, tables, classes, column):
    """Return the `Part` of a folder of a split, or None if its images have no labels."""
    inside = nesting.find_inside(folder, classes)
    last = inside[-1]
    if len(last.branches) > 1 and (flat := [each for each in last.branches if each.pictures]):
        places = [*reversed(inside), *reversed(chain)]
        if parts := roles.find_parts(last):
            return _choose_part(last, parts, places, split, tables, (classes, column))
        roles.check_tables(last, flat, places, split, tables)
    if len(last.branches) > 1 or any(each.name in classes for each in last.branches):
        return Part(last)
    inside = nesting.enter_images(inside)
    images = inside[-1]
    if images.pictures and (split == "train" or classes):
        places = [*reversed(inside), *reversed(chain)]
        if table := tables.find(images, places, split, classes, column):
            return Part(images, table)
    if images is not last and (not classes and nesting.may_be_class(images, folder)):
        return Part(last)  # a single class
    return None


def _choose_part(last, parts, places, split, tables, train):
    """Return the `Part` of the images that a table labels, next to their masks and the like.

    Args:
        last: `Folder` of the images and their masks.
        parts: list of `Folder`, these folders.
        places: list of `Folder` where a table may be.
        split: split of the images.
        tables: `Tables` of the source.
        train: classes and the column of labels of train.

    Returns:
        A `Part`; or None for a split without a table whose train has one.

    Raises:
        ValueError: it is not clear which folder has the images.
    """
    folder, table, _ = roles.choose_labeled(
        last.branches, lambda each: tables.find(each, [each, *places], split, *train)
    )
    if folder:
        unused = tuple(each for each in last.branches if each is not folder)
        return Part(folder, table, unused)
    if split == "train" or not train[1]:
        roles.refuse_parts(last, parts)
    return None


def _has_labels_of(part, named, chain, tables):
    """Return whether the table of `train` also labels its siblings, which then are classes."""
    others = [
        folder
        for folder in named.get(None, [])
        if nesting.is_flat(folder) and not roles.is_target(folder) and not roles.is_neutral(folder)
    ]
    return bool(part.table) and any(
        (table := tables.find(folder, chain[::-1], "train")) and table.path == part.table.path
        for folder in others
    )


def list_classes(part):
    """Return the names of the classes of train."""
    if part.table:
        return tuple(sorted(set(part.table.labels.values())))
    return tuple(folder.name for folder in part.folder.branches)
