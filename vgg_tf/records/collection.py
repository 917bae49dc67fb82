"""`dataset.json`: classes, splits, color statistics and shard names of a folder of shards."""

import os
from dataclasses import asdict, dataclass

from vgg_tf.runtime import files, schemas
from vgg_tf.runtime.schemas import Fields, Many, Named, Number, Text

COLLECTION_FILE = "dataset.json"
RECIPE_FILE = "recipe.json"  # next to dataset.json in a run folder


@dataclass(frozen=True)
class Collection:
    """Contents of `dataset.json`, which describes a set of images.

    Attributes:
        name: source of the images.
        fingerprint: hex digest of classes, file names, labels and splits.
        classes: class names; the position is the 0-based label.
        splits: dict for each split: `images` (count), `per_class` (counts), `boxes` (count),
            `shards` (count; 0 for images in files) and `per_shard` (counts of images; not in older
            files).
        mean_rgb: `[3]`, 0..255, with equal weight for each training image.
        covariance_rgb: `[3, 3]`, in squared gray levels, with equal weight for each training image.
        statistics_images: number of images behind mean and covariance.
        smaller_side: median smaller side of the training images, in pixels.
        bytes_per_image: mean size of an encoded training image, in bytes.
        notes: decisions about the data, such as a held-out validation split.
        texts: descriptions of the classes; empty if the source has none.
        seed: seed of the order of the records.
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

        Args:
            split: name of the split.

        Returns:
            int.

        Raises:
            ValueError: the split does not exist; the message lists the existing ones.
        """
        from vgg_tf.records.splits import find_split

        return find_split(self, split)["images"]

    def compare(self, folder, split, counts):
        """Check that shards have the numbers of images that were written.

        Args:
            folder: folder of the shards.
            split: name of the split.
            counts: number of images found in each shard of the split.

        Raises:
            ValueError: the numbers differ; the message names the shards.
        """
        expected = self.splits[split].get("per_shard", counts)
        names = [make_shard_name(split, i, len(counts)) for i in range(len(counts))]
        wrong = [
            f"{name} has {n} instead of {m}"
            for name, n, m in zip(names, counts, expected, strict=True)
            if n != m
        ]
        n = self.count_images(split)
        if wrong or sum(counts) != n:
            raise ValueError(
                f"The {split} shards must have the {n} images of "
                f"{os.path.join(folder, COLLECTION_FILE)}. Received: {sum(counts)} "
                f"({', '.join(wrong[:5]) or 'a shard is truncated'}). Delete these shards and run "
                "the command that wrote them again."
            )

    @property
    def std_rgb(self):
        """Standard deviation of each channel, in gray levels."""
        return tuple(self.covariance_rgb[i][i] ** 0.5 for i in range(3))

    def write(self, folder):
        """Write `dataset.json` into `folder` atomically."""
        files.write_json(os.path.join(folder, COLLECTION_FILE), {"labels_from": 0, **asdict(self)})

    @classmethod
    def read(cls, folder):
        """Read the `dataset.json` of `folder`.

        Args:
            folder: folder of the shards.

        Returns:
            A `Collection`.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: the file is not as `write` wrote it; the message names the problem and the
                remedy.
        """
        path = os.path.join(folder, COLLECTION_FILE)
        remedy = (
            "Remove the file: the shards can be read without it. To write them again with one, "
            f"run python -m tfrecords_tools.write {folder} OUT."
        )
        called = "a dataset.json of vgg_tf"
        values = schemas.read(path, _SCHEMA, called, remedy)
        with schemas.naming(path, called, remedy):
            _check_lengths(values)
        values = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in _SCHEMA.select(values).items()
            if key != "labels_from"
        }
        values["covariance_rgb"] = tuple(map(tuple, values["covariance_rgb"]))
        return cls(**values)


_COUNT, _TEXTS = Number(), Many(Text(), schemas.MOST_CLASSES)
_GRAY = Number(-(255**2), 255**2, whole=False)
_SPLIT = Fields(
    {
        "images": _COUNT,
        "per_class": Many(_COUNT, schemas.MOST_CLASSES),
        "boxes": _COUNT,
        "shards": Number(0, schemas.MOST_SHARDS),
    },
    {"per_shard": Many(_COUNT, schemas.MOST_SHARDS)},
)
_SCHEMA = Fields(
    {
        "labels_from": Number(0, 0),
        "name": Text(),
        "fingerprint": Text(),
        "classes": schemas.CLASSES,
        "splits": Named(_SPLIT, Text(choices=("train", "validation", "test"))),
        "mean_rgb": Many(Number(0, 255, whole=False), 3, 3),
        "covariance_rgb": Many(Many(_GRAY, 3, 3), 3, 3),
        "statistics_images": _COUNT,
        "smaller_side": Number(0, 10**6, whole=False),
        "bytes_per_image": Number(1, 2**31),
    },
    {"notes": _TEXTS, "texts": _TEXTS, "seed": Number(0, 2**63)},
)


def _check_lengths(values):
    """Raise a ValueError if counts of `dataset.json` contradict each other."""
    for split, entry in values["splits"].items():
        for key, n in (("per_class", len(values["classes"])), ("per_shard", entry["shards"])):
            if key in entry and len(entry[key]) != n:
                raise ValueError(f"{key} of {split} must have {n} counts, not {len(entry[key])}")
    if min(values["covariance_rgb"][i][i] for i in range(3)) < 0:
        raise ValueError("the variances in covariance_rgb must be 0 or more")


def is_word(source):
    """Return whether a source is the word `digits` or `tfds:NAME`, not a path.

    `./digits` is a path.

    Args:
        source: name or path of a source.

    Returns:
        True for a word.
    """
    return str(source) == "digits" or str(source).startswith("tfds:")


def holds_shards(source):
    """Return whether a source is a folder with a `dataset.json`."""
    if not isinstance(source, str | os.PathLike) or is_word(source):
        return False
    return files.exists(os.path.join(source, COLLECTION_FILE))


def make_shard_name(split, index, count):
    """Return the file name of a shard, such as `train-00017-of-01024`."""
    return f"{split}-{index:05d}-of-{count:05d}"


def list_shards(folder, collection, split):
    """Return the paths of the shards of a split, in order.

    Args:
        folder: folder of the shards.
        collection: its `Collection`.
        split: name of the split.

    Returns:
        list of paths.

    Raises:
        FileNotFoundError: some shards are missing; the message names the first one.
        ValueError: the folder is a run folder, which has no shards.
    """
    count = collection.splits[split]["shards"]
    if not count:
        raise ValueError(
            f"{folder} must be a folder of shards. Received: a run folder. Give the data of the "
            f"run: {collection.name}."
        )
    there = set(files.list_names(folder))
    names = [make_shard_name(split, i, count) for i in range(count)]
    paths = [os.path.join(folder, name) for name in names]
    missing = [path for name, path in zip(names, paths, strict=True) if name not in there]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {count} {split} shards are missing, first {missing[0]}. Run the "
            "command that wrote them again."
        )
    return paths
