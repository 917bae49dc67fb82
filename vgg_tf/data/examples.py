"""Example images of any source, with their labels and boxes."""

import itertools
from typing import NamedTuple

from vgg_tf.data.selection import EVERYTHING
from vgg_tf.records.annotations import Boxes
from vgg_tf.records.collection import Collection, holds_shards, list_shards
from vgg_tf.records.framing import Record, walk_records
from vgg_tf.runtime import quiet


class Example(NamedTuple):
    """An image of a source, and what is known of it.

    Attributes:
        where: the file, or the shard and the number of the record.
        name: of the file, below its source.
        encoded: its bytes.
        label: 0-based.
        class_name: the class, with its words where there are any.
        boxes: `annotations.Boxes`.
    """

    where: str
    name: str
    encoded: bytes
    label: int
    class_name: str
    boxes: Boxes


def read_examples(source, split="train", n=24, seed=0, selection=EVERYTHING):
    """Yield up to `n` images of a split as `Example`.

    Of our shards these are the first ones, of other sources some drawn at random.

    Args:
        source: as for `loading.load_dataset`.
        split: `train`, `validation` or `test`.
        n: how many, at most.
        seed: of the draw.
        selection: the classes to draw from.

    Raises:
        ValueError: there is no such split, or an image cannot be read; the message names it.
    """
    if holds_shards(source) and not selection:
        yield from itertools.islice(_read_ours(source, split), n)
        return
    import numpy as np

    from vgg_tf.data import opening
    from vgg_tf.images.decoding import decode_named

    opened = opening.open_source(str(source), selection)
    images = np.arange(opened.count_images(split))
    for i in np.sort(np.random.default_rng(seed).permutation(images)[:n]):
        part, label = opened.splits[split], int(opened.splits[split].labels[i])
        content, encoded, name = part.contents[i], part.read(i), part.names[i]
        words = _join(opened.classes[label], opened.texts[label] if opened.texts else "")
        h, w, _ = decode_named(encoded, name).shape
        where = str(content) if isinstance(content, Record) else name
        yield Example(where, name, encoded, label, words, part.read_boxes(i, w, h))


def _read_ours(source, split):
    """Yield the images of our shards, in order."""
    collection = Collection.read(source)
    collection.count_images(split)
    for path in list_shards(source, collection, split):
        for record, what in walk_records(path):
            if what:
                raise ValueError(f"{record}: {what}")
            fields = record.read()
            yield Example(
                str(record),
                fields.filename,
                fields.encoded,
                fields.label,
                _join(fields.class_name, fields.text),
                fields.boxes,
            )


def _join(name, text):
    """Return the name of a class with its words."""
    return name if text in ("", name) else f"{name} {text}"


def show(source, out, split="train", n=24, seed=0, selection=EVERYTHING):
    """Print examples and draw them on a contact sheet.

    Args:
        source, split, n, seed, selection: as for `read_examples`.
        out: path of the picture; its suffix is its format.

    Raises:
        ValueError: `n` is below 1, `seed` is negative, or as for `read_examples`.
    """
    if n < 1 or seed < 0:
        raise ValueError(f"n is at least 1, seed 0 or more. Received: {n}, {seed}.")
    from vgg_tf.figures import drawing, sheets

    drawing.check_suffix(out)
    quiet.quiet_tensorflow()

    from vgg_tf.images.decoding import decode_named

    shown, pixels = [], []
    for example in read_examples(source, split, n, seed, selection):
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
    sheet = sheets.draw_contact_sheet(
        pixels, titles, [example.boxes for example in shown], f"{source}, {split}"
    )
    drawing.save(sheet, out, dpi=150)
    print(f"{len(shown)} images on {out}")
