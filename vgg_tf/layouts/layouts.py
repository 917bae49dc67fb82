"""What a folder of pictures is: its splits, their class folders or tables, and what is left out.

Where a folder could mean two things, an error says so and what removes the doubt.
"""

import os
from dataclasses import dataclass, field, replace
from shlex import quote

from vgg_tf.layouts import label_columns, nesting, roles
from vgg_tf.layouts.label_tables import Tables
from vgg_tf.layouts.nesting import join
from vgg_tf.layouts.split_folders import Part, find_parts, list_classes
from vgg_tf.layouts.split_words import UNLABELED, find_split
from vgg_tf.layouts.trees import Folder
from vgg_tf.records.splits import SPLITS
from vgg_tf.runtime.programs import count

_AS_CLASSES = "put all class folders into a new folder train/"


@dataclass
class Layout:
    """What a folder is taken for.

    Attributes:
        root: the folder that the user gave.
        parts: `{split: Part}`; without folders of splits, train is the whole.
        skipped: paths of folders next to class folders that are not classes.
        notes: sentences for the user.
        hints: sentences for the error that there are too few classes.
    """

    root: Folder
    parts: dict[str, Part]
    skipped: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def show(self, folder):
        """Return the path of a folder for a note, relative to the source, with a slash."""
        below = folder.path[len(self.root.path) :].strip("/")
        return f"{below or os.path.basename(self.root.path)}/"

    def leave_out(self, folders, why="not used"):
        """Add notes about images that are not used."""
        for folder in folders:
            n = count(len(folder.listing.pictures), "image")
            self.notes.append(f"{n} in {self.show(folder)}: {why}")

    def leave_unlabeled(self, folders):
        """Add notes about images without labels."""
        for folder in folders:
            n = count(len(folder.listing.pictures), "image")
            self.notes.append(
                f"{n} without labels in {self.show(folder)}: left out; `predict` takes them"
            )

    def leave_loose(self, folder):
        """Add a note about images next to class folders or folders of splits."""
        if n := len(folder.pictures):
            self.notes.append(
                f"{count(n, 'image')} directly in {self.show(folder)}, outside class folders: "
                "left out"
            )


def read_layout(root):
    """Return what a folder is taken for.

    Args:
        root: `trees.Folder`.

    Returns:
        A `Layout`.

    Raises:
        ValueError: the folder could mean two things, or has splits without train; the message says
            what removes the doubt.
    """
    chain = nesting.unwrap(root)
    layout, tables, named = Layout(root, {}), Tables(), {}
    for folder in chain[-1].branches:
        named.setdefault(find_split(folder.name), []).append(folder)
    if len(chain) > 1:
        layout.notes.append(f"{layout.show(chain[-1])}: the only folder with images, so it is read")
    parts, flat = find_parts(chain, named, tables)
    if "train" in parts:
        _use_splits(layout, chain[-1], parts, flat, named)
    elif parts:
        _refuse_without_train(chain[-1], parts, flat, named.get(None, []), tables)
    else:
        _use_whole(layout, chain, flat, named, tables)
    layout.hints += dict.fromkeys(tables.near)  # without what is said twice
    classes, seen = (), set()
    for part in layout.parts.values():
        if part.table:
            _note_table(layout, part)
        else:
            _leave_out_inside(layout, part.folder, classes)
        classes = classes or list_classes(part)
    for table in (part.table for part in layout.parts.values()):
        if table and table.path not in seen:
            seen.add(table.path)
            _note_rows(layout, table)
    layout.notes += dict.fromkeys(tables.constant)
    _obey_splits(layout)
    return layout


def _obey_splits(layout):
    """Split the images of a table that has a column of splits."""
    train = layout.parts["train"]
    if not train.table or not train.table.splits:
        return
    found = {split: {} for split in SPLITS}
    for picture, label in train.table.labels.items():
        if split := train.table.splits[picture]:
            found[split][picture] = label
    found = {split: labels for split, labels in found.items() if labels}
    name = os.path.basename(train.table.path)
    if len(layout.parts) > 1 and set(found) != {"train"}:
        raise ValueError(
            f"{layout.root.path} must have folders of splits, or a table with a column of splits. "
            f"Received: {', '.join(layout.parts)} as folders, and {', '.join(found)} in {name}. "
            "Remove the column of splits from the table, or put all images into one folder."
        )
    if "train" not in found:
        raise ValueError(
            f"{train.table.path} must have rows of train in its column of splits. Received: "
            f"{', '.join(found) or 'no split'}. Write train, validation or test in this column."
        )
    if lost := len(train.table.labels) - sum(map(len, found.values())):
        layout.notes.append(f"{count(lost, 'image')} without a split in {name}: left out")
    if len(found) > 1:
        texts = [f"{len(labels):,} {split}" for split, labels in found.items()]
        layout.notes.append(f"splits from {name}: {', '.join(texts)}")
    for split, labels in found.items():
        layout.parts[split] = replace(train, table=replace(train.table, labels=labels))


def _use_splits(layout, top, parts, flat, named):
    """Take the folders of splits, and note what else there is."""
    others, train = named.get(None, []), named["train"][0]
    loose = [] if parts["train"].table else roles.list_strangers(others, parts["train"].folder)
    if len(parts) == 1 and not flat and loose:
        raise ValueError(
            f"{top.path} must have class folders or folders of splits. Received: "
            f"{train.name}/ with folders of images, and images in {join(loose)}. If "
            f"{train.name}/ is a split, give --data {quote(train.path)}. If it is a class, "
            f"{_AS_CLASSES}."
        )
    layout.parts = parts
    layout.leave_unlabeled([*flat, *named.get(UNLABELED, [])])
    layout.leave_out(others)
    layout.leave_loose(top)
    for folder in top.folders:
        if find_split(folder.name) in SPLITS and not folder.has_pictures and not folder.tool:
            layout.notes.append(f"no images in {layout.show(folder)}: left out")


