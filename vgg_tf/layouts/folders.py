"""Images in folders, and class folders as a source."""

import glob
import os
import unicodedata
from collections import Counter

import numpy as np

from vgg_tf.images import formats
from vgg_tf.layouts import nesting, roles
from vgg_tf.layouts.layouts import read_layout
from vgg_tf.layouts.trees import Folder, describe_litter
from vgg_tf.records.splits import Source, Split
from vgg_tf.runtime import files
from vgg_tf.runtime.programs import count

LISTED = 20  # names in a message


def find_pictures(words):
    """Return the paths of images, without duplicates, in the order of the words.

    Args:
        words: paths of files, paths of folders, or glob patterns.

    Returns:
        A list of str.

    Raises:
        FileNotFoundError: a word matches no image; the message names it.
        ValueError: there are no words.
    """
    if not words:
        raise ValueError(
            f"Expected at least one picture. Received: {list(words)}. Give files, folders or "
            "patterns."
        )
    found = {}
    for word in words:
        passed = {}
        if files.is_folder(word):
            listing = Folder(word, top=True).listing
            there = [f"{word.rstrip('/')}/{name}" for name in listing.pictures]
            passed = listing.passed
        elif files.exists(word):
            there = [word]
        else:
            there = sorted(path for path in glob.glob(word, recursive=True) if os.path.isfile(path))
        if not there:
            raise FileNotFoundError(
                f"A picture must be a file, a folder with {', '.join(formats.FORMATS)} images, or "
                f"a pattern of files. Received: {word}. Check the path"
                f"{f'; it has {formats.describe_kinds(passed)}' if passed else ''}."
            )
        found |= dict.fromkeys(there)
    return list(found)


def list_images(folder, below=""):
    """Return the names of the images below a folder, relative to it.

    Args:
        folder: path of the folder.
        below: a subfolder such as `sub/`; only its images are listed.

    Returns:
        A list of str.

    Raises:
        ValueError: a file name is not UTF-8; the message names the file.
    """
    listing = Folder(f"{folder}/{below}".rstrip("/"), top=True).listing
    return [f"{below}{name}" for name in listing.pictures]


def list_images_by_class(folder, takes):
    """Return the images in each class folder.

    Args:
        folder: path of the folder of the class folders.
        takes: function from a class name to whether its images are selected.

    Returns:
        images: `{class: [file relative to folder]}` of the class folders with images. Folders of
            other classes are not read: their lists are empty.
        notes: a list of notes about folders without images, and about files that are not images.
    """
    top = Folder(folder, top=True)
    images, notes = _list_classes(top, takes)
    return images, notes + _note_others(top, takes, [top], where=f" in {top.name}/")


def note_others(folder):
    """Return notes about files in a folder that are not images, a list of str.

    Args:
        folder: path of a folder that was listed by `list_images`.

    Returns:
        A list of up to two str: files by kind, and what systems and tools left there.
    """
    top = Folder(folder, top=True)
    return _note_others(top, lambda _: True, [], where=f" in {top.name}/")


def _list_classes(top, takes, skipped=()):
    """Return what `list_images_by_class` does, of a `Folder`; without notes about files."""
    images, empty = {}, []
    for folder in top.folders:
        if folder.path in skipped:
            continue
        if not takes(folder.name):
            images[folder.name] = []
        elif found := folder.listing.pictures:
            images[folder.name] = [f"{folder.name}/{name}" for name in found]
        elif folder.listing.passed or not folder.listing.litter:
            empty.append(folder.name)
    more = f" and {len(empty) - LISTED} more" if len(empty) > LISTED else ""
    note = f"{count(len(empty), 'folder')} without images in {top.name}/: "
    return images, [f"{note}{', '.join(empty[:LISTED])}{more}"] * bool(empty)


def _note_others(root, takes, tops, tables=(), where=""):
    """Return notes that count the files that are not images, and what was skipped.

    Args:
        root: `Folder` of the source.
        takes: as for `list_images_by_class`.
        tops: the `Folder`s with class folders; those of other classes are not read.
        tables: paths of tables that were read.
        where: words for the notes.

    Returns:
        A list of str.
    """
    untaken = {each.path for top in tops for each in top.folders if not takes(each.name)}
    passed, litter = Counter(), Counter()
    for _, folder in root.visit(untaken):
        passed += folder.passed
        litter += folder.litter
        litter[folder.tool] += bool(folder.tool)
    passed.subtract(formats.get_suffix(path) for path in tables)
    notes = [f"not images{where}: {formats.describe_kinds(+passed)}"] * bool(+passed)
    return notes + [f"skipped{where}: {describe_litter(+litter)}"] * bool(+litter)


