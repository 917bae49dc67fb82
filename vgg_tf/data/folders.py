"""Pictures in folders: class folders, the Kaggle ILSVRC layout, and pictures with Pascal-VOC
annotations beside them.
"""

import glob
import os
from dataclasses import replace

import numpy as np

from vgg_tf.records import annotations
from vgg_tf.records.splits import SPLIT_NAMES, SPLITS, Source, Split
from vgg_tf.runtime import files

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp"}
ILSVRC = "Data/CLS-LOC"  # below ILSVRC/
VOC_FOLDERS = {"images": "annotations", "jpegimages": "annotations"}  # in lower case


def open_folder(root, takes, skip_bad=False):
    """List the images of a folder, in whichever of the three layouts it has.

    Args:
        root: path of the folder.
        takes: tells of a class name whether its images are wanted; other class folders are not even
            listed.
        skip_bad: leave pictures out, with a note, whose annotation cannot be read and would tell
            their class.

    Raises:
        FileNotFoundError: there is no such folder, or a file that its layout needs is missing.
        ValueError: the folder holds no images, or only one class; the message says what was
            expected.
    """
    root = str(root)
    if not files.is_folder(root):
        raise FileNotFoundError(
            f"No folder {root!r}. Give digits, tfds:NAME, a folder of class folders, of the "
            "ILSVRC competition, or of shards."
        )
    for data, tables in ((f"{root}/ILSVRC", root), (root, os.path.dirname(files.absolute(root)))):
        if files.is_folder(f"{data}/{ILSVRC}"):
            return _ilsvrc(data, tables, root, takes)
    here = {name.lower(): f"{root}/{name}" for name in files.names(root)}
    for pictures, boxes in VOC_FOLDERS.items():
        if (
            pictures in here
            and boxes in here
            and any(name.endswith(".xml") for name in files.walk(here[boxes]))
        ):
            return _voc(root, here[pictures], here[boxes], skip_bad)
    return _class_folders(root, takes)


def _class_folders(root, takes):
    found = {}
    for folder in files.names(root):
        if (split := SPLIT_NAMES.get(folder.lower())) and files.is_folder(f"{root}/{folder}"):
            if split in found:
                raise ValueError(
                    f"{root} holds both {os.path.basename(found[split])}/ and {folder}/: keep "
                    "one of them."
                )
            found[split] = f"{root}/{folder}"
    if "train" not in found:
        if found:
            raise ValueError(
                f"{root} has "
                f"{', '.join(os.path.basename(path) + '/' for path in found.values())} but no "
                "train/."
            )
        found = {"train": root}
    images, notes = {}, []
    for split in (split for split in SPLITS if split in found):
        images[split], empty = _images_by_class(found[split], takes)
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
        splits[split] = _split(root, found[split], classes, by_class)
    return Source(root, classes, splits, tuple(notes))


def _images_by_class(folder, takes):
    """`{class: [file below folder]}` of the class folders that hold images, `[]` for those not
    taken, which are not looked into; and a list with a note of those that hold none.
    """
    images, empty = {}, []
    for name in files.names(folder):
        if name.startswith(".") or not files.is_folder(f"{folder}/{name}"):
            continue
        if not takes(name):
            images[name] = []
        elif found := _images_below(folder, f"{name}/"):
            images[name] = found
        else:
            empty.append(name)
    few = ", ".join(empty[:5])
    return images, [
        f"{len(empty)} folders in {os.path.basename(folder)}/ hold no images, first {few}"
    ] if empty else []


def _images_below(folder, below=""):
    """Names of the images below a folder, or of those of them that lie `below` it, in `sub/`."""
    found = [f"{below}{name}" for name in files.walk(f"{folder}/{below}".rstrip("/"))]
    found = [name for name in found if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES]
    for name in found:
        # Bytes that are no UTF-8 are surrogates to Python.
        if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(
                f"the name of {os.fsencode(f'{folder}/{name}')} is no UTF-8. Rename it."
            )
    return found


def _split(root, folder, classes, by_class):
    below = [path for name in classes for path in by_class.get(name, [])]
    labels = [label for label, name in enumerate(classes) for _ in by_class.get(name, [])]
    prefix = folder[len(root) :].strip("/")
    names = [f"{prefix}/{path}" if prefix else path for path in below]
    return Split(names, np.array(labels, np.int64), [f"{folder}/{path}" for path in below])


