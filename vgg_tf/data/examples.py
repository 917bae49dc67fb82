"""Example images of any source, with their labels and boxes."""

from typing import NamedTuple

from vgg_tf.data.selection import EVERYTHING
from vgg_tf.records import schema
from vgg_tf.records.annotations import Boxes
from vgg_tf.records.collection import Collection, holds_shards, shard_paths
from vgg_tf.runtime import quiet


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
    """Yield up to `n` images of a split as `Shown`: of our shards the first ones, of other sources
    some drawn by chance.

    Args:
        source: as for `loading.load_dataset`.
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
                yield Shown(
                    where, fields.filename, fields.encoded, fields.label, words, fields.boxes
                )
        return
    opened = opening.open_source(str(source), selection)
    images = np.arange(opened.images(split))
    for i in np.sort(np.random.default_rng(seed).permutation(images)[:n]):
        part, label = opened.splits[split], int(opened.splits[split].labels[i])
        content, encoded = part.contents[i], part.read(i)
        where = (
            f"{content.path}, record {content.index}"
            if isinstance(content, schema.Record)
            else part.names[i]
        )
        words = _words(opened.classes[label], opened.texts[label] if opened.texts else "")
        h, w, _ = decode_named(encoded, part.names[i]).shape
        yield Shown(where, part.names[i], encoded, label, words, part.boxes_of(i, w, h))


def _words(name, text):
    return name if text in ("", name) else f"{name} {text}"


def show(source, out, split="train", n=24, seed=0, selection=EVERYTHING):
    """Print examples and draw them on a contact sheet.

    Args:
        source, split, n, seed, selection: as for `examples`.
        out: path of the picture; its suffix is its format.

    Raises:
        ValueError: `n` is below 1, `seed` is negative, or as for `examples`.
    """
    if n < 1 or seed < 0:
        raise ValueError(f"n is at least 1, seed 0 or more. Received: {n}, {seed}.")
    from vgg_tf.figures import drawing, sheets

    drawing.check_suffix(out)
    quiet.quiet_tensorflow()

    from vgg_tf.images.decoding import decode_named

    shown, pixels = [], []
    for example in examples(source, split, n, seed, selection):
        image = decode_named(example.encoded, example.name)
        h, w, _ = image.shape
        boxes = f", {len(example.boxes.names)} boxes" if example.boxes.names else ""
        print(
            f"{example.where}: {example.class_name} ({example.label}), {w} x {h}, "
            f"{len(example.encoded):,} bytes{boxes}"
        )
        shown.append(example)
        pixels.append(image)
    titles = [example.class_name for example in shown]
    sheet = sheets.contact_sheet(
        pixels, titles, [example.boxes for example in shown], f"{source}, {split}"
    )
    drawing.save(sheet, out, dpi=150)
    print(f"{len(shown)} images on {out}")
