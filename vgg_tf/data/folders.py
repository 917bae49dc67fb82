"""Pictures in folders: which files are images, and class folders as a source."""

import glob
import os

import numpy as np

from vgg_tf.records.splits import SPLIT_NAMES, SPLITS, Source, Split
from vgg_tf.runtime import files

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp"}


def find_pictures(words):
    """Return paths of pictures, each once, in the order of the words.

    Args:
        words: paths of files or folders, or patterns.

    Raises:
        FileNotFoundError: a word names no picture.
        ValueError: there are no words.
    """
    if not words:
        raise ValueError("No pictures. Give files, folders or patterns.")
    found = {}
    for word in words:
        if files.is_folder(word):
            below = [f"{word.rstrip('/')}/{name}" for name in files.walk(word)]
            there = [path for path in below if is_image(path)]
        elif files.exists(word):
            there = [word]
        else:
            there = sorted(path for path in glob.glob(word, recursive=True) if os.path.isfile(path))
        if not there:
            raise FileNotFoundError(
                f"{word} is no picture, no folder with {', '.join(sorted(IMAGE_SUFFIXES))}, and "
                "no pattern of any."
            )
        found |= dict.fromkeys(there)
    return list(found)


def is_image(path):
    """Return whether a file is an image, by its suffix."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def list_images(folder, below=""):
    """Return the names of the images below a folder, relative to it.

    Args:
        folder: path.
        below: only images in this folder below it, such as `sub/`.

    Raises:
        ValueError: a name is not UTF-8; the message names the file.
    """
    found = [f"{below}{name}" for name in files.walk(f"{folder}/{below}".rstrip("/"))]
    found = [name for name in found if is_image(name)]
    for name in found:
        # Python stores bytes that are not UTF-8 as surrogates.
        if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(
                f"the name of {os.fsencode(f'{folder}/{name}')} is no UTF-8. Rename it."
            )
    return found


def list_images_by_class(folder, takes):
    """Return the images in each class folder.

    Args:
        folder: that holds the class folders.
        takes: function of a class name: whether its images are wanted.

    Returns:
        `{class: [file below folder]}` of the class folders that hold images, `[]` for those that
        are not wanted, which are not listed; and a list with a note about folders without images.
    """
    images, empty = {}, []
    for name in files.list_names(folder):
        if name.startswith(".") or not files.is_folder(f"{folder}/{name}"):
            continue
        if not takes(name):
            images[name] = []
        elif found := list_images(folder, f"{name}/"):
            images[name] = found
        else:
            empty.append(name)
    few = ", ".join(empty[:5])
    return images, [
        f"{len(empty)} folders in {os.path.basename(folder)}/ hold no images, first {few}"
    ] if empty else []


def make_split(root, folder, classes, by_class):
    """Return the `splits.Split` of images in one folder.

    Args:
        root: of the source, to which the names are relative.
        folder: `root`, or a folder below it.
        classes: class names.
        by_class: `{class: [file below folder]}`.
    """
    below = [path for name in classes for path in by_class.get(name, [])]
    labels = [label for label, name in enumerate(classes) for _ in by_class.get(name, [])]
    names, paths = name_files(root, folder, below)
    return Split(names, np.array(labels, np.int64), paths)


def name_files(root, folder, below):
    """Return names relative to `root`, and paths, of files `below` a folder."""
    prefix = folder[len(root) :].strip("/")
    names = [f"{prefix}/{path}" if prefix else path for path in below]
    return names, [f"{folder}/{path}" for path in below]


def open_class_folders(root, takes):
    """List the images of class folders, or of `train/`, `val/` and so on with class folders.

    Args:
        root: path.
        takes: as for `list_images_by_class`.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: no images, or only one class; the message says what was expected.
    """
    found = _find_splits(root)
    images, notes = {}, []
    for split in (split for split in SPLITS if split in found):
        images[split], empty = list_images_by_class(found[split], takes)
        notes += empty
    classes = tuple(sorted(images["train"]))
    if len(classes) < 2:
        raise ValueError(
            f"{found['train']} holds images in {len(classes)} class folders; at least 2 are "
            f"needed. Expected <class>/<image> with {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    splits = {}
    for split, by_class in images.items():
        unknown = sorted(name for name in set(by_class) - set(classes) if by_class[name])
        if unknown:
            raise ValueError(
                f"{found[split]} has classes that train has not: {', '.join(unknown[:5])}."
            )
        if not by_class:
            raise ValueError(
                f"{found[split]} holds no images. Remove it, or fill it with <class>/<image>."
            )
        splits[split] = make_split(root, found[split], classes, by_class)
    return Source(root, classes, splits, tuple(notes))


def _find_splits(root):
    """Return the folder of each split; `root` itself is train where there are no such folders."""
    found = {}
    for folder in files.list_names(root):
        if (split := SPLIT_NAMES.get(folder.lower())) and files.is_folder(f"{root}/{folder}"):
            if split in found:
                raise ValueError(
                    f"{root} holds both {os.path.basename(found[split])}/ and {folder}/: keep "
                    "one of them."
                )
            found[split] = f"{root}/{folder}"
    if "train" not in found and found:
        there = ", ".join(os.path.basename(path) + "/" for path in found.values())
        raise ValueError(f"{root} has {there} but no train/.")
    return found or {"train": root}
