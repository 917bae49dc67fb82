"""Colours and sizes of many images: measured image by image, added up shard by shard, told in `dataset.json`."""

from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from vgg_tf import images, records

SAMPLE = 1000  # images measured where no shards were written


@dataclass
class Measures:
    """Sums over images; each image weighs the same, whatever its size.

    Attributes:
        images: how many were added.
        colour: float64 `[3]`, sum of the images' mean RGB, 0..255.
        square: float64 `[3, 3]`, sum of the images' means of `rgb rgb^T`.
        sides: `{smaller side in pixels: images}`.
        bytes: sum of the encoded sizes.
    """

    images: int = 0
    colour: np.ndarray = field(default_factory=lambda: np.zeros(3))
    square: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    sides: dict[int, int] = field(default_factory=dict)
    bytes: int = 0

    def add(self, image, size):
        """Add one image, uint8 `[h, w, 3]`, of `size` encoded bytes."""
        h, w, _ = image.shape
        pixels = image.reshape(-1, 3).astype(np.float32)
        mean = pixels.mean(0, dtype=np.float64)
        pixels -= mean.astype(np.float32)  # centred, so that the products lose no digits in float32
        square = (pixels.T @ pixels).astype(np.float64) / (h * w)
        self.images += 1
        self.colour += mean
        self.square += square + np.outer(mean, mean)
        self.sides[min(h, w)] = self.sides.get(min(h, w), 0) + 1
        self.bytes += size

    def __add__(self, other):
        """Sum over the images of both."""
        sides = {side: self.sides.get(side, 0) + other.sides.get(side, 0) for side in {*self.sides, *other.sides}}
        return Measures(
            self.images + other.images, self.colour + other.colour, self.square + other.square, sides, self.bytes + other.bytes
        )

    def to_json(self):
        """The sums as plain numbers."""
        return {**vars(self), "colour": self.colour.tolist(), "square": self.square.tolist()}

    @classmethod
    def from_json(cls, values):
        """The sums that `to_json` gave."""
        sides = {int(side): n for side, n in values["sides"].items()}
        return cls(**values | {"colour": np.array(values["colour"]), "square": np.array(values["square"]), "sides": sides})

    def collection(self, source, shards=None, notes=()):
        """What `dataset.json` says of `source`, of whose train split these are the measures.

        Args:
            source: a `sources.Source`.
            shards: number of shards of each split; None for images that lie in files.
            notes: what to tell beyond the source's own notes.
        """
        mean = self.colour / self.images
        covariance = self.square / self.images - np.outer(mean, mean)
        splits = {
            name: {
                "images": len(split),
                "shards": (shards or {}).get(name, 0),
                "per_class": np.bincount(split.labels, minlength=len(source.classes)).tolist(),
            }
            for name, split in source.splits.items()
        }
        sides = np.repeat(*map(list, zip(*sorted(self.sides.items()), strict=True)))
        return records.Collection(
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
        )


def read(content):
    """Encoded bytes of an image of a `sources.Split`, from memory or from its file."""
    if isinstance(content, bytes):
        return content
    with open(content, "rb") as file:
        return file.read()


def measure(source, sample=SAMPLE):
    """The `records.Collection` of a `sources.Source`, from up to `sample` evenly spread training images.

    Raises:
        ValueError: one of them cannot be decoded; the message names it.
    """
    train, measures = source.splits["train"], Measures()
    for i in np.unique(np.linspace(0, len(train) - 1, sample).astype(int)):
        contents = read(train.contents[i])
        measures.add(decode_named(contents, train.names[i]), len(contents))
    return measures.collection(source)


def decode_named(contents, name):
    """Decode to a numpy array, or raise a ValueError that names the file and says what is wrong with it."""
    try:
        return images.decode(contents).numpy()
    except tf.errors.InvalidArgumentError as error:
        reason = "the file is empty" if not contents else str(error.message).split("}} ")[-1].split(" [Op")[0]
        raise ValueError(f"cannot read {name}: {reason}") from error
