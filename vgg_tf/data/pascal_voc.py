"""Images with Pascal VOC annotations as a source.

The class of an image is that of its objects. If there are several classes, it is the class whose
boxes have the largest total area.
"""

import os
from dataclasses import replace

from vgg_tf.data import folders
from vgg_tf.records import annotations
from vgg_tf.records.splits import Source
from vgg_tf.runtime import files

FOLDERS = {"images": "annotations", "jpegimages": "annotations"}  # in lower case


def find_layout(root):
    """Return the folders of images and annotations in a folder, or None if it has none."""
    here = {name.lower(): f"{root}/{name}" for name in files.list_names(root)}
    for pictures, boxes in FOLDERS.items():
        if (
            pictures in here
            and boxes in here
            and any(name.endswith(".xml") for name in files.walk(here[boxes]))
        ):
            return here[pictures], here[boxes]
    return None


def open_annotated(root, pictures, boxes, skip_bad):
    """Return a source of images with annotations.

    Args:
        root: folder of the source; the names are relative to it.
        pictures: folder of the images.
        boxes: folder of the annotations.
        skip_bad: whether to skip, with a note, images whose annotation cannot be read.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: the objects have only one class, or an annotation cannot be read.
    """
    annotation = _match_annotations(pictures, boxes)
    found, mixed, without, notes = {}, 0, 0, []
    for path, xml in annotation.items():
        areas = {}
        try:
            for name, area in annotations.read_areas(xml) if xml else ():
                areas[name] = areas.get(name, 0) + area
        except ValueError as error:
            if not skip_bad:
                raise
            notes.append(f"left out: {path}: {error}")
            continue
        if not areas:
            without += 1
            continue
        mixed += len(areas) > 1
        found.setdefault(max(areas, key=areas.get), []).append(path)
    if len(found) < 2:
        raise ValueError(
            f"{boxes} must have objects of at least 2 classes. Received: {len(found)}. Add "
            "annotations of other classes."
        )
    if mixed:
        notes.append(
            f"{mixed} images have objects of several classes: the class with the largest area "
            "is taken"
        )
    if without:
        notes.append(f"{without} images have no annotation, or no object in it: left out")
    classes = tuple(sorted(found))
    split = folders.make_split(root, pictures, classes, found)
    boxes = [annotation[path] for name in classes for path in found[name]]
    return Source(root, classes, {"train": replace(split, boxes=boxes)}, tuple(notes))


def _match_annotations(pictures, boxes):
    """Match images and annotations of the same name, in the same subfolder or else in any.

    Args:
        pictures: folder of the images.
        boxes: folder of the annotations.

    Returns:
        `{image: path of its annotation, or None}`.

    Raises:
        ValueError: several images or annotations match; the message names them.
    """
    of_stem = {name[:-4]: f"{boxes}/{name}" for name in files.walk(boxes) if name.endswith(".xml")}
    found = {path: of_stem.get(os.path.splitext(path)[0]) for path in folders.list_images(pictures)}
    elsewhere = {}  # unmatched images and annotations, by name without folder
    for kind, paths in (
        (0, [path for path in found if not found[path]]),
        (1, set(of_stem.values()) - set(found.values())),
    ):
        for path in sorted(paths):
            stem = os.path.splitext(os.path.basename(path))[0]
            elsewhere.setdefault(stem, ([], []))[kind].append(path)
    for name, (alone, xml) in elsewhere.items():
        if alone and xml:
            if len(alone) + len(xml) > 2:
                raise ValueError(
                    f"One picture and one annotation may have the name {name}. Received: "
                    f"{', '.join([*alone, *xml][:5])}. Store each annotation in the subfolder of "
                    f"{boxes}/ that its picture has in {pictures}/."
                )
            found[alone[0]] = xml[0]
    return found
