"""The features of an example, written and read. No other module knows their keys.

The keys are the ones that slim, Cloud TPU and Model Garden share. Labels are 0-based in our shards;
theirs begin at 1.
"""

import re
from typing import NamedTuple

import numpy as np

from vgg_tf.records import annotations


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


class Fields(NamedTuple):
    """What a record says of its image, whoever wrote it.

    Attributes:
        encoded: bytes of the image.
        label: as it is in the record; -1 where absent.
        filename: str, empty where absent, like the other texts.
        class_name: str, name of the class.
        text: str, the class in words.
        image_format: `JPEG` or `PNG` in our shards.
        height: pixels; -1 where absent.
        width: pixels; -1 where absent.
        boxes: `annotations.Boxes`; a box that has no class but the image's has an empty name.
    """

    encoded: bytes
    label: int
    filename: str
    class_name: str
    text: str
    image_format: str
    height: int
    width: int
    boxes: annotations.Boxes = annotations.NO_BOXES


def serialize(fields, box_labels=()):
    """Return an image as a serialized `tf.train.Example`.

    Args:
        fields: the `Fields` of the image. `encoded` is an RGB or gray JPEG, or an 8-bit PNG;
            `label` is 0-based. An empty `text` is replaced by the class name.
        box_labels: 0-based label of each box.

    Returns:
        bytes.
    """
    import tensorflow as tf

    example = tf.train.Example()
    feature = example.features.feature
    feature[SLIM.encoded].bytes_list.value.append(fields.encoded)
    for key, value in {
        "image/format": fields.image_format,
        "image/colorspace": "RGB",
        SLIM.filename: fields.filename,
        SYNSET: fields.class_name,  # the folder's name, which is the synset in ImageNet's layout
        TEXT: fields.text or fields.class_name,
    }.items():
        feature[key].bytes_list.value.append(value.encode())
    for key, value in {
        "image/height": fields.height,
        "image/width": fields.width,
        "image/channels": 3,
        SLIM.label: fields.label,
    }.items():
        feature[key].int64_list.value.append(value)
    if fields.boxes.names:
        for key, values in zip(BOX_CORNERS, fields.boxes.corners.T, strict=True):
            feature[key].float_list.value.extend(values.tolist())
        feature[BOX_LABEL].int64_list.value.extend(box_labels)
        feature[BOX_TEXT].bytes_list.value.extend(name.encode() for name in fields.boxes.names)
    # Else the keys' order differs from process to process.
    return example.SerializeToString(deterministic=True)


def unpack(serialized):
    """Return the `Fields` of a serialized Example, in Python.

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

    def read_word(key):
        return next(iter(_read_values(feature, key, "bytes")), b"").decode(errors="replace")

    def read_number(key):
        return next(iter(_read_values(feature, key, "int64")), -1)

    if not (encoded := _read_values(feature, form.encoded, "bytes")):
        raise ValueError(f"it has no feature {form.encoded}, only {', '.join(sorted(feature)[:8])}")
    if form.label in feature and feature[form.label].WhichOneof("kind") != "int64_list":
        raise ValueError("its label is no number")
    if len(labels := _read_values(feature, form.label, "int64")) > 1:
        raise ValueError(f"it has {len(labels)} labels")
    label = read_number(form.label)
    return Fields(
        encoded[0],
        label,
        read_word(form.filename),
        read_word(SYNSET),
        read_word(TEXT),
        read_word("image/format"),
        read_number("image/height"),
        read_number("image/width"),
        _read_boxes(feature, label),
    )


def _read_values(feature, key, kind):
    """Return the values of a feature; none of a feature of another kind."""
    # Looking up a missing key would create it.
    return getattr(feature[key], f"{kind}_list").value if key in feature else ()


def _read_boxes(feature, label):
    """Return the `annotations.Boxes` in the features of an image with this label."""
    corners = [_read_values(feature, key, "float") for key in BOX_CORNERS]
    if len(box := _read_values(feature, TFDS_BOX, "float")) == 4:
        ymin, xmin, ymax, xmax = box
        corners = [[xmin], [ymin], [xmax], [ymax]]
    names = [name.decode(errors="replace") for name in _read_values(feature, BOX_TEXT, "bytes")]
    n = len(corners[0])
    if len(names) != n:
        labels = _read_values(feature, BOX_LABEL, "int64") or [label] * n
        names = ["" if value == label else f"label {value}" for value in labels] if n else []
    if lengths := {len(names), *map(len, corners)} - {n}:
        raise ValueError(f"it has {n} boxes, and {max(lengths)} of their labels or coordinates")
    return annotations.Boxes(np.array(corners, np.float32).T.reshape(-1, 4), names)


def is_nameless(box):
    """Return whether a box's name is what `unpack` makes of a label alone."""
    return not box or re.fullmatch(r"label -?\d+", box) is not None


def parse(serialized, form=SLIM):
    """Return encoded bytes and label of a serialized Example, for use in `tf.data`.

    Args:
        serialized: scalar string.
        form: the `Form` of its keys.

    Returns:
        a scalar string and a scalar int64.
    """
    import tensorflow as tf

    features = {
        form.encoded: tf.io.FixedLenFeature([], tf.string),
        form.label: tf.io.FixedLenFeature([], tf.int64),
    }
    example = tf.io.parse_single_example(serialized, features)
    return example[form.encoded], example[form.label]


def parse_all(serialized):
    """Return encoded bytes of an Example of ours, and a dict of all else, for use in `tf.data`.

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
