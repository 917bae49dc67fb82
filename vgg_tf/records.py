"""The TFRecord schema both ways, and `dataset.json` beside the shards: the only file that knows their keys and names.

The keys are the ones that slim, Cloud TPU and Model Garden share; labels are 0-based.
"""

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

COLLECTION_FILE = "dataset.json"

ENCODED = "image/encoded"
LABEL = "image/class/label"


@dataclass(frozen=True)
class Collection:
    """What `dataset.json` says of a set of images.

    Attributes:
        name: where the images came from.
        fingerprint: hex digest of classes, file names, labels and splits.
        classes: class names; the 0-based label is the position.
        splits: for each split `images` (count), `per_class` (counts), `shards` (count; 0 for images that lie in files).
        mean_rgb: `[3]`, 0..255, each image of train weighted equally.
        covariance_rgb: `[3, 3]`, in squared grey levels, likewise.
        statistics_images: number of images that mean and covariance come from.
        smaller_side: median smaller side of the training images, in pixels.
        bytes_per_image: mean size of an encoded training image.
        notes: what was decided on the way, such as a held-out validation split.
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

    def images(self, split):
        """Number of images of a split.

        Raises:
            ValueError: there is no such split; the message lists those there are.
        """
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}. It has {', '.join(self.splits)}.")
        return self.splits[split]["images"]

    @property
    def std_rgb(self):
        """Standard deviation of each channel, in grey levels."""
        return tuple(self.covariance_rgb[i][i] ** 0.5 for i in range(3))

    def write(self, folder):
        """Write `dataset.json` into `folder`, whole or not at all."""
        write_whole(Path(folder) / COLLECTION_FILE, json.dumps({"labels_from": 0, **asdict(self)}, indent=1).encode())

    @classmethod
    def read(cls, folder):
        """Read the `dataset.json` of `folder`.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is not one that `write` wrote.
        """
        path = Path(folder) / COLLECTION_FILE
        try:
            values = json.loads(path.read_text())
            if labels_from := values.pop("labels_from"):
                raise ValueError(f"labels from {labels_from}, expected from 0")
            values["covariance_rgb"] = tuple(tuple(row) for row in values["covariance_rgb"])
            values |= {key: tuple(values[key]) for key in ("classes", "mean_rgb", "notes")}
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # broken JSON and foreign bytes are ValueErrors
            raise ValueError(f"{path} is no dataset.json of vgg_tf ({error}). Write the shards anew.") from error


def holds_shards(source):
    """Tell whether `source` is a folder with a `dataset.json`. The word `digits` is no folder; `./digits` is one."""
    return isinstance(source, str | Path) and str(source) != "digits" and (Path(source) / COLLECTION_FILE).exists()


def write_whole(path, data):
    """Write bytes so that whoever reads `path` finds all of them, or what was there before."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    settle(temporary, path)


def settle(temporary, path):
    """Give a file that is written to its end its final name, once the disk has it."""
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


@contextlib.contextmanager
def one_writer(lock, busy):
    """Within, this process alone holds the lock file `lock`, made where there is none; a killed process holds none.

    Raises:
        BlockingIOError: another process holds it; with the message `busy`.
    """
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(busy) from None
        yield


def shard_name(split, index, count):
    """File name of a shard, `train-00017-of-01024`."""
    return f"{split}-{index:05d}-of-{count:05d}"


def shard_paths(folder, collection, split):
    """Paths of the shards of a split, in order.

    Raises:
        FileNotFoundError: some are not there; the message names the first.
    """
    count = collection.splits[split]["shards"]
    if not count:
        raise ValueError(f"{folder} is a run folder, without shards. Give the data it was trained on, {collection.name}.")
    paths = [str(Path(folder) / shard_name(split, i, count)) for i in range(count)]
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {count} {split} shards are missing, first {missing[0]}. Delete the folder and write it anew."
        )
    return paths


def serialize(contents, image_format, height, width, label, class_name, filename):
    """One image as a serialised `tf.train.Example`.

    Args:
        contents: bytes, an RGB or grey JPEG, or an 8-bit PNG.
        image_format: `JPEG` or `PNG`.
        height, width: pixels.
        label: 0-based.
        class_name, filename: str.

    Returns:
        bytes.
    """
    import tensorflow as tf

    def text(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    def number(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    features = {
        ENCODED: tf.train.Feature(bytes_list=tf.train.BytesList(value=[contents])),
        "image/format": text(image_format),
        "image/height": number(height),
        "image/width": number(width),
        "image/colorspace": text("RGB"),
        "image/channels": number(3),
        "image/filename": text(filename),
        LABEL: number(label),
        "image/class/synset": text(class_name),  # the folder's name, which is the synset in ImageNet's layout
        "image/class/text": text(class_name),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)  # else the keys' order differs from process to process


def parse(serialized):
    """Encoded bytes and label of a serialised Example: a scalar string and a scalar int64. For use in `tf.data`."""
    import tensorflow as tf

    features = {ENCODED: tf.io.FixedLenFeature([], tf.string), LABEL: tf.io.FixedLenFeature([], tf.int64)}
    example = tf.io.parse_single_example(serialized, features)
    return example[ENCODED], example[LABEL]
