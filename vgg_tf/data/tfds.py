"""TensorFlow Datasets by name, read in place if they are TFRecord shards."""

from dataclasses import replace

import numpy as np

from vgg_tf.data.foreign_shards import open_shards
from vgg_tf.data.shard_files import find_shards
from vgg_tf.records.splits import SPLIT_NAMES, Source, Split
from vgg_tf.runtime import quiet

TFDS_RETRIES = 3  # tries of a download; without a network, the default takes minutes
TFDS_BYTES = 4e9  # maximum size of a dataset in another format, which is read into memory


def open_tfds(name, labels_from=None, progress=True):
    """Open a dataset of TensorFlow Datasets, and download and prepare it first if needed.

    TFRecord shards are read in place. Other formats are read into memory.

    Args:
        name: name such as `mnist`, `cifar100` or `imagenet2012:5.1.0`.
        labels_from: 0 or 1, the number of the first class; None for 0.
        progress: whether to show a bar with throughput and ETA on the standard error.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: the dataset does not exist, has no images with one label, or is too large for
            the memory; the message says what to do.
        ConnectionError: the download failed.
    """
    builder = _make_builder(name)
    _prepare(builder, name)
    folder, classes = str(builder.data_path), builder.info.features["label"].names
    if shards := find_shards(folder).splits:
        source = open_shards(folder, shards, labels_from, progress, classes)
        return replace(source, name=f"tfds:{name}", texts=())
    if (builder.info.dataset_size or 0) > TFDS_BYTES:
        raise ValueError(
            f"tfds:{name} must be at most {TFDS_BYTES / 1e9:.0f} GB to be read into memory. "
            f"Received: {builder.info.dataset_size / 1e9:.0f} GB. Prepare it with "
            "file_format='tfrecord'."
        )
    splits, notes = _read_splits(builder, name)
    if "train" not in splits:
        raise ValueError(
            f"tfds:{name} must have a train split with labels. Received splits: "
            f"{', '.join(builder.info.splits) or 'none'}. Choose another dataset."
        )
    return Source(f"tfds:{name}", tuple(classes), splits, tuple(notes))


def _make_builder(name):
    """Return the builder of a dataset of images with one label.

    Args:
        name: as for `open_tfds`.

    Returns:
        A `tfds.core.DatasetBuilder`.

    Raises:
        ValueError: the dataset does not exist, or has no images with one label.
    """
    if not name:
        raise ValueError(f"A name must follow tfds:. Received: {f'tfds:{name}'!r}. Try tfds:mnist.")
    space, _, rest = name.partition(":")
    if rest and not rest[0].isdigit() and rest[0] != "*":  # no version
        raise ValueError(
            f"tfds: must be followed by a dataset of TensorFlow Datasets itself. Received: {name}, "
            f"of {space}. Download it, and give its folder."
        )
    quiet.quiet_tensorflow()
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name)
    except (ValueError, AssertionError) as error:  # unknown name, version or configuration
        raise ValueError(
            f"TensorFlow Datasets has no {name!r} ({str(error).splitlines()[0]}). Check the name, "
            "version and configuration."
        ) from None
    features = builder.info.features
    if not {"image", "label"} <= set(features or ()):
        raise ValueError(
            f"tfds:{name} must have the features image and label. Received: "
            f"{', '.join(features or ()) or 'none'}. Choose another dataset."
        )
    return builder


def _read_splits(builder, name):
    """Read all images of a prepared dataset into memory.

    Args:
        builder: a `tfds.core.DatasetBuilder`.
        name: name of the dataset, for messages.

    Returns:
        splits: `{split: splits.Split}`.
        notes: a list with a note about each split without labels.

    Raises:
        ValueError: an image has no label, but others of its split have one.
    """
    import tensorflow_datasets as tfds

    splits, notes = {}, []
    for split in sorted(set(SPLIT_NAMES) & set(builder.info.splits or ("train", "test"))):
        decoders = {"image": tfds.decode.SkipDecoding()}
        examples = list(
            builder.as_dataset(
                split=split, decoders=decoders, shuffle_files=False
            ).as_numpy_iterator()
        )
        labels = np.array([example["label"] for example in examples], np.int64)
        if (labels < 0).all():
            notes.append(f"the {split} images have no labels: left out")
            continue
        if (labels < 0).any():
            raise ValueError(
                f"Every {split} image of tfds:{name} must have a label. Received: image "
                f"{np.argmax(labels < 0)} without a label. Prepare the dataset again."
            )
        names = [f"{split}/{i:06d}" for i in range(len(examples))]
        splits[SPLIT_NAMES[split]] = Split(
            names, labels, [example["image"] for example in examples]
        )
    return splits, notes


def _prepare(builder, name):
    """Download and prepare a dataset, unless it is prepared.

    Args:
        builder: a `tfds.core.DatasetBuilder`.
        name: name of the dataset, for messages.

    Raises:
        ValueError: the user must download the dataset by hand; the message says how.
        ConnectionError: the download failed.
    """
    import requests
    from tensorflow_datasets.core.download import downloader

    before, downloader.MAX_RETRIES = downloader.MAX_RETRIES, TFDS_RETRIES
    try:
        builder.download_and_prepare()
    except AssertionError as error:  # must be downloaded by hand; its text says how
        raise ValueError(f"tfds:{name}: {' '.join(str(error).split())}") from None
    except requests.exceptions.RequestException as error:
        reason = str(error).splitlines()[0][:200]
        raise ConnectionError(
            f"tfds:{name} is not prepared in {builder.data_path.parent} and cannot be "
            f"downloaded ({reason}). Prepare it on a machine with a network, or set "
            "TFDS_DATA_DIR to the folder that has it."
        ) from None
    finally:
        downloader.MAX_RETRIES = before
