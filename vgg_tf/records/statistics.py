"""Statistics of the colors and sizes of images, for `dataset.json`.

Images are measured one by one, and the sums of shards are added.
"""

from dataclasses import dataclass, field

import numpy as np

from vgg_tf.images.colors import measure_colors
from vgg_tf.images.decoding import decode_named
from vgg_tf.records.collection import Collection

SAMPLE = 1000  # images measured in a source without shards


@dataclass
class Measures:
    """Sums over images, with equal weight for images of all sizes.

    Attributes:
        images: number of images.
        color: float64 `[3]`, sum of the mean RGB of each image, 0..255.
        square: float64 `[3, 3]`, sum of the mean of `rgb rgb^T` of each image.
        sides: dict from smaller sides in pixels to numbers of images.
        bytes: sum of the encoded sizes, in bytes.
    """

    images: int = 0
    color: np.ndarray = field(default_factory=lambda: np.zeros(3))
    square: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    sides: dict[int, int] = field(default_factory=dict)
    bytes: int = 0

    def add(self, mean, covariance, smaller_side, size):
        """Add one image.

        Args:
            mean: mean RGB `[3]`, from `colors.measure_colors`.
            covariance: covariance of RGB `[3, 3]`, from `colors.measure_colors`.
            smaller_side: smaller side, in pixels.
            size: size of the encoded image, in bytes.
        """
        mean = np.asarray(mean, np.float64)
        self.images += 1
        self.color += mean
        self.square += np.asarray(covariance, np.float64) + mean[:, None] * mean
        self.sides[int(smaller_side)] = self.sides.get(int(smaller_side), 0) + 1
        self.bytes += size

    def __add__(self, other):
        """Return the sums over all images of both."""
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
        """Return the sums as JSON values."""
        return {
            "images": self.images,
            "colour": self.color.tolist(),  # key in files of interrupted runs
            "square": self.square.tolist(),
            "sides": self.sides,
            "bytes": self.bytes,
        }

    @classmethod
    def from_json(cls, values):
        """Return the `Measures` of JSON values from `to_json`."""
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
            source: a `splits.Source`, whose train split these measures describe.
            splits: entries of the written splits, as in `Collection.splits`; None for images in
                files.
            notes: notes to add to those of the source.
            seed: seed of the order of the records.

        Returns:
            A `collection.Collection`.
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
        labels: int `[n]`, labels of the images.
        classes: number of classes.
        per_shard: number of images in each shard.
        boxes: number of boxes.

    Returns:
        dict with JSON values.
    """
    return {
        "images": len(labels),
        "per_class": np.bincount(labels, minlength=classes).tolist(),
        "boxes": boxes,
        "shards": len(per_shard),
        "per_shard": list(per_shard),
    }


def measure(source, sample=SAMPLE):
    """Return the `collection.Collection` of a source.

    Shards of vgg_tf have one. Of other sources, a sample of the images is read.

    Args:
        source: a `splits.Source`.
        sample: maximum number of training images to measure, evenly spaced.

    Returns:
        A `collection.Collection`.

    Raises:
        ValueError: an image cannot be decoded; the message names it.
    """
    if source.collection:
        return source.collection
    train, measures = source.splits["train"], Measures()
    for i in np.unique(np.linspace(0, len(train) - 1, sample).astype(int)):
        try:
            contents = train.read(i)
            image = decode_named(contents, train.names[i])
        except (ValueError, OSError) as error:
            raise ValueError(
                f"{error}. Fix or remove it, or leave out all unreadable ones with --skip-bad."
            ) from None
        measures.add(*measure_colors(image), min(image.shape[:2]), len(contents))
    return measures.make_collection(source)
