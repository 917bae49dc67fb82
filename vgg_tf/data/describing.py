"""What a source is taken for: layout, splits, classes, formats, sizes, copies, what is left out."""

import io
import shlex

import numpy as np

from vgg_tf.records import copies
from vgg_tf.records.framing import Record
from vgg_tf.records.splits import SPLITS
from vgg_tf.runtime import programs

LOOKED_AT = 200  # images whose header is read for formats and sizes
NAMED = 20  # classes that are named, and notes of a program
OF_ONE = "left out: "  # beginning of the notes about one image
SEARCHED = 50_000  # images, up to which copies are looked for


def describe(source, duplicates=False):
    """Describe an open source.

    Args:
        source: a `splits.Source`.
        duplicates: whether to look for copies among all images. Otherwise only sources of up to
            `SEARCHED` images are searched.

    Returns:
        str of several lines.
    """
    counts = source.count_per_class()
    classes = programs.count(len(source.classes), "class", "classes")
    lines = [f"{source.name}: {source.layout}, {classes}"]
    lines += [_describe_split(split, counts[split]) for split in SPLITS if split in counts]
    lines.append(f"  classes: {_list_classes(source.classes, counts)}")
    lines += [f"  {line}" for line in _describe_pictures(source)]
    lines += [f"  {note}" for note in source.notes]
    lines += [f"  {line}" for line in _describe_copies(source, duplicates)]
    return "\n".join(lines)


def describe_briefly(source):
    """Describe an open source in one line: its layout and its classes.

    Args:
        source: a `splits.Source`.

    Returns:
        str.
    """
    names = ", ".join(source.classes[:10])
    more = f" and {len(source.classes) - 10} more" if len(source.classes) > 10 else ""
    return f"{source.layout}; classes: {names}{more}"


def list_notes(notes, name=""):
    """Return the first notes for a program to print, and how many more there are.

    Notes about one image come last, so that those about all images are printed.

    Args:
        notes: sequence of str.
        name: name of the source, whose `--what` prints all of them. Empty names no program.

    Returns:
        list of at most 21 str.
    """
    ordered = sorted(notes, key=lambda note: note.startswith(OF_ONE))
    if len(ordered) <= NAMED:
        return ordered
    where = f": python -m tfrecords_tools.show {shlex.quote(str(name))} --what" if name else ""
    return [*ordered[:NAMED], f"and {len(ordered) - NAMED:,} more{where}"]


def _describe_split(split, counts):
    """Return the line of a split: images, and the smallest and largest class."""
    there = [n for n in counts if n]
    line = f"  {split:12}{programs.count(sum(counts), 'image')}"
    if not there:
        return line
    low, high = min(there), max(there)
    spread = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    ratio = f" (imbalance {high / low:.1f})" if high > low else ""
    return f"{line}, {spread} per class{ratio}"


def _list_classes(names, counts):
    """Return the first names with the number of their images in all splits."""
    totals = np.sum(list(counts.values()), 0).tolist()
    shown = [f"{name} ({n:,})" for name, n in zip(names[:NAMED], totals, strict=False)]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(shown) + more


def _describe_pictures(source):
    """Yield a line about formats and one about sizes, from the headers of a sample."""
    from PIL import Image

    if source.collection:
        yield f"median smaller side: {source.collection.smaller_side} pixels"
        return
    formats, sides, unreadable = {}, [], 0
    train = source.splits["train"]
    for i in np.unique(np.linspace(0, len(train) - 1, LOOKED_AT).astype(int)):
        try:
            with Image.open(io.BytesIO(train.read(i))) as image:
                formats[image.format] = formats.get(image.format, 0) + 1
                sides.append(min(image.size))
        except (OSError, Image.DecompressionBombError):
            unreadable += 1
    n = programs.count(len(sides), "training image")
    kinds = ", ".join(f"{name} {n}" for name, n in sorted(formats.items()))
    yield f"formats of {n}: {kinds or 'none'}" + (f", unreadable {unreadable}" * bool(unreadable))
    if sides:
        low, middle, high = min(sides), int(np.median(sides)), max(sides)
        yield f"smaller side of {n}: {low} to {high} pixels, median {middle}"


def _describe_copies(source, duplicates):
    """Yield lines about images that are equal byte by byte."""
    n = sum(map(source.count_images, source.splits))
    if source.collection:
        return  # python -m tfrecords_tools.verify finds them
    if isinstance(source.splits["train"].contents[0], Record):
        yield "copies: not looked for in third-party shards; python -m tfrecords_tools.write does"
        return
    if n > SEARCHED and not duplicates:
        yield f"copies: not looked for among {n:,} images; --duplicates does"
        return
    yield from copies.find_copies(source).describe() or ["no copies"]
