"""Which features of third-party records are the image, its label and its names."""

import contextlib
import re
from typing import NamedTuple

from vgg_tf.images import formats
from vgg_tf.records import schema, unpacking
from vgg_tf.runtime import programs, quiet

LOOKED_AT = 24  # records of each split from which the keys are found
PARTS = ("image", "label", "name", "class")  # what --keys names
# Keys of the image and of the label that other writers use.
_PAIRS = (
    ("image", "class"),  # Kaggle
    ("image", "target"),
    ("image", "label"),
    ("image", "labels"),
    ("image", "class_id"),
    ("image", "image/class/label"),
    ("image/encoded", "image/label"),
    ("image/encoded", "label"),
    ("image/encoded", "class"),
    ("image_raw", "label"),
    ("image_raw", "class"),
    ("image_bytes", "label"),
    ("image_jpeg", "label"),
    ("jpeg", "label"),
    ("jpeg", "class"),
    ("encoded", "label"),
    ("img", "label"),
    ("data", "label"),
)
_FILENAMES = ("image/filename", "file_name", "filename", "image_name", "image_id", "id", "name")
_TEXTS = ("image/class/text", "class_name", "label_name", "class_text", "label", "class")
# Last words of keys of integers that are not labels.
_SIZES = frozenset("height width depth channels size id idx index number length".split())


class Column(NamedTuple):
    """Values of a feature in the records that were looked at.

    Attributes:
        kind: `bytes`, `int64` or `float`.
        values: list of the values of each record that has the feature.
    """

    kind: str
    values: list

    @property
    def is_single(self):
        """Whether no record has several values."""
        return all(len(values) == 1 for values in self.values)

    @property
    def image_kind(self):
        """The formats of the images, such as `JPEG`; None if most values are not images."""
        if self.kind != "bytes" or not self.is_single:
            return None
        kinds = [formats.find_kind(values[0][: formats.HEAD]) for values in self.values]
        damaged = kinds.count(None)
        return None if 2 * damaged > len(kinds) else "/".join(sorted(set(kinds) - {None}))

    def __str__(self):
        """Return the kind and the range of the values."""
        lengths = {len(values) for values in self.values}
        many = f", {min(lengths)} to {max(lengths)} values" if len(lengths) > 1 else ""
        many = f", {lengths.pop()} values" if len(lengths) == 1 and lengths != {1} else many
        flat = [value for values in self.values for value in values]
        if self.image_kind:
            return f"bytes: {self.image_kind}"
        if self.kind == "int64" and flat:
            return f"int64 {min(flat)}..{max(flat)}{many}"
        return f"{self.kind}{many}"


class Sample(NamedTuple):
    """The first records of shards.

    Attributes:
        count: number of records that were looked at.
        columns: `{key: Column}` of all features with values, sorted.
        path: path of the first shard.
    """

    count: int
    columns: dict
    path: str

    def __str__(self):
        """Describe the records, such as `2 records with keys image (bytes: JPEG), class (...)`."""
        parts = [f"{key} ({column})" for key, column in self.columns.items()]
        records = f"{self.count} record{'s' * (self.count != 1)}"
        return (
            f"{records} with keys {programs.format_names(parts) or '(none)'}, first in {self.path}"
        )


def look_at(paths):
    """Return the `Sample` of the first readable records of shards."""
    from google.protobuf.message import DecodeError

    tf = quiet.quiet_tensorflow()

    count, columns, kinds = 0, {}, {}
    for path in paths:
        # The scan reports these errors.
        with contextlib.suppress(tf.errors.OpError, DecodeError, UnicodeDecodeError):
            shard = tf.data.TFRecordDataset(unpacking.get_plain(path), buffer_size=2**16)
            for serialized in shard.take(LOOKED_AT - count).as_numpy_iterator():
                features = tf.train.Example.FromString(serialized).features.feature
                count += 1
                for key, feature in features.items():
                    kind = feature.WhichOneof("kind")
                    if kind and len(values := getattr(feature, kind).value):
                        kinds.setdefault(key, set()).add(kind.removesuffix("_list"))
                        columns.setdefault(key, []).append(list(values))
        if count >= LOOKED_AT:
            break
    found = {
        key: Column("/".join(sorted(kinds[key])), columns[key])
        for key in sorted(columns, key=lambda key: (key.lower(), key))
    }
    return Sample(count, found, paths[0])


