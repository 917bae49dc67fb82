"""TensorFlow Datasets by name, read in place if their shards allow it."""

from dataclasses import replace

import numpy as np

from vgg_tf.data.foreign_shards import find_shards, open_shards
from vgg_tf.records.splits import SPLIT_NAMES, Source, Split
from vgg_tf.runtime import quiet

TFDS_RETRIES = 3  # of a download; the default takes minutes where there is no network
# Largest set that is kept in memory, where tensorflow-datasets has no shards to read in place.
TFDS_BYTES = 4e9


def open_tfds(name, labels_from=None, progress=True):
    """Open a set of tensorflow-datasets by its name, and prepare it where it is not yet.

    Its shards are read in place. What it keeps in another format is read into memory.

    Args:
        name: such as `mnist`, `cifar100` or `imagenet2012:5.1.0`.
        labels_from: 0 or 1, the number of the first class; None for 0.
        progress: a bar with rate and ETA on the standard error.

    Returns:
        A `splits.Source`.

    Raises:
        ValueError: no such set, none of images with one label, or too large for the memory; the
            message says what to do.
        ConnectionError: it must be downloaded first, and that failed.
    """
    builder = _make_builder(name)
    _prepare(builder, name)
    folder, classes = str(builder.data_path), builder.info.features["label"].names
    if shards := find_shards(folder):
        source = open_shards(folder, shards, labels_from, progress, classes)
        return replace(source, name=f"tfds:{name}", texts=())
    if (builder.info.dataset_size or 0) > TFDS_BYTES:
        raise ValueError(
            f"tfds:{name} is {builder.info.dataset_size / 1e9:.0f} GB in a format that is read "
            "into memory. Prepare it with file_format='tfrecord'."
        )
    splits, notes = _read_splits(builder, name)
    if "train" not in splits:
        raise ValueError(
            f"tfds:{name} has no train split with labels, only "
            f"{', '.join(builder.info.splits) or 'none'}."
        )
    return Source(f"tfds:{name}", tuple(classes), splits, tuple(notes))


def _make_builder(name):
    """Return the builder of a set of images with one label."""
    if not name:
        raise ValueError("tfds: is followed by the name of a set, as in tfds:mnist.")
    quiet.quiet_tensorflow()
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name)
    except (ValueError, AssertionError) as error:  # no such set, version or configuration
        raise ValueError(
            f"tensorflow-datasets has no {name!r}: {str(error).splitlines()[0]}"
        ) from None
    features = builder.info.features
    if not {"image", "label"} <= set(features or ()):
        raise ValueError(
            f"tfds:{name} has no image with one label, only {', '.join(features or ())}."
        )
    return builder


def _read_splits(builder, name):
    """Read all images of a prepared set into memory.

    Returns:
        `{split: splits.Split}`, and a list with a note about each split without labels.
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
                f"tfds:{name}, {split}, image {np.argmax(labels < 0)} has no label. Prepare the "
                "set anew."
            )
        names = [f"{split}/{i:06d}" for i in range(len(examples))]
        splits[SPLIT_NAMES[split]] = Split(
            names, labels, [example["image"] for example in examples]
        )
    return splits, notes


def _prepare(builder, name):
    """Download and prepare a set, where it is not yet."""
    import requests
    from tensorflow_datasets.core.download import downloader

    before, downloader.MAX_RETRIES = downloader.MAX_RETRIES, TFDS_RETRIES
    try:
        builder.download_and_prepare()
    except AssertionError as error:  # to be fetched by hand; the rest of the text says how
        raise ValueError(f"tfds:{name}: {' '.join(str(error).split())}") from None
    except requests.exceptions.RequestException as error:
        reason = str(error).splitlines()[0][:200]
        raise ConnectionError(
            f"tfds:{name} is not prepared in {builder.data_path.parent} and cannot be "
            f"downloaded ({reason}). Prepare it where there is a network, or set TFDS_DATA_DIR "
            "to the folder where it lies."
        ) from None
    finally:
        downloader.MAX_RETRIES = before
