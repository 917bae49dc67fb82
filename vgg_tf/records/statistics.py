"""Colors and sizes of many images, for `dataset.json`.

They are measured image by image and added up shard by shard.
"""

from dataclasses import dataclass, field

import numpy as np

from vgg_tf.images.colors import measure_colors
from vgg_tf.images.decoding import decode_named
from vgg_tf.records.collection import Collection

SAMPLE = 1000  # images measured where no shards were written


@dataclass
class Measures:
    """Sums over images; each image weighs the same, whatever its size.

    Attributes:
        images: how many were added.
        color: float64 `[3]`, sum of the images' mean RGB, 0..255.
        square: float64 `[3, 3]`, sum of the images' means of `rgb rgb^T`.
        sides: `{smaller side in pixels: images}`.
        bytes: sum of the encoded sizes.
    """

    images: int = 0
    color: np.ndarray = field(default_factory=lambda: np.zeros(3))
    square: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    sides: dict[int, int] = field(default_factory=dict)
    bytes: int = 0

    def add(self, mean, covariance, smaller_side, size):
        """Add one image.

        Args:
            mean: of its colors, as `colors.measure_colors` returns it.
            covariance: likewise.
            smaller_side: in pixels.
            size: of the encoded image, in bytes.
        """
        mean = np.asarray(mean, np.float64)
        self.images += 1
        self.color += mean
        self.square += np.asarray(covariance, np.float64) + mean[:, None] * mean
        self.sides[int(smaller_side)] = self.sides.get(int(smaller_side), 0) + 1
        self.bytes += size

    def __add__(self, other):
        """Return the sums over the images of both."""
        sides = {
            side: self.sides.get(side, 0) + other.sides.get(side, 0)
            for side in {*self.sides, *other.sides}
        }
        return Measures(
            self.images + other.images,
            self.color + other.color,
            self.square + other.square,
            sides,
            self.bytes + other.bytes,
        )

    def to_json(self):
        """Return the sums as plain numbers."""
        return {
            "images": self.images,
            "colour": self.color.tolist(),  # the key that interrupted runs have
            "square": self.square.tolist(),
            "sides": self.sides,
            "bytes": self.bytes,
        }

    @classmethod
    def from_json(cls, values):
        """Return the sums that `to_json` returned."""
        return cls(
            images=values["images"],
            color=np.array(values["colour"]),
            square=np.array(values["square"]),
            sides={int(side): n for side, n in values["sides"].items()},
            bytes=values["bytes"],
        )

    def make_collection(self, source, splits=None, notes=(), seed=0):
        """Return the `collection.Collection` of a source.

        Args:
            source: a `splits.Source`. These are the measures of its train split.
            splits: what was written of each split, as in `Collection.splits`; None for images in
                files.
            notes: added to the source's own notes.
            seed: of the order of the records.
        """
        mean = self.color / self.images
        covariance = self.square / self.images - np.outer(mean, mean)
        splits = splits or {
            name: describe_split(split.labels, len(source.classes))
            for name, split in source.splits.items()
        }
        sides = np.repeat(*map(list, zip(*sorted(self.sides.items()), strict=True)))
        return Collection(
            name=source.name,
            fingerprint=source.fingerprint(),
            classes=tuple(source.classes),
            splits=splits,
            mean_rgb=tuple(mean.round(4).tolist()),
            covariance_rgb=tuple(tuple(row) for row in covariance.round(4).tolist()),
            statistics_images=self.images,
            smaller_side=int(np.median(sides)),
            bytes_per_image=round(self.bytes / self.images),
            notes=(*source.notes, *notes),
            texts=tuple(source.texts),
            seed=seed,
        )


def describe_split(labels, classes, per_shard=(), boxes=0):
    """Return the entry of a split in `Collection.splits`.

    Args:
        labels: of its images.
        classes: number of classes.
        per_shard: number of images in each shard.
        boxes: number of boxes.
    """
    return {
        "images": len(labels),
        "per_class": np.bincount(labels, minlength=classes).tolist(),
        "boxes": boxes,
        "shards": len(per_shard),
        "per_shard": list(per_shard),
    }


def measure(source, sample=SAMPLE):
    """Return the `collection.Collection` of a source of images in files.

    Args:
        source: a `splits.Source`.
        sample: up to this many training images are measured, spread evenly.

    Raises:
        ValueError: one of them cannot be decoded; the message names it.
    """
    train, measures = source.splits["train"], Measures()
    for i in np.unique(np.linspace(0, len(train) - 1, sample).astype(int)):
        contents = train.read(i)
        image = decode_named(contents, train.names[i])
        measures.add(*measure_colors(image), min(image.shape[:2]), len(contents))
    return measures.make_collection(source)
