"""Example images of any source, with their labels and boxes."""

import itertools
from typing import NamedTuple

from vgg_tf.data.selection import EVERYTHING
from vgg_tf.records.annotations import Boxes
from vgg_tf.records.collection import list_shards
from vgg_tf.records.framing import Record, walk_records
from vgg_tf.runtime import programs, quiet


class Example(NamedTuple):
    """An image of a source with its label and boxes.

    Attributes:
        where: the file, or the shard and the number of the record.
        name: file name, relative to the source.
        encoded: encoded bytes of the image.
        label: 0-based label.
        class_name: name of the class, followed by its description if the source has one.
        boxes: an `annotations.Boxes`.
    """

    where: str
    name: str
    encoded: bytes
    label: int
    class_name: str
    boxes: Boxes


def read_examples(source, split="train", n=24, seed=0, selection=EVERYTHING):
    """Yield up to `n` images of a split.

    From our own shards these are the first images. From other sources they are drawn at random.

    Args:
        source: as for `loading.load_dataset`.
        split: `"train"`, `"validation"` or `"test"`.
        n: maximum number of images.
        seed: seed of the random draw.
        selection: `selection.Selection` of the classes to draw from.

    Yields:
        `Example`s.

    Raises:
        ValueError: the split does not exist, or an image cannot be read; the message names it.
    """
    import numpy as np

    from vgg_tf.data import opening
    from vgg_tf.images.decoding import decode_named

    opened = opening.open_source(str(source), selection)
    if opened.collection:
        yield from itertools.islice(_read_ours(opened, split), n)
        return
    images = np.arange(opened.count_images(split))
    for i in np.sort(np.random.default_rng(seed).permutation(images)[:n]):
        part, label = opened.splits[split], int(opened.splits[split].labels[i])
        content, encoded, name = part.contents[i], part.read(i), part.names[i]
        words = _join(opened.classes[label], opened.texts[label] if opened.texts else "")
        h, w, _ = decode_named(encoded, name).shape
        where = str(content) if isinstance(content, Record) else name
        yield Example(where, name, encoded, label, words, part.read_boxes(i, w, h))


def _read_ours(source, split):
    """Yield the images of our own shards, in order."""
    source.count_images(split)
    for path in list_shards(source.name, source.collection, split):
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
    """Return the name of a class, followed by its description."""
    return name if text in ("", name) else f"{name} {text}"


def show(source, out, split="train", n=24, seed=0, selection=EVERYTHING):
    """Print examples and draw them on a contact sheet.

    Args:
        source: as for `read_examples`.
        out: path of the figure; its suffix chooses the format.
        split: as for `read_examples`.
        n: as for `read_examples`, at least 1.
        seed: as for `read_examples`, 0 or more.
        selection: as for `read_examples`.

    Raises:
        ValueError: `n` is below 1, `seed` is negative, or as for `read_examples`.
    """
    if n < 1 or seed < 0:
        raise ValueError(
            f"--n must be at least 1 and --seed at least 0. Received: --n {n} --seed {seed}. Try "
            "--n 24 --seed 0."
        )
    from vgg_tf.figures import drawing, sheets

    drawing.check_suffix(out)
    quiet.quiet_tensorflow()

    from vgg_tf.images.decoding import decode_named

    shown, pixels = [], []
    for example in read_examples(source, split, n, seed, selection):
        image = decode_named(example.encoded, example.name)
        h, w, _ = image.shape
        boxes = (
            f", {programs.count(len(example.boxes.names), 'box', 'boxes')}"
            if example.boxes.names
            else ""
        )
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
    print(f"{out}: {programs.count(len(shown), 'image')}")
