"""How deep the class folders are: wrapped folders, nested datasets and copies, folds."""

import os
import re
from shlex import quote

from vgg_tf.layouts.label_tables import SUFFIXES
from vgg_tf.layouts.split_words import UNLABELED, find_split
from vgg_tf.records.splits import SPLITS
from vgg_tf.runtime.programs import format_names

DEPTH = 3  # folders around a dataset, or around the class folders of a split
NO_CLASSES = frozenset("images image imgs img pictures photos data all jpg jpeg png raw".split())

# Folds and parts of a dataset, such as fold_1.
_NUMBERED = re.compile(r"(k?folds?|parts?|splits?|sets?|subsets?|batch|chunk|cv)[ _-]*\d+")


def unwrap(root):
    """Return the folders from `root` to the one that has the dataset, a list of `trees.Folder`.

    A folder is entered if it is the only one with images and has several such folders, folders of
    splits, or a table next to its folder of images.
    """
    chain = _enter(root, lambda folder: bool(find_split(folder.name)))
    last = chain[-1]
    several = len(last.branches) > 1 or any(find_split(folder.name) for folder in last.branches)
    table = any(os.path.splitext(name)[1].lower() in SUFFIXES for name in last.others)
    return chain if several or table else [root]


def find_inside(folder, classes):
    """Return the folders from that of a split to that of its class folders or images.

    Args:
        folder: `trees.Folder` of the split, such as `seg_train` or `train`.
        classes: names that are known to be classes, and so are not entered.

    Returns:
        A list of `trees.Folder`, such as `seg_train` and `seg_train/seg_train`.
    """
    return _enter(folder, lambda folder: folder.name in classes)


def _enter(folder, stops):
    chain = [folder]
    while len(chain) <= DEPTH and len(chain[-1].branches) == 1 and not chain[-1].pictures:
        (only,) = chain[-1].branches
        if stops(only) or not only.branches:
            break
        chain.append(only)
    return chain


def enter_images(chain):
    """Return a chain of `find_inside` with the folder of images that its last folder only has."""
    last = chain[-1]
    return [*chain, *last.branches] if len(last.branches) == 1 and not last.pictures else chain


def is_flat(folder):
    """Return whether a folder has images, and none of its folders has any."""
    return bool(folder.pictures) and not folder.branches


def may_be_class(folder, split_folder):
    """Return whether the only folder of a split can be a class, unlike `images`."""
    name = folder.name.lower()
    return name not in NO_CLASSES and name != split_folder.name.lower() and not find_split(name)


def find_dataset(folder):
    """Return the folder in or below this one that has a folder of train images, or None."""
    for inner in _enter(folder, lambda each: bool(find_split(each.name))):
        splits = [find_split(each.name) for each in inner.branches if each.branches]
        if "train" in splits:
            return inner
    return None


def find_skipped(folder, classes=()):
    """Find the folders that are not classes next to class folders.

    Args:
        folder: `trees.Folder` of the class folders.
        classes: names that are known to be classes.

    Returns:
        unlabeled: list of `trees.Folder` such as `unlabeled`.
        copies: list of `trees.Folder` with folders that have the names of the classes.
    """
    names = {each.name for each in folder.branches}
    others = [each for each in folder.branches if each.name not in classes]
    unlabeled = [each for each in others if find_split(each.name) == UNLABELED]
    copies = [
        each
        for each in others
        if not each.pictures
        and len(names & {inner.name for inner in each.branches} - {each.name}) > 1
    ]
    return unlabeled, copies


def check_depth(root, folder, classes):
    """Check that the folders of a dataset are classes, and not folds or copies with classes.

    Args:
        root: path of the source.
        folder: `trees.Folder` of the class folders.
        classes: list of `trees.Folder`, the class folders.

    Raises:
        ValueError: folders in different class folders have the same names; the message says what to
            do.
    """
    owners = {}
    for each in classes:
        inner = _enter(each, lambda _: False)[-1]
        splits = {find_split(below.name): below.name for below in inner.branches}
        if len(names := [splits[split] for split in SPLITS if split in splits]) > 1:
            raise ValueError(
                f"Class folders must be in folders of splits. Received: {folder.path} with splits "
                f"in its class folders: {', '.join(f'{name}/' for name in names)} in {each.name}/. "
                f"Move the images to {root}/{names[0]}/{each.name} and the like."
            )
        for below in inner.branches:
            owners.setdefault(below.name.lower(), []).append((each, inner, below.name))
    repeated = [found for found in owners.values() if len(found) > 1]
    if len(repeated) < 2:
        _check_numbers(folder, classes)
        return
    (first, inner, _), (second, *_) = repeated[0][:2]
    names = format_names([f"{found[0][2]}/" for found in repeated])
    raise ValueError(
        f"Folders in different class folders may not share several names. Received: {names} "
        f"in {first.name}/ and {second.name}/ of {folder.path}, as in folds or copies of one "
        f"dataset. If {names.split(',')[0]} is a class, give one of the folders: --data "
        f"{quote(inner.path)}. Otherwise rename these folders."
    )


def _check_numbers(folder, classes):
    """Raise a ValueError if class folders are folds or parts of a dataset by their names."""
    numbered = {}
    for each in classes:
        if found := _NUMBERED.fullmatch(each.name.lower()):
            numbered.setdefault(found[1], []).append(each)
    for found in numbered.values():
        if len(found) > 1:
            raise ValueError(
                f"{folder.path} must have class folders. Received: {join(found)}, which are "
                "folds or parts of a dataset by their names. Put all images into class "
                "folders, or give one of the folders. If they are classes, rename them, such as "
                f"class_{found[0].name.replace(' ', '_')}."
            )


def _list_inner(folder):
    """Return the folders with pictures that may be classes in a folder, a list."""
    return _enter(folder, lambda _: False)[-1].branches


def check_levels(top):
    """Check that classes are not looked for on two levels.

    Args:
        top: `trees.Folder` of the class folders, which are not in a folder of a split.

    Raises:
        ValueError: some folders have images, others only folders with images; the message names
            both.
    """
    unlabeled, copies = find_skipped(top)
    left = [each for each in top.branches if each not in unlabeled and each not in copies]
    deep = [each for each in left if not each.pictures and len(_list_inner(each)) > 1]
    flat = [each for each in left if is_flat(each)]
    if deep and flat:
        inner = _enter(deep[0], lambda _: False)[-1]
        raise ValueError(
            f"{top.path} must have class folders on one level. Received: images in "
            f"{join(flat)}, and folders of images in {join(deep)}. If the classes are those in "
            f"{deep[0].name}/, give --data {quote(inner.path)}. If each folder is a class, put all "
            "class folders into a new folder train/."
        )


def note_levels(folder, skipped):
    """Return notes about class folders that have several folders, a list of up to one str.

    Args:
        folder: `trees.Folder` of the class folders.
        skipped: paths of folders that are not classes.
    """
    deep = {
        each.name: inner
        for each in folder.branches
        if each.path not in skipped and len(inner := _list_inner(each)) > 1
    }
    texts = [
        f"{name}/ ({', '.join(each.name for each in inner[:5])}{', ...' * (len(inner) > 5)})"
        for name, inner in deep.items()
    ]
    text = "class folders have folders inside, each is read as one class: "
    return [f"{text}{format_names(texts)}"] if deep else []


def join(folders):
    """Return the names of folders, such as `a/, b/`."""
    return format_names([f"{folder.name}/" for folder in folders])
