"""Common form of all image sources: classes, and names, labels and contents of each split."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from vgg_tf.records import annotations, stated_sizes
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
        names: unique file names, relative to the source.
        labels: int64 `[n]`, 0-based positions in the classes of the source.
        contents: for each image its encoded bytes, the path of its file, or its `framing.Record`.
        boxes: for each image None, the path of its Pascal VOC annotation, or a list of `(class
            name, xmin, ymin, xmax, ymax)` in pixels. None if no image has boxes. The boxes of a
            Record are in the record.
    """

    names: list[str]
    labels: np.ndarray
    contents: list
    boxes: list | None = None

    def __len__(self):
        """Return the number of images."""
        return len(self.names)

    def take(self, indices):
        """Return a split of only the images at these positions."""
        boxes = self.boxes and [self.boxes[i] for i in indices]
        return Split(
            [self.names[i] for i in indices],
            self.labels[indices],
            [self.contents[i] for i in indices],
            boxes,
        )

    def read(self, i):
        """Return the encoded bytes of an image.

        Args:
            i: position of the image.

        Returns:
            bytes.

        Raises:
            OSError: the image cannot be read; the message names the file.
        """
        content = self.contents[i]
        if isinstance(content, Record):
            return content.read().encoded
        return content if isinstance(content, bytes) else files.read(content)

    def read_size(self, i):
        """Return the width and height of an image from its header.

        Args:
            i: position of the image.

        Returns:
            `(width, height)`, in pixels.

        Raises:
            OSError: the file cannot be read; the message names it.
            ValueError: the file is not an image, or the image is too large; the message names it.
        """
        from PIL import Image, UnidentifiedImageError

        content = self.contents[i]
        local = isinstance(content, str) and not remote.is_remote(content)
        try:
            with Image.open(content if local else io.BytesIO(self.read(i))) as image:
                return image.size
        except UnidentifiedImageError:
            raise ValueError(
                f"{self.names[i]} must be an image. Received: an unknown format. Fix or remove it."
            ) from None
        except Image.DecompressionBombError as error:
            raise ValueError(
                f"{self.names[i]} is too large. Received: {error}. Make the image smaller."
            ) from None

    def read_boxes(self, i, width, height, remarks=None):
        """Return the `annotations.Boxes` of image `i` of `width` by `height` pixels.

        Args:
            i: position of the image.
            width: width of the image, in pixels.
            height: height of the image, in pixels.
            remarks: dict from keys of `stated_sizes.REMARKS` to lists of names, to which the name
                of the image is added if its boxes are read in another way than stated; or None.

        Returns:
            `annotations.Boxes`.

        Raises:
            ValueError: the annotation is damaged, or its size cannot be that of the image; the
                message names it.
        """
        if isinstance(self.contents[i], Record):
            return annotations.make_boxes(*self.contents[i].read().boxes, 1, 1)
        boxes = self.boxes and self.boxes[i]
        if not boxes:
            return annotations.NO_BOXES
        found = {} if remarks is None else remarks

        def remark(kind):
            found.setdefault(kind, []).append(self.names[i])

        if isinstance(boxes, str):
            return annotations.read_xml(boxes, width, height, self.contents[i], remark)
        corners = [box[1:] for box in boxes]
        if not stated_sizes.fits(corners, (width, height)):
            remark(stated_sizes.OUTSIDE)
        return annotations.make_boxes(corners, [box[0] for box in boxes], width, height)


def find_split(source, split):
    """Return the value of a split in a source or a collection.

    Args:
        source: an object with a `name` and a dict `splits`.
        split: `train`, `validation` or `test`.

    Returns:
        The value in `splits`.

    Raises:
        ValueError: the split does not exist; the message lists the existing ones.
    """
    if split not in source.splits:
        raise ValueError(
            f"{source.name} has no split {split!r}. It has {', '.join(source.splits)}."
        )
    return source.splits[split]


@dataclass(frozen=True)
class Source:
    """Classes and splits of images.

    Shards of vgg_tf that are used as they are have their `collection`. Counts, colors and sizes are
    then read from it, and their records are scanned only when `splits` is used.

    Attributes:
        name: `digits`, `tfds:NAME`, or the path of the folder.
        classes: class names; the position is the label.
        splits: `Split` of each existing split: `train`, `validation`, `test`.
        notes: decisions about the data, for the user to read.
        texts: descriptions of the classes, such as `tench, Tinca tinca`; empty if the source has
            none.
        drawn: whether the validation split was drawn from train.
        collection: the `collection.Collection` of shards of vgg_tf of which all images are taken;
            else None.
        covariance: `[3, 3]` covariance of the colors, in squared gray levels; None if unknown.
        layout: what the source is taken for, such as `class folders`.
    """

    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    drawn: bool = False
    collection: object = None
    covariance: object = None
    layout: str = ""

    def count_images(self, split):
        """Return the number of images of a split.

        Args:
            split: name of the split.

        Returns:
            int.

        Raises:
            ValueError: the split does not exist; the message lists the existing ones.
        """
        return (
            self.collection.count_images(split) if self.collection else len(find_split(self, split))
        )

    def count_per_class(self):
        """Return the number of images of each class, for each split.

        Returns:
            `{split: [count of each class]}`.
        """
        if self.collection:
            return {name: entry["per_class"] for name, entry in self.collection.splits.items()}
        return {
            name: np.bincount(split.labels, minlength=len(self.classes)).tolist()
            for name, split in self.splits.items()
        }

    def add_note(self, note, **changes):
        """Return a copy of the source with these changes and an added note."""
        return replace(self, notes=(*self.notes, note), **changes)

    def fingerprint(self):
        """Return a hex digest of classes, file names, labels and splits.

        A copy of the images in another folder has the same digest.

        Returns:
            str of 16 characters.
        """
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        for split, images in sorted(self.splits.items()):
            digest.update(json.dumps([split, images.names]).encode())
            digest.update(images.labels.astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def measure_smaller_side(self, n=25):
        """Return the median smaller side of the training images.

        Args:
            n: maximum number of images to read, evenly spaced.

        Returns:
            int, in pixels; None if no image can be read.
        """
        if self.collection:
            return self.collection.smaller_side
        from PIL import Image

        train = self.splits["train"]
        sides = []
        for i in np.unique(np.linspace(0, len(train) - 1, n).astype(int)):
            content = train.contents[i]
            try:  # Pillow reads only the header of a local file
                local = isinstance(content, str) and not remote.is_remote(content)
                with Image.open(content if local else io.BytesIO(train.read(i))) as image:
                    sides.append(min(image.size))
            except (OSError, Image.DecompressionBombError):
                continue  # the code that decodes this image reports the error
        return int(np.median(sides)) if sides else None
