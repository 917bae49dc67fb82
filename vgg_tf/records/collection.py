"""`dataset.json`: the classes, splits, colors and shard names of a folder of shards."""

import os
from dataclasses import asdict, dataclass

import numpy as np

from vgg_tf.records.splits import find_split
from vgg_tf.runtime import files

COLLECTION_FILE = "dataset.json"
RECIPE_FILE = "recipe.json"  # next to it, in the folder of a run


@dataclass(frozen=True)
class Collection:
    """What `dataset.json` says of a set of images.

    Attributes:
        name: where the images came from.
        fingerprint: hex digest of classes, file names, labels and splits.
        classes: class names; the 0-based label is the position.
        splits: for each split `images` (count), `per_class` (counts), `boxes` (count), `shards`
            (count; 0 for images in files), `per_shard` (counts of images; not in older
            files).
        mean_rgb: `[3]`, 0..255, each image of train weighted equally.
        covariance_rgb: `[3, 3]`, in squared gray levels, likewise.
        statistics_images: number of images that mean and covariance come from.
        smaller_side: median smaller side of the training images, in pixels.
        bytes_per_image: mean size of an encoded training image.
        notes: what was decided on the way, such as a held-out validation split.
        texts: the classes in words, where the source has them, else empty.
        seed: of the order of the records.
    """

    name: str
    fingerprint: str
    classes: tuple[str, ...]
    splits: dict[str, dict]
    mean_rgb: tuple[float, ...]
    covariance_rgb: tuple[tuple[float, ...], ...]
    statistics_images: int
    smaller_side: int
    bytes_per_image: int
    notes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    seed: int = 0

    def count_images(self, split):
        """Return the number of images of a split.

        Raises:
            ValueError: there is no such split; the message lists those there are.
        """
        return find_split(self, split)["images"]

    def compare(self, folder, split, counts):
        """Raise a ValueError if shards have other numbers of images than were written.

        Args:
            folder: of the shards.
            split: name of the split.
            counts: number of images found in each of its shards.
        """
        expected = self.splits[split].get("per_shard", counts)
        names = [make_shard_name(split, i, len(counts)) for i in range(len(counts))]
        wrong = [
            f"{name} holds {n} instead of {m}"
            for name, n, m in zip(names, counts, expected, strict=True)
            if n != m
        ]
        n = self.count_images(split)
        if wrong or sum(counts) != n:
            raise ValueError(
                f"{os.path.join(folder, COLLECTION_FILE)} tells of {n} {split} "
                f"images, not {sum(counts)}: {', '.join(wrong[:5]) or 'a shard is cut'}. Delete "
                "such shards: the command that wrote them restores them."
            )

    @property
    def std_rgb(self):
        """Standard deviation of each channel, in gray levels."""
        return tuple(self.covariance_rgb[i][i] ** 0.5 for i in range(3))

    def write(self, folder):
        """Write `dataset.json` into `folder`, whole or not at all."""
        files.write_json(os.path.join(folder, COLLECTION_FILE), {"labels_from": 0, **asdict(self)})

    @classmethod
    def read(cls, folder):
        """Read the `dataset.json` of `folder`.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is not one that `write` wrote; the message says what is wrong, and how to
                get another.
        """
        path = os.path.join(folder, COLLECTION_FILE)
        remedy = (
            "Remove it: the shards beside it can be read without, and python -m "
            f"tfrecords_tools.write {folder} OUT writes them anew with one."
        )
        try:
            values = files.read_json(path, "")
            if labels_from := values.pop("labels_from"):
                raise ValueError(f"labels from {labels_from}, expected from 0")
            values["covariance_rgb"] = tuple(tuple(row) for row in values["covariance_rgb"])
            values |= {
                key: tuple(values[key])
                for key in ("classes", "mean_rgb", "notes", "texts")
                if key in values
            }
            _check_values(values)
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error).removeprefix(f"{path} ").rstrip(". ")
            raise ValueError(f"{path} is no dataset.json of vgg_tf ({reason}). {remedy}") from error


def _check_values(values):
    """Raise a ValueError, KeyError or TypeError if what `dataset.json` says cannot be meant."""
    for split, told in values["splits"].items():
        shards, n = told["shards"], len(values["classes"])
        counts = [
            told["images"],
            told["boxes"],
            shards,
            *told["per_class"],
            *told.get("per_shard", ()),
        ]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"a count of {split} is no number from 0 on")
        for key, m in (("per_class", n), ("per_shard", shards)):
            if key in told and len(told[key]) != m:
                raise ValueError(f"{key} of {split} are {len(told[key])} counts, expected {m}")
    if not all(
        isinstance(name, str)
        for key in ("classes", "notes", "texts")
        for name in values.get(key, ())
    ):
        raise ValueError("a class or a note is no text")
    if np.shape(values["mean_rgb"]) != (3,) or np.shape(values["covariance_rgb"]) != (3, 3):
        raise ValueError("mean_rgb is not 3 numbers, or covariance_rgb not 3 times 3")
    if not np.isfinite(
        np.array([*values["mean_rgb"], *np.ravel(values["covariance_rgb"]), values["smaller_side"]])
    ).all():
        raise ValueError("a number is not finite")
    if type(values["bytes_per_image"]) is not int or values["bytes_per_image"] < 1:
        raise ValueError(f"bytes_per_image is {values['bytes_per_image']!r}")


def is_word(source):
    """Return whether a source is named by a word, `digits` or `tfds:NAME`.

    `./digits` is a folder.
    """
    return str(source) == "digits" or str(source).startswith("tfds:")


def holds_shards(source):
    """Return whether `source` is a folder with a `dataset.json`."""
    if not isinstance(source, str | os.PathLike) or is_word(source):
        return False
    return files.exists(os.path.join(source, COLLECTION_FILE))


def make_shard_name(split, index, count):
    """Return the file name of a shard, `train-00017-of-01024`."""
    return f"{split}-{index:05d}-of-{count:05d}"


def list_shards(folder, collection, split):
    """Return the paths of the shards of a split, in order.

    Raises:
        FileNotFoundError: some are not there; the message names the first.
    """
    count = collection.splits[split]["shards"]
    if not count:
        raise ValueError(
            f"{folder} is a run folder, without shards. Give the data it was trained on, "
            f"{collection.name}."
        )
    there = set(files.list_names(folder))
    names = [make_shard_name(split, i, count) for i in range(count)]
    paths = [os.path.join(folder, name) for name in names]
    missing = [path for name, path in zip(names, paths, strict=True) if name not in there]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {count} {split} shards are missing, first {missing[0]}. The "
            "command that wrote them restores them."
        )
    return paths
