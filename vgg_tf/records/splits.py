"""The common form of every source of images: classes, and names, labels and contents by split."""

import hashlib
import io
import json
from dataclasses import dataclass, replace

import numpy as np

from vgg_tf.records import annotations
from vgg_tf.records.framing import Record
from vgg_tf.runtime import files, remote

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Split:
    """The images of one split, in a fixed order.

    Attributes:
        names: file names below the source, unique.
        labels: int64 `[n]`, 0-based positions in the source's classes.
        contents: for each image its encoded bytes, the path of its file, or the `framing.Record`
            that holds it.
        boxes: for each image None, the path of its Pascal-VOC annotation, or a list of `(class
            name, xmin, ymin, xmax, ymax)` in pixels; or None for no boxes at all. Those of a Record
            are in it.
    """

    names: list[str]
    labels: np.ndarray
    contents: list
    boxes: list | None = None

    def __len__(self):
        """Count the images."""
        return len(self.names)

    def take(self, indices):
        """Return the split of these images alone."""
        boxes = self.boxes and [self.boxes[i] for i in indices]
        return Split(
            [self.names[i] for i in indices],
            self.labels[indices],
            [self.contents[i] for i in indices],
            boxes,
        )

    def read(self, i):
        """Return the encoded bytes of image `i`.

        Raises:
            OSError: they cannot be read; the message names the file.
        """
        content = self.contents[i]
        if isinstance(content, Record):
            return content.read().encoded
        return content if isinstance(content, bytes) else files.read(content)

    def read_size(self, i):
        """Return width and height of image `i`, in pixels, by its header.

        Raises:
            OSError, ValueError: it cannot be read; the message names it.
        """
        from PIL import Image, UnidentifiedImageError

        content = self.contents[i]
        local = isinstance(content, str) and not remote.is_remote(content)
        try:
            with Image.open(content if local else io.BytesIO(self.read(i))) as image:
                return image.size
        except UnidentifiedImageError:
            raise ValueError(
                f"{self.names[i]} is no image that can be read. Mend or remove it."
            ) from None
        except Image.DecompressionBombError as error:
            raise ValueError(f"{self.names[i]} is too large ({error}). Make it smaller.") from None

    def read_boxes(self, i, width, height):
        """Return the `annotations.Boxes` of image `i`, which is `width` by `height` pixels."""
        if isinstance(self.contents[i], Record):
            return annotations.make_boxes(*self.contents[i].read().boxes, 1, 1)
        boxes = self.boxes and self.boxes[i]
        if not boxes:
            return annotations.NO_BOXES
        if isinstance(boxes, str):
            return annotations.read_xml(boxes, width, height)
        return annotations.make_boxes(
            [box[1:] for box in boxes], [box[0] for box in boxes], width, height
        )


def find_split(source, split):
    """Return what a source, or a collection, has under the name of a split.

    Args:
        source: an object with a `name` and a dict `splits`.
        split: `train`, `validation` or `test`.

    Returns:
        The value of `splits`.

    Raises:
        ValueError: there is no such split; the message lists those there are.
    """
    if split not in source.splits:
        raise ValueError(
            f"{source.name} has no split {split!r}. It has {', '.join(source.splits)}."
        )
    return source.splits[split]


@dataclass(frozen=True)
class Source:
    """Classes and splits of single images.

    Our own shards are described by `collection.Collection`.

    Attributes:
        name: `digits`, `tfds:NAME`, or the folder's path.
        classes: class names; the label is the position.
        splits: `train`, `validation` and `test`, those that there are.
        notes: what was decided on the way, for the user to read.
        texts: the classes in words, where the source has them (`tench, Tinca tinca`), else empty.
        drawn: whether its validation split was drawn from train.
    """

    name: str
    classes: tuple[str, ...]
    splits: dict[str, Split]
    notes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    drawn: bool = False

    def count_images(self, split):
        """Return the number of images of a split.

        Raises:
            ValueError: there is no such split; the message lists those there are.
        """
        return len(find_split(self, split))

    def add_note(self, note, **changes):
        """Return the source with these changes and one more note."""
        return replace(self, notes=(*self.notes, note), **changes)

    def fingerprint(self):
        """Return a hex digest of classes, file names, labels and splits.

        It is the same for the same images in another folder.
        """
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        for split, images in sorted(self.splits.items()):
            digest.update(json.dumps([split, images.names]).encode())
            digest.update(images.labels.astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def measure_smaller_side(self, n=25):
        """Return the median smaller side of training images, in pixels; None if unreadable.

        Args:
            n: headers of up to this many images are read, spread evenly.
        """
        from PIL import Image

        train = self.splits["train"]
        sides = []
        for i in np.unique(np.linspace(0, len(train) - 1, n).astype(int)):
            content = train.contents[i]
            try:  # of a local file Pillow reads no more than the header
                local = isinstance(content, str) and not remote.is_remote(content)
                with Image.open(content if local else io.BytesIO(train.read(i))) as image:
                    sides.append(min(image.size))
            except (OSError, Image.DecompressionBombError):
                continue  # no image, damaged, or huge: whoever decodes it will name it
        return int(np.median(sides)) if sides else None