def _ilsvrc(data, tables, root, takes):
    """The competition's own files: train in class folders, validation flat with its classes in a
    table, test without.
    """
    texts = dict(_synsets(f"{tables}/LOC_synset_mapping.txt"))
    train, val = f"{data}/{ILSVRC}/train", f"{data}/{ILSVRC}/val"
    by_class, notes = _images_by_class(train, takes)
    classes = tuple(sorted(by_class))
    if unknown := [name for name in classes if takes(name) and name not in texts]:
        raise ValueError(
            f"{tables}/LOC_synset_mapping.txt does not name {', '.join(unknown[:5])}. Mend it."
        )
    if len(classes) < 2:
        raise ValueError(f"{train} holds images of {len(classes)} classes; at least 2 are needed.")
    xml = f"{data}/Annotations/CLS-LOC"
    learnt, told = _split(root, train, classes, by_class), None
    if not files.is_folder(f"{xml}/train") and files.exists(f"{tables}/LOC_train_solution.csv"):
        solution = annotations.read_solution(f"{tables}/LOC_train_solution.csv")
        told = [
            solution.get(os.path.splitext(os.path.basename(path))[0]) for path in learnt.contents
        ]
    splits = {"train": _boxed(learnt, f"{xml}/train", train, told)}
    if files.is_folder(val):
        solution = annotations.read_solution(f"{tables}/LOC_val_solution.csv")
        found = _images_below(val)
        ids = [os.path.splitext(os.path.basename(path))[0] for path in found]
        if lost := [path for path, name in zip(found, ids, strict=True) if name not in solution]:
            raise ValueError(
                f"{tables}/LOC_val_solution.csv names no class for {len(lost)} files of val/, "
                f"first {lost[0]}."
            )
        if len(found) < len(solution):
            notes.append(
                f"{len(solution) - len(found)} of {len(solution)} validation images of the "
                "table are not there"
            )
        of_class = {name: label for label, name in enumerate(classes)}
        kept = [
            (path, solution[name])
            for path, name in zip(found, ids, strict=True)
            if solution[name][0][0] in of_class
        ]
        if len(kept) < len(found):
            left = len(found) - len(kept)
            notes.append(
                f"{left} of {len(found)} validation images are of classes without training "
                "images: left out"
            )
        if kept:
            labels = np.array([of_class[boxes[0][0]] for _, boxes in kept], np.int64)
            prefix = val[len(root) :].strip("/")
            split = Split(
                [f"{prefix}/{path}" for path, _ in kept],
                labels,
                [f"{val}/{path}" for path, _ in kept],
            )
            splits["validation"] = _boxed(split, f"{xml}/val", val, [boxes for _, boxes in kept])
    if files.is_folder(f"{data}/{ILSVRC}/test"):
        notes.append("the competition's test images have no labels: left out")
    return Source(
        root, classes, splits, tuple(notes), tuple(texts.get(name, name) for name in classes)
    )


def _boxed(split, xml_folder, folder, in_table=None):
    """The split of a folder with an XML annotation for each image that has one; for others, what
    the solution table says.
    """
    there = set(files.walk(xml_folder)) if files.is_folder(xml_folder) else ()
    boxes = list(in_table or [None] * len(split))
    for i, path in enumerate(split.contents):
        name = f"{os.path.splitext(path[len(folder) + 1 :])[0]}.xml"
        if name in there:
            boxes[i] = f"{xml_folder}/{name}"
    return replace(split, boxes=boxes)


def _synsets(path):
    for line in files.read_text(path).splitlines():
        name, _, text = line.partition(" ")
        if name:
            yield name, text


def _voc(root, pictures, boxes, skip_bad):
    """Pictures of one kind of object each: the class is that of the objects, or of those that
    cover most of the picture.
    """
    annotation = _annotations_of(pictures, boxes)
    found, mixed, without, notes = {}, 0, 0, []
    for path, xml in annotation.items():
        areas = {}
        try:
            for name, area in annotations.classes_in_xml(xml) if xml else ():
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
    split = _split(root, pictures, classes, found)
    boxes = [annotation[path] for name in classes for path in found[name]]
    return Source(root, classes, {"train": replace(split, boxes=boxes)}, tuple(notes))


def _annotations_of(pictures, boxes):
    """`{picture: path of its annotation, or None}`: that of the same name in the same folder, else
    in any.

    Raises:
        ValueError: there are several such annotations, or pictures; the message names them.
    """
    of_stem = {name[:-4]: f"{boxes}/{name}" for name in files.walk(boxes) if name.endswith(".xml")}
    found = {path: of_stem.get(os.path.splitext(path)[0]) for path in _images_below(pictures)}
    elsewhere = {}  # by the name alone: the pictures and annotations that have not found each other
    for kind, paths in (
        (0, [path for path in found if not found[path]]),
        (1, set(of_stem.values()) - set(found.values())),
    ):
        for path in sorted(paths):
            elsewhere.setdefault(os.path.splitext(os.path.basename(path))[0], ([], []))[
                kind
            ].append(path)
    for name, (alone, xml) in elsewhere.items():
        if alone and xml:
            if len(alone) + len(xml) > 2:
                raise ValueError(
                    f"{name} is the name of several: {', '.join([*alone, *xml][:5])}. Put each "
                    f"annotation below {boxes}/ where its picture is below {pictures}/."
                )
            found[alone[0]] = xml[0]
    return found


def picture_paths(words):
    """Paths of the pictures, each once, in the order of the words."""
    from vgg_tf.data.folders import IMAGE_SUFFIXES

    if not words:
        raise ValueError("No pictures. Give files, folders or patterns.")
    found = {}
    for word in words:
        if files.is_folder(word):
            below = [f"{word.rstrip('/')}/{name}" for name in files.walk(word)]
            there = [path for path in below if os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES]
        else:
            there = (
                [word]
                if files.exists(word)
                else sorted(
                    path for path in glob.glob(word, recursive=True) if os.path.isfile(path)
                )
            )
        if not there:
            raise FileNotFoundError(
                f"{word} is no picture, no folder with {', '.join(sorted(IMAGE_SUFFIXES))}, and "
                "no pattern of any."
            )
        found |= dict.fromkeys(there)
    return list(found)
