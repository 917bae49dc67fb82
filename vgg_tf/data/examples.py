"""Example images of any source, with their labels and boxes."""

from typing import NamedTuple

from vgg_tf.data.selection import EVERYTHING
from vgg_tf.records import schema
from vgg_tf.records.annotations import Boxes
from vgg_tf.records.collection import Collection, holds_shards, shard_paths


class Shown(NamedTuple):
    """An image of a collection, and what is told of it.

    Attributes:
        where: the file, or the shard and the number of the record.
        name: of the file, below its source.
        encoded: its bytes.
        label: 0-based.
        class_name: the class, with its words where there are such.
        boxes: `annotations.Boxes`.
    """

    where: str
    name: str
    encoded: bytes
    label: int
    class_name: str
    boxes: Boxes


def examples(source, split="train", n=24, seed=0, selection=EVERYTHING):
    """Yield up to `n` images of a split as `Shown`: of our shards the first ones, of other sources some drawn by chance.

    Args:
        source: as for `datasets.load_dataset`.
        split: `train`, `validation` or `test`.
        n: how many, at most.
        seed: of the draw.
        selection: the classes to draw from.

    Raises:
        ValueError: there is no such split, or an image cannot be read; the message names it.
    """
    import numpy as np

    from vgg_tf.data import opening
    from vgg_tf.images.decoding import decode_named
    from vgg_tf.records import integrity

    if holds_shards(source) and not selection:
        collection = Collection.read(source)
        collection.images(split)
        for path in shard_paths(source, collection, split):
            for record, what in integrity.walk(path):
                if not n:
                    return
                n -= 1
                if what:
                    raise ValueError(f"{path}, record {record.index}: {what}")
                fields, where = record.read(), f"{path}, record {record.index}"
                words = _words(fields.class_name, fields.text)
                yield Shown(where, fields.filename, fields.encoded, fields.label, words, fields.boxes)
        return
    opened = opening.open_source(str(source), selection)
    images = np.arange(opened.images(split))
    for i in np.sort(np.random.default_rng(seed).permutation(images)[:n]):
        part, label = opened.splits[split], int(opened.splits[split].labels[i])
        content, encoded = part.contents[i], part.read(i)
        where = f"{content.path}, record {content.index}" if isinstance(content, schema.Record) else part.names[i]
        words = _words(opened.classes[label], opened.texts[label] if opened.texts else "")
        h, w, _ = decode_named(encoded, part.names[i]).shape
        yield Shown(where, part.names[i], encoded, label, words, part.boxes_of(i, w, h))


def _words(name, text):
    return name if text in ("", name) else f"{name} {text}"
