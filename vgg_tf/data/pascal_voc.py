"""Pictures with Pascal-VOC annotations as a source.

The class of a picture is that of its objects. Of several classes it is the one that covers most of
the picture.
"""

import os
from dataclasses import replace

from vgg_tf.data import folders
from vgg_tf.records import annotations
from vgg_tf.records.splits import Source
from vgg_tf.runtime import files

FOLDERS = {"images": "annotations", "jpegimages": "annotations"}  # in lower case


def find_layout(root):
    """Return the folders of pictures and annotations in a folder; None where it has none."""
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
    """List pictures with annotations.

    Args:
        root: folder of the source, to which the names are relative.
        pictures: folder of the pictures.
        boxes: folder of the annotations.
        skip_bad: leave out, with a note, pictures whose annotation cannot be read.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: objects of only one class, or an annotation that cannot be read.
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
            f"{boxes} tells of objects of {len(found)} classes; at least 2 are needed."
        )
    if mixed:
        notes.append(
            f"{mixed} images show objects of several classes: the one that covers most is theirs"
        )
    if without:
        notes.append(f"{without} images have no annotation, or none with an object: left out")
    classes = tuple(sorted(found))
    split = folders.make_split(root, pictures, classes, found)
    boxes = [annotation[path] for name in classes for path in found[name]]
    return Source(root, classes, {"train": replace(split, boxes=boxes)}, tuple(notes))


def _match_annotations(pictures, boxes):
    """Match pictures with annotations of the same name in the same folder, else in any folder.

    Returns:
        `{picture: path of its annotation, or None}`.

    Raises:
        ValueError: there are several such annotations, or pictures; the message names them.
    """
    of_stem = {name[:-4]: f"{boxes}/{name}" for name in files.walk(boxes) if name.endswith(".xml")}
    found = {path: of_stem.get(os.path.splitext(path)[0]) for path in folders.list_images(pictures)}
    elsewhere = {}  # pictures and annotations left over, by their names alone
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
                    f"{name} is the name of several: {', '.join([*alone, *xml][:5])}. Put each "
                    f"annotation below {boxes}/ where its picture is below {pictures}/."
                )
            found[alone[0]] = xml[0]
    return found
