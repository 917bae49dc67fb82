"""The TFRecord schema, written and read: the only module that knows the keys of an example.

The keys are the ones that slim, Cloud TPU and Model Garden share; labels are 0-based in our shards,
theirs begin at 1.
"""

import re
from typing import NamedTuple

import numpy as np

from vgg_tf.records import annotations
from vgg_tf.runtime import files


class Form(NamedTuple):
    """Keys of the features that every writer of image records has, under one name or another."""

    encoded: str
    label: str
    filename: str


SLIM = Form("image/encoded", "image/class/label", "image/filename")  # ours too
TFDS = Form("image", "label", "file_name")
SYNSET, TEXT = "image/class/synset", "image/class/text"
BOX_CORNERS = [f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax")]
BOX_LABEL, BOX_TEXT = "image/object/bbox/label", "image/object/class/text"
TFDS_BOX = "bbox"  # one box: ymin, xmin, ymax, xmax

_LENGTH, _CRC = 8, 4  # bytes of the framing: length, its CRC, the data, their CRC
BEFORE, AFTER = _LENGTH + _CRC, _CRC  # around the data of a record


def serialize(
    contents,
    image_format,
    height,
    width,
    label,
    class_name,
    filename,
    text="",
    boxes=None,
    box_labels=(),
):
    """One image as a serialised `tf.train.Example`.

    Args:
        contents: bytes, an RGB or grey JPEG, or an 8-bit PNG.
        image_format: `JPEG` or `PNG`.
        height, width: pixels.
        label: 0-based.
        class_name, filename: str.
        text: the class in words; the class name where there are none.
        boxes: an `annotations.Boxes`, or None.
        box_labels: 0-based label of each box.

    Returns:
        bytes.
    """
    import tensorflow as tf

    example = tf.train.Example()
    feature = example.features.feature
    feature[SLIM.encoded].bytes_list.value.append(contents)
    for key, value in {
        "image/format": image_format,
        "image/colorspace": "RGB",
        SLIM.filename: filename,
        SYNSET: class_name,  # the folder's name, which is the synset in ImageNet's layout
        TEXT: text or class_name,
    }.items():
        feature[key].bytes_list.value.append(value.encode())
    for key, value in {
        "image/height": height,
        "image/width": width,
        "image/channels": 3,
        SLIM.label: label,
    }.items():
        feature[key].int64_list.value.append(value)
    if boxes is not None and boxes.names:
        for key, values in zip(BOX_CORNERS, boxes.corners.T, strict=True):
            feature[key].float_list.value.extend(values.tolist())
        feature[BOX_LABEL].int64_list.value.extend(box_labels)
        feature[BOX_TEXT].bytes_list.value.extend(name.encode() for name in boxes.names)
    # Else the keys' order differs from process to process.
    return example.SerializeToString(deterministic=True)


def parse(serialized, form=SLIM):
    """Encoded bytes and label of a serialised Example: a scalar string and a scalar int64. For
    use in `tf.data`.
    """
    import tensorflow as tf

    features = {
        form.encoded: tf.io.FixedLenFeature([], tf.string),
        form.label: tf.io.FixedLenFeature([], tf.int64),
    }
    example = tf.io.parse_single_example(serialized, features)
    return example[form.encoded], example[form.label]


def parse_all(serialized):
    """Encoded bytes of a serialised Example of ours, and a dict of all else it says. For use in
    `tf.data`.

    Returns:
        scalar string; and `label`, `height`, `width` (int64, -1 where absent), `filename`,
        `class_name`, `format` (string), `corners` (four float32 `[n]`: xmin, ymin, xmax, ymax) and
        `box_labels` (int64 `[n]`).
    """
    import tensorflow as tf

    words = {"filename": SLIM.filename, "class_name": SYNSET, "format": "image/format"}
    numbers = {"label": SLIM.label, "height": "image/height", "width": "image/width"}
    features = {SLIM.encoded: tf.io.FixedLenFeature([], tf.string)}
    features |= {key: tf.io.FixedLenFeature([], tf.string, "") for key in words.values()}
    features |= {key: tf.io.FixedLenFeature([], tf.int64, -1) for key in numbers.values()}
    features |= {key: tf.io.VarLenFeature(tf.float32) for key in BOX_CORNERS} | {
        BOX_LABEL: tf.io.VarLenFeature(tf.int64)
    }
    example = tf.io.parse_single_example(serialized, features)
    fields = {name: example[key] for name, key in (words | numbers).items()}
    fields["corners"] = tuple(example[key].values for key in BOX_CORNERS)
    return example[SLIM.encoded], fields | {"box_labels": example[BOX_LABEL].values}


class Fields(NamedTuple):
    """What a record says of its image, whoever wrote it; absent numbers are -1, absent words empty.

    Attributes:
        encoded: bytes of the image.
        label: as it stands in the record.
        filename, class_name, text, image_format: str.
        height, width: pixels.
        boxes: `annotations.Boxes`; a box that has no class but the image's is called by the empty
            name.
    """

    encoded: bytes
    label: int
    filename: str
    class_name: str
    text: str
    image_format: str
    height: int
    width: int
    boxes: annotations.Boxes


def unpack(serialized):
    """The `Fields` of a serialised Example, in Python.

    Raises:
        ValueError: it is no Example, or holds no encoded image.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        feature = tf.train.Example.FromString(serialized).features.feature
    except DecodeError:
        raise ValueError("it is no tf.train.Example") from None
    form = TFDS if TFDS.encoded in feature else SLIM

    def values(key, kind):  # of another kind there are none
        # To look it up would make it.
        return getattr(feature[key], f"{kind}_list").value if key in feature else ()

    def word(key):
        return next(iter(values(key, "bytes")), b"").decode(errors="replace")

    def number(key):
        return next(iter(values(key, "int64")), -1)

    if not values(form.encoded, "bytes"):
        raise ValueError(f"it has no feature {form.encoded}, only {', '.join(sorted(feature)[:8])}")
    if form.label in feature and feature[form.label].WhichOneof("kind") != "int64_list":
        raise ValueError("its label is no number")
    if len(labels := values(form.label, "int64")) > 1:
        raise ValueError(f"it has {len(labels)} labels")
    label = number(form.label)
    corners = [values(key, "float") for key in BOX_CORNERS]
    if len(values(TFDS_BOX, "float")) == 4:
        ymin, xmin, ymax, xmax = values(TFDS_BOX, "float")
        corners = [[xmin], [ymin], [xmax], [ymax]]
    names = [name.decode(errors="replace") for name in values(BOX_TEXT, "bytes")]
    n = len(corners[0])
    if len(names) != n:
        labels = values(BOX_LABEL, "int64") or [label] * n
        names = ["" if value == label else f"label {value}" for value in labels] if n else []
    if lengths := {len(names), *map(len, corners)} - {n}:
        raise ValueError(f"it has {n} boxes, and {max(lengths)} of their labels or coordinates")
    boxes = annotations.Boxes(np.array(corners, np.float32).T.reshape(-1, 4), names)
    return Fields(
        values(form.encoded, "bytes")[0],
        label,
        word(form.filename),
        word(SYNSET),
        word(TEXT),
        word("image/format"),
        number("image/height"),
        number("image/width"),
        boxes,
    )


def nameless(box):
    """Tell whether a box's name is what `unpack` makes of a label alone."""
    return not box or re.fullmatch(r"label -?\d+", box) is not None


class Record(NamedTuple):
    """Where a record lies: its shard, its number there from 0, and where its data begin and how
    long they are, in bytes.
    """

    path: str
    index: int
    offset: int
    length: int

    def read(self):
        """The record's `Fields`.

        Raises:
            OSError, ValueError: it cannot be read; the message names shard and record.
        """
        try:
            return unpack(files.read(self.path, self.offset, self.length))
        except ValueError as error:
            raise ValueError(f"{self.path}, record {self.index}: {error}") from None
