"""Splits of images with Pascal VOC annotations: folders such as train/, or lists in ImageSets/."""

import os

from vgg_tf.layouts.split_words import UNLABELED, find_split
from vgg_tf.records.splits import SPLITS
from vgg_tf.runtime import files, programs

# The lists of a VOCdevkit, in lower case. Others, such as cat_train.txt, are of one class.
BOTH = "trainval"
LISTS = {"train": "train", BOTH: "train", "val": "validation", "valid": "validation"}
LISTS |= {"validation": "validation", "test": "test"}
PLACES = ("ImageSets/Main", "ImageSets")


def find_splits(root, pictures, boxes, annotation):
    """Find the split of each image.

    Args:
        root: folder of the source.
        pictures: folder of the images.
        boxes: folder of the annotations.
        annotation: `{image relative to pictures: path of its annotation, or None}`.

    Returns:
        splits: `{image: split}`, in the order of `annotation`, without images that are left out.
        notes: list of str about what is left out.

    Raises:
        ValueError: there are two meanings, such as lists and folders of splits, or no train.
    """
    listed, place, notes = _read_lists(root, annotation)
    split, where, left = _sort_by_folder({path: path for path in annotation}, pictures)
    if split is None:
        below = {path: xml[len(boxes) + 1 :] for path, xml in annotation.items() if xml}
        split, where, left = _sort_by_folder(below, boxes)
    if listed is None and split is None:
        return dict.fromkeys(annotation, "train"), []
    if listed is not None and split is not None:
        raise ValueError(
            f"{root} must have lists of splits or folders of splits. Received both: lists in "
            f"{place} and folders in {where}. Move the lists to another folder, or the images of "
            "all splits to one."
        )
    found = split if listed is None else listed
    if "train" not in found.values():
        raise ValueError(
            f"{where or place} must have images of train. Received images of: "
            f"{', '.join(sorted(set(found.values()))) or 'no split'}. Name the training images, as "
            f"{'a folder train/' if where else 'in train.txt'}."
        )
    if listed is not None:
        left = {"in no list of splits": [path for path in annotation if path not in listed]}
    notes += [
        f"{programs.count(len(paths), 'image')} {reason}: left out ({_join(paths)})"
        for reason, paths in left.items()
        if paths
    ]
    # Images without annotation have no folder of annotations. The caller counts them.
    there = {
        path: found.get(path) or (None if xml or where != boxes else "train")
        for path, xml in annotation.items()
    }
    return {path: split for path, split in there.items() if split}, notes


def _sort_by_folder(below, top):
    """Find the splits of images by the first folder of their paths.

    Args:
        below: `{image: its path, or that of its annotation, relative to top}`.
        top: folder of the paths.

    Returns:
        splits: `{image: split}`, or None if no folder stands for a split.
        where: `top`, or empty without splits.
        left: `{reason: [image that is left out]}`.

    Raises:
        ValueError: some folders stand for splits and others do not, or two stand for one.
    """
    first = {path: name.split("/")[0] if "/" in name else "" for path, name in below.items()}
    of = {name: _find_split(name) for name in sorted(set(first.values()))}
    if not set(of.values()) & set(SPLITS):
        return None, "", {}
    named = {}
    for name, split in of.items():
        named.setdefault(split, []).append(f"{name}/" if name else "files without a folder")
    twice = [names for split, names in named.items() if split in SPLITS and len(names) > 1]
    if others := named.get(None) or (twice and twice[0]):
        there = [f"{name}/" for name, split in of.items() if split in SPLITS]
        what = "two folders for one split: " if None not in named else f"{_join(there)} and "
        raise ValueError(
            f"{top} must have one folder per split, such as train/ and val/, or none. Received: "
            f"{what}{_join(others)}. Rename them, or move them to another place."
        )
    left = [path for path, name in first.items() if of[name] == UNLABELED]
    splits = {path: of[name] for path, name in first.items() if of[name] in SPLITS}
    return splits, top, {"in folders that stand for no labels": left}


def _find_split(name):
    return "train" if name.lower() == BOTH else find_split(name)


def _read_lists(root, annotation):
    """Read the lists of splits.

    Args:
        root: folder of the source.
        annotation: as for `find_splits`.

    Returns:
        splits: `{image: split}`, or None without lists.
        place: folder of the lists.
        notes: list of str about names without an image.

    Raises:
        ValueError: two lists are of one split, or have the same image.
    """
    place = next((f"{root}/{name}" for name in PLACES if _list_texts(f"{root}/{name}")), "")
    texts = _list_texts(place) if place else {}
    if not texts:
        return None, "", []
    with_train = any(word == "train" for word in texts)
    texts = {word: name for word, name in texts.items() if word != BOTH or not with_train}
    paths = _index(annotation)
    splits, source, notes = {}, {}, []
    # trainval.txt has the images of val.txt, too, so it comes last.
    for word, name in sorted(texts.items(), key=lambda text: text[0] == BOTH):
        if (other := source.setdefault(LISTS[word], name)) != name:
            raise ValueError(
                f"{place} must have one list per split. Received: {other} and {name}. Keep one."
            )
        lost = []
        for line in files.read_text(f"{place}/{name}").splitlines():
            if not (stem := line.strip()):
                continue
            path = paths.get(stem) or paths.get(stem.split()[0])
            if path is None:
                lost.append(stem)
            elif word == BOTH:
                splits.setdefault(path, "train")
            elif splits.setdefault(path, LISTS[word]) != LISTS[word]:
                raise ValueError(
                    f"The lists in {place} must have each image once. Received: {stem} in "
                    f"{source[splits[path]]} and {name}. Remove it from one of them."
                )
        if lost:
            have = programs.count(len(lost), "name", "names")
            notes.append(f"{have} in {name} without an image: left out ({_join(lost)})")
    return splits, place, notes


def _list_texts(folder):
    """Return `{word of a split: file name}` of the lists in a folder, which may not exist."""
    if not files.is_folder(folder):
        return {}
    parts = [(*os.path.splitext(name), name) for name in files.list_names(folder)]
    return {
        stem.lower(): name
        for stem, suffix, name in parts
        if suffix.lower() == ".txt" and stem.lower() in LISTS
    }


def _index(annotation):
    """Return `{name: image}` by path and by file name, with and without suffix, if unambiguous."""
    found = {}
    for path in annotation:
        stem = os.path.splitext(path)[0]
        for name in {path, stem, os.path.basename(path), os.path.basename(stem)}:
            found.setdefault(name, []).append(path)
    return {name: paths[0] for name, paths in found.items() if len(paths) == 1}


def _join(names):
    return programs.format_list(list(names)).replace("\n  ", ", ")