def _use_whole(layout, chain, flat, named, tables):
    """Take a folder without folders of splits: a labeled folder of images, or class folders."""
    top, others = chain[-1], named.get(None, [])
    if part := _find_labeled(chain, others, tables):
        layout.parts = {"train": part}
        layout.leave_unlabeled([*flat, *named.get(UNLABELED, [])])
        if part.folder is not top:
            layout.leave_loose(top)
        return
    splits = {find_split(folder.name) for folder in flat}
    if len(splits) > 1 or (len(flat) > 1 and not others):
        near = "".join(f" {text}." for text in dict.fromkeys(tables.near))
        raise ValueError(
            f"{top.path} must have class folders, or a table of labels. Received: images directly "
            f"in {join(flat)}, which may be splits without labels, or classes.{near} If they are "
            "splits, add class folders in them, or a table train.csv with the columns image and "
            f"label. If they are classes, {_AS_CLASSES}."
        )
    if flat and not others:
        if "train" not in splits:
            parts = {find_split(flat[0].name): Part(flat[0])}
            _refuse_without_train(top, parts, [], [], tables)
        layout.parts = {"train": Part(nesting.find_inside(flat[0], ())[-1])}
        layout.leave_unlabeled(named.get(UNLABELED, []))
        return
    for folder in others:
        if dataset := nesting.find_dataset(folder):
            rest = [each for each in top.branches if each is not folder]
            raise ValueError(
                f"{top.path} must have class folders. Received: {folder.name}/, which has splits "
                f"of its own, next to {join(rest) or 'images'}. Give --data {quote(dataset.path)}."
            )
    roles.check_tables(top, top.branches, chain[::-1], "train", tables)
    if parts := roles.find_parts(top):
        roles.refuse_parts(top, parts)
    nesting.check_levels(top)
    layout.parts = {"train": Part(top)}
    layout.notes += [
        f"the column of splits in {os.path.basename(path)} is not used with class folders"
        for path in tables.with_splits
    ]


def _find_labeled(chain, others, tables):
    """Return the `Part` of the only folder of images without a split, or None without a table."""
    top, places = chain[-1], chain[::-1]
    if top.pictures and len(others) < 2 and (table := tables.find(top, places, "train")):
        return Part(top, table)
    if len(others) != 1:
        return _choose_labeled(top, others, places, tables)
    inside = nesting.enter_images(nesting.find_inside(others[0], ()))
    if not nesting.is_flat(inside[-1]):
        return None
    table = tables.find(inside[-1], [*reversed(inside), *places], "train")
    return Part(inside[-1], table) if table else None


def _choose_labeled(top, others, places, tables):
    """Return the `Part` of the only one of several folders that a table labels, or None."""

    def find(folder):
        try:
            table = tables.find_among(top, [folder], [folder, *places], "train")
        except ValueError:
            return None  # for class folders it is no table of labels
        return table if table and len(set(table.labels.values())) > 1 else None

    folder, _, total = roles.choose_labeled(others, find)
    if folder:
        unused = tuple(each for each in others if each is not folder)
        return Part(folder, tables.find(folder, [folder, *places], "train"), unused)
    if total > 1 and not all(map(nesting.is_flat, others)):
        roles.check_tables(top, others, places, "train", tables)
    return None


def _refuse_without_train(top, parts, flat, others, tables):
    """Raise the error about splits without train."""
    if train := [folder for folder in flat if find_split(folder.name) == "train"]:
        near = "".join(f" {text}." for text in dict.fromkeys(tables.near))
        raise ValueError(
            f"{train[0].path} must have at least 2 class folders with images. Received: 0. Store "
            "the images as <class>/<image>, or add a table train.csv with the columns image and "
            f"label.{near}"
        )
    there = ", ".join(f"{part.folder.path[len(top.path) :].strip('/')}/" for part in parts.values())
    hint = f" If it is a class like {join(others)}, {_AS_CLASSES}." if others else ""
    raise ValueError(
        f"{top.path} must have a train/ folder. Received: {there} without train/. Add train/ with "
        f"class folders.{hint}"
    )


def _leave_out_inside(layout, folder, classes):
    """Note folders and images next to class folders that do not belong to a class."""
    unlabeled, copies = nesting.find_skipped(folder, classes)
    layout.leave_unlabeled(unlabeled)
    layout.leave_out(copies, "folders with the names of the classes, not used")
    layout.skipped |= {each.path for each in [*unlabeled, *copies]}
    if not classes:
        layout.notes += nesting.note_levels(folder, layout.skipped)
    if folder.branches:
        layout.leave_loose(folder)


def _note_table(layout, part):
    """Note what a table and its folder do not have of each other."""
    table = part.table
    text = f"labels of {layout.show(part.folder)} from {os.path.basename(table.path)}"
    if table.column:
        text += f", column {table.column}"
    if table.unused:
        text += f" (column {table.unused} is not used)"
    if lost := len(part.folder.pictures) - len(table.labels):
        text += f"; {count(lost, 'image')} without a label: left out"
    layout.notes.append(text)
    layout.notes += label_columns.note_cases(table.labels.values())
    inside = [each for each in part.folder.branches if not find_split(each.name)]
    layout.leave_out([*inside, *part.unused])


def _note_rows(layout, table):
    """Note the rows of a table whose images are in no split."""
    tables = [part.table for part in layout.parts.values() if part.table]
    used = {row for each in tables if each.path == table.path for row in each.rows}
    if lost := table.count - len(used):
        name = os.path.basename(table.path)
        layout.notes.append(f"{count(lost, 'row')} of {name} without an image")
