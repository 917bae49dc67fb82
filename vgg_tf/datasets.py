"""A source becomes batches of static shape: one finite pass an epoch, each image's view keyed by seed, epoch and image."""

import contextlib
from dataclasses import dataclass

import tensorflow as tf

from vgg_tf import images, measures, records, sources

SHUFFLE_BYTES = 256 * 2**20  # bound of the shuffle buffer
READ_SHARDS = 16  # shards read at the same time
AUTO = tf.data.AUTOTUNE


def load_dataset(
    source,
    split="train",
    *,
    batch_size,
    epoch=0,
    size=224,
    scale=None,
    seed=0,
    training=None,
    steps=None,
    flip=True,
    shift=0.1,
    covariance=None,
    cache="none",
):
    """One pass over a split, as batches.

    Args:
        source: a folder of shards (with its `dataset.json`), of class folders, or `digits`; or an opened `sources.Source`.
        split: `train`, `validation` or `test`.
        batch_size: images a batch.
        epoch: int, number of the pass. None gives a function of the epoch instead, whose passes share the cache.
        size: side of the crop, in pixels.
        scale: smaller side of the rescaled image, in pixels; `(S_min, S_max)` to draw one per image of a training pass, where
            other passes take the middle. None is 256 for 224, in this proportion for other sizes.
        seed: with the epoch and the image itself it fixes order and views, whatever the number of threads or devices.
        training: random order and views; without it the source's order and centre crops. None: for `train`.
        steps: batches in a training pass; None for as many as are full. The images beyond are left out by chance.
        flip, shift, covariance: as for `images.train_view`; covariance None is the shards' own, and
            ImageNet's published one for images in files.
        cache: keep the images in memory, `bytes` as encoded, `pixels` decoded (before any random step), or `none`.

    Returns:
        A `tf.data.Dataset` of known length. Training: `(images, labels)`, uint8 `[batch_size, size, size, 3]` and int32
        `[batch_size]`. Else `(images, labels, mask)`: the last batch is filled up with black images of mask 0, so that a
        mean weighted by the mask, float32 `[batch_size]`, counts each image once.

    Raises:
        ValueError: no such split, more steps than the images give, or sizes that do not fit; the message says what would.
        FileNotFoundError: no such source, or shards missing.
    """
    if training is None:
        training = split == "train"
    if cache not in ("none", "bytes", "pixels"):
        raise ValueError(f"cache is 'none', 'bytes' or 'pixels'. Received: {cache!r}.")
    scale = scale or round(size * 256 / 224)
    low, high = scale if isinstance(scale, tuple | list) else (scale, scale)
    if not size <= low <= high:
        raise ValueError(f"scale must be S or (S_min, S_max), not below the crop's side of {size} pixels. Received: {scale}.")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: {batch_size}.")
    reader = _reader(source, split)
    n = reader.images
    if training:
        full = n // batch_size
        if not full or not 0 <= (steps or 0) <= full:
            raise ValueError(
                f"{n} {split} images make {full} batches of {batch_size}; {steps or 1} asked for. Lower steps or batch_size."
            )
        steps = steps or full
    base = None
    if cache != "none":
        base = reader.ordered()
        if cache == "pixels":
            base = base.map(_decoded, num_parallel_calls=AUTO)
        base = base.cache()
    covariance = reader.covariance if covariance is None else covariance

    def view(key, image, label, epoch):
        if not training:
            pixels = image if cache == "pixels" else images.decode(image)
            return images.center_view(pixels, size, (low + high) // 2), tf.cast(label, tf.int32), tf.constant(1.0)
        look = images.train_view_of_pixels if cache == "pixels" else images.train_view
        seeds = tf.stack([key, epoch + (seed << 32)])
        return look(image, seeds, size, (low, high), flip, shift, covariance), tf.cast(label, tf.int32)

    def one(epoch):
        epoch = tf.constant(epoch, tf.int64)
        if not training:
            examples = base or reader.ordered()
        elif base is not None:
            # The whole order at once: the buffer shares its memory with the cache.
            examples = _shuffled(base, n, seed, epoch)
        else:
            examples = reader.shuffled(seed, epoch)
        examples = examples.map(lambda key, image, label: view(key, image, label, epoch), num_parallel_calls=AUTO)
        if training:
            batches = examples.batch(batch_size, drop_remainder=True, num_parallel_calls=AUTO).take(steps)
            count = steps
        else:
            blank = (tf.zeros([size, size, 3], tf.uint8), tf.constant(0), tf.constant(0.0))
            padding = tf.data.Dataset.from_tensors(blank).repeat(-n % batch_size)
            batches = examples.concatenate(padding).batch(batch_size, drop_remainder=True, num_parallel_calls=AUTO)
            count = -(-n // batch_size)
        # Keras makes one step too many, on dead data, on a dataset of unknown length (keras#23084).
        batches = batches.apply(tf.data.experimental.assert_cardinality(count)).prefetch(AUTO)
        options = tf.data.Options()
        options.deterministic = True
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return batches.with_options(options)

    return one if epoch is None else one(epoch)


@contextlib.contextmanager
def naming_the_unreadable(source):
    """Turn a read or decode error of TensorFlow, which names no file, into a ValueError that names all unreadable ones.

    Args:
        source: what the failing data set was made from.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.NotFoundError):
        if not (found := list(_unreadable(source))):
            raise
        raise ValueError("what follows cannot be read; mend it, or remove it:\n  " + "\n  ".join(found)) from None


def _unreadable(source):
    """Go through everything, one by one."""
    if records.holds_shards(source):
        collection = records.Collection.read(source)
        for path in (path for split in collection.splits for path in records.shard_paths(source, collection, split)):
            n = 0
            try:
                for _ in tf.data.TFRecordDataset(path):
                    n += 1
            except tf.errors.DataLossError:
                yield f"{path}: corrupted after record {n}; delete the folder and write it anew"
        return
    for split in _opened(source).splits.values():
        for name, content in zip(split.names, split.contents, strict=True):
            try:
                measures.decode_named(measures.read(content), name)
            except (ValueError, OSError) as error:
                yield str(error)


@dataclass
class _Reader:
    """A split as `(key, encoded bytes, label)`, in its own order or in that of an epoch."""

    images: int
    covariance: object
    ordered: object
    shuffled: object


def _reader(source, split):
    return _shard_reader(str(source), split) if records.holds_shards(source) else _file_reader(source, split)


def _shard_reader(folder, split):
    collection = records.Collection.read(folder)
    n = collection.images(split)
    paths = records.shard_paths(folder, collection, split)

    def examples(paths):
        return tf.data.Dataset.from_tensor_slices(paths).interleave(
            lambda path: tf.data.TFRecordDataset(path, buffer_size=2**23),
            cycle_length=min(READ_SHARDS, collection.splits[split]["shards"]),
            num_parallel_calls=AUTO,
            deterministic=True,
        )

    def parse(serialized):
        return _keyed(*records.parse(serialized))

    def shuffled(seed, epoch):
        order = tf.random.experimental.stateless_shuffle(paths, seed=tf.stack([tf.constant(seed, tf.int64), epoch]))
        buffer = max(1, min(n, SHUFFLE_BYTES // collection.bytes_per_image))
        return _shuffled(examples(order), buffer, seed, epoch).map(parse, num_parallel_calls=AUTO)

    return _Reader(n, collection.covariance_rgb, lambda: examples(paths).map(parse, num_parallel_calls=AUTO), shuffled)


def _file_reader(source, split):
    source = _opened(source)
    n = source.images(split)
    files = source.splits[split]
    contents = tf.data.Dataset.from_tensor_slices((files.contents, files.labels))

    def read(content, label):
        return _keyed(content if isinstance(files.contents[0], bytes) else tf.io.read_file(content), label)

    def shuffled(seed, epoch):
        return _shuffled(contents, n, seed, epoch).map(read, num_parallel_calls=AUTO)

    def ordered():
        return contents.map(read, num_parallel_calls=AUTO)

    return _Reader(n, images.IMAGENET_COVARIANCE, ordered, shuffled)


def _opened(source):
    return source if isinstance(source, sources.Source) else sources.open_source(str(source))


def _shuffled(dataset, buffer, seed, epoch):
    """Shuffle by seed and epoch alone: by itself tf.data mixes in the global seed, which is fixed here for this one step."""
    key = int(tf.random.stateless_uniform([], [seed, int(epoch)], 1, 2**31 - 1, tf.int32))

    def shuffle(_):
        tf.compat.v1.set_random_seed(0)  # of the graph of this function
        return dataset.shuffle(buffer, seed=key, reshuffle_each_iteration=False)

    return tf.data.Dataset.from_tensors(0).flat_map(shuffle)


def _keyed(contents, label):
    """The key is a digest of the image itself, so that its view does not depend on how it is stored."""
    return tf.strings.to_hash_bucket_fast(contents, 2**62), contents, label


def _decoded(key, contents, label):
    return key, images.decode(contents), label