def parse_keys(words):
    """Return the keys that `--keys` names.

    Args:
        words: such as `image=picture,label=species`; may be empty.

    Returns:
        `{"image", "label", "name" or "class": key}`.

    Raises:
        ValueError: the words are not of this form; the message says how to write them.

    Example:
        >>> parse_keys("image=picture,label=species")
        {'image': 'picture', 'label': 'species'}
    """
    pairs = [word.strip().partition("=") for word in words.split(",")] if words else []
    keys = {part: key for part, _, key in pairs}
    whole = all(key and part in PARTS for part, _, key in pairs) and len(keys) == len(pairs)
    if words and (not whole or "image" not in keys or not {"label", "class"} & set(keys)):
        raise ValueError(
            "--keys must name the key of the image and that of the label or class name. Received: "
            f"--keys {words}. Write --keys image=KEY,label=KEY, and name=KEY for file names or "
            "class=KEY for class names if there are any."
        )
    return keys


def find_form(sample, keys="", before=None):
    """Return the keys of the image, the label and the names.

    Args:
        sample: the `Sample` of the records.
        keys: as for `parse_keys`.
        before: the `schema.Form` of another split, taken if the records have its image.

    Returns:
        A `schema.Form`.

    Raises:
        ValueError: the keys are not those of the records, or cannot be found; the message describes
            the records.
    """
    if not sample.count:
        return before or schema.SLIM  # the scan reports why no record can be read
    if keys:
        return _take_given(sample, parse_keys(keys), keys, before)
    there = set(sample.columns)
    if before and {before.encoded, before.label} <= there | {""}:
        return before
    found = _find_known(sample, there)
    # A split without labels may have other integers, or none.
    return before if before and before.encoded in there and found.label not in there else found


def _find_known(sample, there):
    """Return the `schema.Form` of records without the user's help."""
    if {schema.SLIM.encoded, schema.SLIM.label} <= there:
        return schema.SLIM
    if _is_label(sample, schema.TFDS.label) and schema.TFDS.encoded in there:
        return schema.TFDS
    pairs = [
        (image, label)
        for image, label in _PAIRS
        if image in there and sample.columns[image].image_kind and _is_label(sample, label)
    ]
    return _name(sample, *_choose(sample, pairs))


def _take_given(sample, given, keys, before):
    """Return the `schema.Form` of the keys that the user gave."""
    kinds = {"image": "bytes", "label": "int64", "name": "bytes", "class": "bytes"}
    for part, key in given.items():
        column = sample.columns.get(key)
        if part != "image" and not column and before:
            continue  # a split without labels
        if not column or column.kind != kinds[part]:
            raise ValueError(
                f"The {part} of --keys must be the key of a feature of kind {kinds[part]}. "
                f"Received: --keys {keys}, for {sample}. Give another key."
            )
    return schema.Form(
        given["image"],
        given.get("label", ""),
        given.get("name", ""),
        given.get("class", "") or schema.SYNSET,
        "" if "class" in given else schema.TEXT,
    )


def _is_label(sample, key):
    """Return whether a feature is one integer in each record that has it."""
    column = sample.columns.get(key)
    return bool(column) and column.kind == "int64" and column.is_single


def _choose(sample, pairs):
    """Return the keys of image and label: the only known pair, or the only ones by content."""
    if len(pairs) == 1:
        return pairs[0]
    images = [key for key, column in sample.columns.items() if column.image_kind]
    labels = [key for key in sample.columns if _is_label(sample, key) and not _is_size(key)]
    if not pairs and len(images) == 1 and len(labels) <= 1:
        texts = [key for key in _TEXTS if _is_text(sample, key)]
        if labels or not texts:
            return images[0], labels[0] if labels else schema.TFDS.label
    image = images[0] if images else "KEY"
    label = f"label={labels[0]}" if labels else "label=KEY"
    texts = [key for key in _TEXTS if _is_text(sample, key)]
    if texts and not labels:
        label = f"class={texts[0]}"
    raise ValueError(
        "The keys of the image and its label must be clear from the records. Received: "
        f"{sample}. "
        + (
            f"Name them, such as --keys image={image},{label}."
            if images
            else "Write the shards with encoded images, such as JPEG, in one feature."
        )
    )


def _is_text(sample, key):
    column = sample.columns.get(key)
    return bool(column) and column.kind == "bytes" and column.is_single and not column.image_kind


def _is_size(key):
    """Return whether a key names a size or a number of the image rather than a label."""
    words = re.split(r"[^a-z]+", key.lower())
    return words[-1] in _SIZES and not {"class", "label", "category", "species"} & set(words)


def _name(sample, image, label):
    """Return the `schema.Form` of these keys, with those of names if the records have any."""
    filename = next((key for key in _FILENAMES if _is_text(sample, key)), "")
    text = next((key for key in _TEXTS if _is_text(sample, key)), "")
    synset = schema.SYNSET if _is_text(sample, schema.SYNSET) else text
    return schema.Form(image, label, filename, synset, text)
