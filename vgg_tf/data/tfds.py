"""TensorFlow Datasets by name, read in place if their shards allow it."""

import numpy as np

from vgg_tf.data.foreign_shards import open_shards, shards_in
from vgg_tf.records.splits import SPLIT_NAMES, Source, Split
from vgg_tf.runtime import quiet

TFDS_RETRIES = 3  # of a download; its own 10 and more take minutes to say that there is no network
# Of pictures kept in memory, where tensorflow-datasets has no shards that can be read in place.
TFDS_BYTES = 4e9


def open_tfds(name, labels_from=None, progress=True):
    """A set of tensorflow-datasets by its name, prepared where it is not yet: `mnist`, `cifar100`,
    `imagenet2012:5.1.0`.

    Its shards are read in place; what it keeps in another format is read into memory.

    Raises:
        ValueError: no such set, none of images with one label, or too large for the memory; the
            message says what to do.
        ConnectionError: it must be downloaded first, and that failed.
    """
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
    _prepare(builder, name)
    if shards := shards_in(str(builder.data_path)):
        source = open_shards(
            str(builder.data_path), shards, labels_from, progress, features["label"].names
        )
        return Source(f"tfds:{name}", source.classes, source.splits, source.notes)
    if (builder.info.dataset_size or 0) > TFDS_BYTES:
        raise ValueError(
            f"tfds:{name} is {builder.info.dataset_size / 1e9:.0f} GB in a format that is read "
            "into memory. Prepare it with file_format='tfrecord'."
        )
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
    if "train" not in splits:
        raise ValueError(
            f"tfds:{name} has no train split with labels, only "
            f"{', '.join(builder.info.splits) or 'none'}."
        )
    return Source(f"tfds:{name}", tuple(features["label"].names), splits, tuple(notes))


def _prepare(builder, name):
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
