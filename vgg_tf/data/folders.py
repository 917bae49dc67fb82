"""Images in folders, and class folders as a source."""

import glob
import os

import numpy as np

from vgg_tf.records.splits import SPLIT_NAMES, SPLITS, Source, Split
from vgg_tf.runtime import files

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp"}


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
        if files.is_folder(word):
            below = [f"{word.rstrip('/')}/{name}" for name in files.walk(word)]
            there = [path for path in below if is_image(path)]
        elif files.exists(word):
            there = [word]
        else:
            there = sorted(path for path in glob.glob(word, recursive=True) if os.path.isfile(path))
        if not there:
            raise FileNotFoundError(
                "A picture must be a file, a folder with "
                f"{', '.join(sorted(IMAGE_SUFFIXES))}, or a pattern of files. Received: {word}. "
                "Check the path."
            )
        found |= dict.fromkeys(there)
    return list(found)


def is_image(path):
    """Return whether the suffix of a path is that of an image."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


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
    found = [f"{below}{name}" for name in files.walk(f"{folder}/{below}".rstrip("/"))]
    found = [name for name in found if is_image(name)]
    for name in found:
        # Python stores bytes that are not UTF-8 as surrogates.
        if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(
                "A file name must be UTF-8. Received: "
                f"{os.fsencode(f'{folder}/{name}')}. Rename the file."
            )
    return found


def list_images_by_class(folder, takes):
    """Return the images in each class folder.

    Args:
        folder: path of the folder of the class folders.
        takes: function from a class name to whether its images are selected.

    Returns:
        images: `{class: [file relative to folder]}` of the class folders with images. Folders of
            other classes are not read: their lists are empty.
        notes: a list with a note about folders without images, or an empty list.
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
    """Return a source of class folders, which may be in folders of splits such as `train/`.

    Args:
        root: path of the source.
        takes: as for `list_images_by_class`.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: there are no images, only one class, or a class that train does not have.
    """
    found = _find_splits(root)
    images, notes = {}, []
    for split in (split for split in SPLITS if split in found):
        images[split], empty = list_images_by_class(found[split], takes)
        notes += empty
    classes = tuple(sorted(images["train"]))
    if len(classes) < 2:
        raise ValueError(
            f"{found['train']} must have at least 2 class folders with images. Received: "
            f"{len(classes)}. Store the images as <class>/<image> with "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    splits = {}
    for split, by_class in images.items():
        unknown = sorted(name for name in set(by_class) - set(classes) if by_class[name])
        if unknown:
            raise ValueError(
                f"Every class of {found[split]} must have images in {found['train']}. Received: "
                f"{', '.join(unknown[:5])}. Remove these class folders, or add training images."
            )
        if not by_class:
            raise ValueError(
                f"{found[split]} must have class folders with images. Received: none. Remove the "
                "folder, or add <class>/<image>."
            )
        splits[split] = make_split(root, found[split], classes, by_class)
    return Source(root, classes, splits, tuple(notes))


def _find_splits(root):
    """Return the folder of each split; without such folders, `root` is train."""
    found = {}
    for folder in files.list_names(root):
        if (split := SPLIT_NAMES.get(folder.lower())) and files.is_folder(f"{root}/{folder}"):
            if split in found:
                raise ValueError(
                    f"{root} must have one folder per split. Received: "
                    f"{os.path.basename(found[split])}/ and {folder}/. Keep one of them."
                )
            found[split] = f"{root}/{folder}"
    if "train" not in found and found:
        there = ", ".join(os.path.basename(path) + "/" for path in found.values())
        raise ValueError(
            f"{root} must have a train/ folder. Received: {there} without train/. Add train/ with "
            "class folders."
        )
    return found or {"train": root}
