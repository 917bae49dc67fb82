"""Folders that are parts of a dataset rather than classes, such as `images` and `masks`."""

import os
import re
from shlex import quote

from vgg_tf.layouts import nesting
from vgg_tf.layouts.label_tables import LEAST

# Folders of what is predicted for each picture, rather than pictures to classify.
_TARGETS = frozenset(
    "annotation annotations annots label labels mask masks segmentation segmentations seg trimap "
    "trimaps bbox bboxes boxes gt groundtruth ground truth target targets depth edges hr lr "
    "manual heatmap heatmaps".split()
)
_PARTS = (
    nesting.NO_CLASSES
    | _TARGETS
    | frozenset(
        "part parts batch batches chunk chunks jpegimages thumbs thumbnails input inputs output "
        "outputs original originals rgb".split()
    )
)
_FORMATS = frozenset("png jpg jpeg images image".split())
# Folders next to a dataset whose pictures belong to no class.
_NEUTRAL = frozenset(
    "extra extras all raw unlabeled unlabelled sample samples example examples docs doc assets "
    "figures figure fig figs screenshots screenshot plots plot readme media more other others misc "
    "papers paper preview previews demo images imgs pictures photos data".split()
)
MOST = 8  # more flat folders are classes; a large table takes seconds for each
# Stems of masks next to their images.
_MASK = re.compile(
    r"(.+?)[ _.-]+(masks?|seg|segmentation|gt|groundtruth|ground[ _-]truth|labels?|trimap)"
    r"([ _-]?\d+)?"
)


def _list_words(folder):
    return re.findall(r"[a-z]+", re.sub(r"\d+(st|nd|rd|th)?", " ", folder.name.lower()))


def is_target(folder):
    """Return whether a folder's name is that of masks and the like."""
    words = set(_list_words(folder)) - _FORMATS
    return bool(words) and words <= _TARGETS


def is_neutral(folder):
    """Return whether a folder's name is that of pictures that belong to no class."""
    words = _list_words(folder)
    return bool(words) and _NEUTRAL.issuperset(words)


def _is_aside(folder):
    """Return whether a folder is neutral, and not one where the images of a dataset may be."""
    return is_neutral(folder) and nesting.NO_CLASSES.isdisjoint(_list_words(folder))


def list_strangers(folders, train):
    """Return the folders that may be classes next to `train`, the `Folder` of its class folders.

    Folders such as `docs`, and those with several folders named as train's, are no classes.
    """
    classes = _list_names(train)
    return [
        each
        for each in folders
        if not is_neutral(each)
        and not any(len(classes & _list_names(inner)) > 1 for _, inner in each.visit())
    ]


def _list_names(folder):
    return {each.name.lower() for each in folder.branches}


def check_stems(top, images):
    """Check that class folders do not have each image with its mask.

    Args:
        top: `trees.Folder` of the class folders.
        images: `{class: [path]}`.

    Raises:
        ValueError: at least half of the images of a class recur as `<stem>_mask` or the like.
    """
    for paths in images.values():
        stems = {os.path.splitext(path)[0].lower() for path in paths}
        masks = {stem: found for stem in stems if (found := _MASK.fullmatch(stem))}
        whole = stems - masks.keys()
        recurring = {found[1] for found in masks.values()} & whole
        if masks and 2 * len(recurring) >= len(whole) > 0:
            mask = min(path for path in paths if os.path.splitext(path)[0].lower() in masks)
            raise ValueError(
                f"{top.path} must have images to classify, without their masks. Received: "
                f"{len(masks)} of {len(stems)} images in {paths[0].partition('/')[0]}/ are masks "
                f"by their names, such as {mask}. Move the masks out of {top.path}."
            )


def find_parts(folder):
    """Return folders that are parts of a dataset rather than classes, such as `images` and `masks`.

    Args:
        folder: `trees.Folder` of the class folders.

    Returns:
        A list of `trees.Folder`: two or more with such names, or one of masks and the like, and
        the flat folders whose files have the same stems; or empty.
    """
    parts = [
        each
        for each in folder.branches
        if (words := _list_words(each)) and _PARTS.issuperset(words)
    ]
    if len(parts) > 1:
        return parts
    flat = [each for each in folder.branches if nesting.is_flat(each)]
    for target in filter(is_target, flat):
        stems = _list_stems(target)
        if same := [each for each in flat if each is not target and _list_stems(each) == stems]:
            return sorted([target, *same], key=lambda each: each.name)
    return []


def _list_stems(folder):
    return {os.path.splitext(name)[0].lower() for name in folder.pictures}


def choose_labeled(branches, find):
    """Return the only flat folder whose images a table labels.

    Args:
        branches: list of `trees.Folder`.
        find: function from a folder to its `LabelTable` or None.

    Returns:
        folder: `trees.Folder`, or None if no or several folders have a table. Folders of masks, and
            then folders such as `docs`, count only if there are no others.
        table: `LabelTable`, or None.
        found: number of folders with a table.
    """
    flat = [each for each in branches if nesting.is_flat(each)]
    if len(flat) > MOST:
        return None, None, 0
    found = [(each, table) for each in flat if (table := find(each))]
    total = len(found)
    for aside in (is_target, _is_aside):
        if len(found) > 1 and (rest := [item for item in found if not aside(item[0])]):
            found = rest
    return (*found[0], total) if len(found) == 1 else (None, None, total)


def refuse_parts(top, parts):
    """Raise the error that folders are parts of a dataset or classes."""
    names = nesting.join(parts)
    raise ValueError(
        f"{top.path} must have class folders, or a table of labels. Received: {names}, "
        "which may be parts of one dataset, or classes. If the labels are in a table, put all "
        "images into one folder next to it. If they are classes, rename these folders, such as "
        f"{quote(parts[0].name + '_class')}."
    )


def check_tables(top, folders, places, split, tables):
    """Check that no table groups the images of class folders differently.

    Args:
        top: `trees.Folder` of the class folders.
        folders: list of `trees.Folder`, the class folders.
        places: list of `trees.Folder` where a table may be.
        split: split of the images.
        tables: `Tables` of the source.

    Raises:
        ValueError: a table has other labels; the message names it.
    """
    flat = [each for each in folders if nesting.is_flat(each)]
    for group in (flat[:1], flat) if len(flat) > 1 else (flat,):
        try:
            table = tables.find_among(top, group, places, split)
        except ValueError:
            continue  # it has no clear labels, unlike the folders
        if not table:
            continue
        pairs = {}
        for picture, label in table.labels.items():
            counts = pairs.setdefault(picture.partition("/")[0], {})
            counts[label] = counts.get(label, 0) + 1
        largest = {name: max(counts, key=counts.get) for name, counts in pairs.items()}
        pure = sum(counts[largest[name]] for name, counts in pairs.items())
        if pure < LEAST * len(table.labels) or len(set(largest.values())) < len(largest):
            n = len(set(table.labels.values()))
            where = f"{group[0].name}/" if len(group) == 1 else top.path
            raise ValueError(
                f"{top.path} must have its labels in class folders or in a table. Received: "
                f"{nesting.join(folders)}, and {table.path} with {n} labels for the images in "
                f"{where}. If the folders are classes, move the table out of "
                f"{os.path.dirname(table.path)}. If the table is right, put all images into one "
                "folder."
            )
