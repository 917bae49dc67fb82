"""Images with Pascal VOC annotations as a source.

The class of an image is that of its objects. If there are several classes, it is the class whose
boxes have the largest total area. `voc_splits` finds the splits.
"""

import os
from dataclasses import replace
from typing import NamedTuple

from vgg_tf.layouts import folders
from vgg_tf.layouts.voc_splits import find_splits
from vgg_tf.records import annotations, stated_sizes
from vgg_tf.records.splits import SPLITS, Source
from vgg_tf.runtime import files

FOLDERS = {"images": "annotations", "jpegimages": "annotations"}  # in lower case
LISTED = 20  # lines of a list in a message or in notes


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
        skip_bad: whether to skip, with a note, images whose annotation cannot be read, or states a
            size that cannot be that of the image.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: the objects have only one class, or annotations cannot be read or do not fit
            their images; the message names up to 20 of them.
    """
    found, mixed, without, remarks, bad = {}, 0, 0, {}, []
    annotation = _match_annotations(pictures, boxes)
    splits, notes = find_splits(root, pictures, boxes, annotation)
    drawn = _read_boxes({path: annotation[path] for path in splits}, pictures, remarks, bad)
    if bad and not skip_bad:
        raise ValueError("\n  ".join(_shorten([line for _, line in bad], "and ")))
    for path, there in drawn.items():
        areas = {}
        for name, area in there.areas:
            areas[name] = areas.get(name, 0) + area
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
    notes += _shorten([f"left out: {path}: {line}" for path, line in bad], "left out: ")
    if mixed:
        notes.append(
            f"{mixed} images have objects of several classes: the class with the largest area "
            "is taken"
        )
    if without:
        notes.append(f"{without} images have no annotation, or no object in it: left out")
    notes += stated_sizes.count_remarks(remarks)
    notes += folders.note_others(pictures)
    classes, parts = tuple(sorted(found)), {}
    for split in sorted(set(splits.values()), key=SPLITS.index):
        of = {name: [path for path in found[name] if splits[path] == split] for name in classes}
        if split == "train" and not all(of.values()):
            raise ValueError(
                "Every class must have images of train with annotations. Received none of "
                f"{', '.join([name for name in classes if not of[name]][:LISTED])} in {root}. Add "
                "training images, or remove the images of these classes."
            )
        part = folders.make_split(root, pictures, classes, of)
        if len(part):
            own = [drawn[path].boxes for name in classes for path in of[name]]
            parts[split] = replace(part, boxes=own)
    return Source(root, classes, parts, tuple(notes))


def _shorten(lines, word):
    """Return the first lines of a list, and a last one with `word` and the number of the others."""
    more = [f"{word}{len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return lines[:LISTED] + more


class _Drawn(NamedTuple):
    """The boxes of one image.

    Attributes:
        areas: list of `(class name, area in square pixels)`.
        boxes: as an entry of `splits.Split.boxes`: the path of the annotation, or the boxes in
            stored pixels if they are read in another way than the annotation states; or None.
    """

    areas: list
    boxes: str | list | None


def _read_boxes(annotation, pictures, remarks, bad):
    """Read the boxes of all images, and compare the sizes in the annotations with the images.

    Args:
        annotation: `{image relative to pictures: path of its annotation, or None}`.
        pictures: folder of the images.
        remarks: dict to which the images are added whose boxes are read in another way than
            stated, as for `stated_sizes.count_remarks`.
        bad: list to which `(image, problem)` is added for annotations that cannot be read.

    Returns:
        `{image: _Drawn}`, without the bad ones.
    """
    drawn, read = {}, {}
    for path, xml in annotation.items():
        drawn[path] = _Drawn([], None)  # holds the place in the order
        try:
            if xml and (stated := annotations.read_annotation(xml)).names:
                # Without a readable header; the code that decodes the image reports the error.
                unread = stated_sizes.Header(stated.stated)
                header = stated_sizes.read_header(f"{pictures}/{path}") or unread
                read[path] = stated, stated.place(header), header
        except (ValueError, OSError) as error:
            del drawn[path]
            bad.append((path, str(error)))
    kinds = {placed.kind for _, placed, _ in read.values()}
    # The sizes of some pictures show that all boxes were drawn on the pictures as displayed.
    as_displayed = stated_sizes.TURNED in kinds and stated_sizes.STORED not in kinds
    for path, (stated, placed, header) in read.items():
        corners, kind = placed
        if as_displayed and kind == stated_sizes.UNKNOWN:
            corners, kind = stated_sizes.turn_back(corners, *header), stated_sizes.TURNED
        areas = annotations.compute_areas(corners, header.size).tolist()
        boxes = stated.path
        if kind in stated_sizes.REMARKS:
            remarks.setdefault(kind, []).append(path)
        as_stated = kind == stated_sizes.OUTSIDE and min(stated.stated) > 0
        if kind in stated_sizes.REMARKS and not as_stated:
            rows = zip(stated.names, corners.tolist(), strict=True)
            boxes = [(name, *row) for name, row in rows]
        drawn[path] = _Drawn(list(zip(stated.names, areas, strict=True)), boxes)
    return drawn


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