def make_split(root, folder, classes, by_class):
    """Return a split of the images in one folder.

    Args:
        root: folder of the source; the names are relative to it.
        folder: `root`, or a folder below it.
        classes: class names.
        by_class: `{class: [file relative to folder]}`.

    Returns:
        A `splits.Split`.
    """
    below = [path for name in classes for path in by_class.get(name, [])]
    labels = [label for label, name in enumerate(classes) for _ in by_class.get(name, [])]
    names, paths = name_files(root, folder, below)
    return Split(names, np.array(labels, np.int64), paths)


def name_files(root, folder, below):
    """Return the names, relative to `root`, and the paths of files `below` a folder."""
    prefix = folder[len(root) :].strip("/")
    names = [f"{prefix}/{path}" if prefix else path for path in below]
    return names, [f"{folder}/{path}" for path in below]


def open_class_folders(root, takes):
    """Return a source of class folders, or of images whose labels are in a table.

    Args:
        root: path of the source.
        takes: as for `list_images_by_class`.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: there are no images, only one class, or a class that train does not have; or the
            folder could mean two things.
    """
    top = Folder(root, top=True)
    layout = read_layout(top)
    notes, images = list(layout.notes), {}
    for split, part in layout.parts.items():
        if part.table:
            images[split] = _group(part.table.labels)
        else:
            images[split], empty = _list_classes(part.folder, takes, layout.skipped)
            notes += empty
            taken = [each for each in part.folder.branches if takes(each.name)]
            taken = [each for each in taken if each.path not in layout.skipped]
            nesting.check_depth(root, part.folder, taken)
            roles.check_stems(part.folder, images[split])
    folders = [part.folder for part in layout.parts.values() if not part.table]
    tables = {part.table.path for part in layout.parts.values() if part.table}
    notes += (others := _note_others(top, takes, folders, tables))
    classes = tuple(sorted(images["train"]))
    if len(classes) < 2:
        _refuse_few(layout, classes, others)
    _check_forms(layout.parts["train"], classes)
    splits = {}
    for split, by_class in images.items():
        part = layout.parts[split]
        by_class = _use_names(by_class, classes)
        unknown = sorted(name for name in set(by_class) - set(classes) if by_class[name])
        if unknown:
            where = part.table.path if part.table else part.folder.path
            raise ValueError(
                f"Every class of {where} must have images in {layout.parts['train'].folder.path}. "
                f"Received: {', '.join(unknown[:LISTED])}. Remove these class folders, or add "
                "training images."
            )
        splits[split] = make_split(root, part.folder.path, classes, by_class)
    return Source(root, classes, splits, tuple(notes))


def _check_forms(train, classes):
    """Raise a ValueError if two classes of train have one name in two forms of Unicode."""
    forms = {}
    for name in classes:
        if (other := forms.setdefault(unicodedata.normalize("NFC", name), name)) != name:
            raise ValueError(
                f"Classes of {train.folder.path} must have different names. Received: "
                f"{other!a} and {name!a}, which are one name in two forms of Unicode. "
                "Merge these classes."
            )


def _use_names(by_class, classes):
    """Return `{class: [path]}` with the names of the classes, whatever their form in Unicode."""
    forms = {unicodedata.normalize("NFC", name): name for name in classes}
    return {
        name if name in classes else forms.get(unicodedata.normalize("NFC", name), name): paths
        for name, paths in by_class.items()
    }


def _refuse_few(layout, classes, others):
    """Raise the error that train has fewer than two classes."""
    train = layout.parts["train"]
    if train.table:
        raise ValueError(
            f"{train.table.path} must have labels of at least 2 classes. Received: "
            f"{', '.join(classes) or 'none'} in the column {train.table.column or 'of labels'}. "
            "Add images of other classes, or call the column of the classes label."
        )
    found = "; ".join(layout.hints + others)
    raise ValueError(
        f"{train.folder.path} must have at least 2 class folders with images. Received: "
        f"{len(classes)}. Store the images as <class>/<image> with {', '.join(formats.FORMATS)} "
        f"files.{f' Found: {found}.' if found else ''}"
    )


def _group(labels):
    """Return `{label: [picture]}`, in the order of the pictures, of `{picture: label}`."""
    grouped = {}
    for picture in sorted(labels):
        grouped.setdefault(labels[picture], []).append(picture)
    return grouped
