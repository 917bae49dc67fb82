"""Reading and writing of the features of an example. Keys of other writers are in `keys`.

TF-Slim, Cloud TPU and Model Garden use the same keys. Labels in our shards start at 0; theirs start
at 1.
"""

import re
from typing import NamedTuple

import numpy as np

from vgg_tf.records import annotations

SYNSET, TEXT = "image/class/synset", "image/class/text"


class Form(NamedTuple):
    """Keys of the features of records.

    Attributes:
        encoded: key of the encoded image.
        label: key of the label; empty if only the names of classes are known.
        filename: key of the name of the file; empty if there is none.
        synset: key of the class name; empty if there is none.
        text: key of the description of the class; empty if there is none.
    """

    encoded: str
    label: str
    filename: str
    synset: str = SYNSET
    text: str = TEXT


SLIM = Form("image/encoded", "image/class/label", "image/filename")  # ours too
TFDS = Form("image", "label", "file_name")
BOX_CORNERS = [f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax")]
BOX_LABEL, BOX_TEXT = "image/object/bbox/label", "image/object/class/text"
TFDS_BOX = "bbox"  # one box: ymin, xmin, ymax, xmax


class Fields(NamedTuple):
    """Values of a record of any writer.

    Attributes:
        encoded: bytes of the image.
        label: label in the record; -1 if absent.
        filename: name of the file; empty if absent, like the other texts.
        class_name: name of the class.
        text: description of the class.
        image_format: `JPEG` or `PNG` in our shards.
        height: height in pixels; -1 if absent.
        width: width in pixels; -1 if absent.
        boxes: `annotations.Boxes`. A box without a class of its own has an empty name.
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
        fields: the `Fields` of the image. `encoded` is an RGB or gray JPEG, or an 8-bit PNG.
            `label` is 0-based. An empty `text` is replaced by the class name.
        box_labels: 0-based label of each box.

    Returns:
        The serialized example, in bytes.
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
    # Otherwise the order of the keys differs between processes.
    return example.SerializeToString(deterministic=True)


def unpack(serialized, form=None):
    """Return the `Fields` of a serialized Example, as Python values.

    Args:
        serialized: bytes of the Example.
        form: the `Form` of its keys; None to choose `TFDS` if it has its key of the image, and
            `SLIM` otherwise.

    Returns:
        `Fields`.

    Raises:
        ValueError: the bytes are not an Example with one encoded image and at most one label.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        feature = tf.train.Example.FromString(serialized).features.feature
    except (DecodeError, UnicodeDecodeError):
        raise ValueError("it is not a tf.train.Example") from None
    form = form or (TFDS if TFDS.encoded in feature else SLIM)

    def read_word(key):
        return next(iter(_read_values(feature, key, "bytes")), b"").decode(errors="replace")

    def read_number(key):
        return next(iter(_read_values(feature, key, "int64")), -1)

    if not (encoded := _read_values(feature, form.encoded, "bytes")):
        raise ValueError(f"it has no feature {form.encoded}, only {', '.join(sorted(feature)[:8])}")
    if form.label in feature and feature[form.label].WhichOneof("kind") != "int64_list":
        raise ValueError("its label is not an integer")
    if len(labels := _read_values(feature, form.label, "int64")) > 1:
        raise ValueError(f"it has {len(labels)} labels")
    label = read_number(form.label)
    return Fields(
        encoded[0],
        label,
        read_word(form.filename),
        read_word(form.synset),
        read_word(form.text),
        read_word("image/format"),
        read_number("image/height"),
        read_number("image/width"),
        _read_boxes(feature, label),
    )


def _read_values(feature, key, kind):
    """Return the values of a feature; empty if the feature is absent or of another kind."""
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
        raise ValueError(f"it has {n} boxes, but {max(lengths)} of their labels or coordinates")
    return annotations.Boxes(np.array(corners, np.float32).T.reshape(-1, 4), names)


def is_nameless(box):
    """Return whether the name of a box comes from its label alone, as in `unpack`."""
    return not box or re.fullmatch(r"label -?\d+", box) is not None


def parse(serialized):
    """Return the encoded bytes and label of a serialized Example, for use in `tf.data`.

    Args:
        serialized: scalar string tensor of an Example in the form `SLIM`.

    Returns:
        `(encoded, label)`, a scalar string and a scalar int64 tensor.
    """
    import tensorflow as tf

    features = {
        SLIM.encoded: tf.io.FixedLenFeature([], tf.string),
        SLIM.label: tf.io.FixedLenFeature([], tf.int64),
    }
    example = tf.io.parse_single_example(serialized, features)
    return example[SLIM.encoded], example[SLIM.label]


def parse_encoded(serialized, key):
    """Return the bytes in the feature `key` of a serialized Example, for use in `tf.data`."""
    import tensorflow as tf

    feature = tf.io.FixedLenFeature([], tf.string)
    return tf.io.parse_single_example(serialized, {key: feature})[key]


def parse_all(serialized):
    """Return the encoded bytes and other values of an Example of ours, for use in `tf.data`.

    Args:
        serialized: scalar string tensor.

    Returns:
        `(encoded, values)`: a scalar string tensor and a dict. The dict has `label`, `height` and
        `width` (int64, -1 if absent), `filename`, `class_name` and `format` (strings), `corners`
        (four float32 `[n]`: xmin, ymin, xmax, ymax) and `box_labels` (int64 `[n]`).
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
