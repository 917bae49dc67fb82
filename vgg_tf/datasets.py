"""A source becomes batches of static shape: one finite pass an epoch, each image's view keyed by seed, epoch and image."""

import contextlib
import functools
import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vgg_tf import batched_views, decoding, foreign, images, measures, passes, records, soundness, sources
from vgg_tf.colours import IMAGENET_COVARIANCE
from vgg_tf.selection import EVERYTHING
from vgg_tf.splits import Source
from vgg_tf.untuned import BATCHES, untuned

SHUFFLE_BYTES = 256 * 2**20  # bound of the shuffle buffer
READ_SHARDS = 16  # shards read at the same time
SMALL = 64  # pixels, the largest side of a crop whose views are cut by the batch
AUTO = tf.data.AUTOTUNE
# A bad image or label, a bad checksum, a missing file, fewer images than dataset.json tells of; a file that may not be
# read, or not be reached; what the disk says.
READ_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.FailedPreconditionError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnauthenticatedError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)


def load_dataset(
    source, split="train", *, batch_size, epoch=None, size=224, scale=None, seed=0, training=None, steps=None,
    flip=True, shift=0.1, covariance=None, padding=0, cutout=0, cache="none", selection=EVERYTHING, part=(0, 1),
):  # fmt: skip
    """Read a split as batches, for `fit`, `evaluate` or a loop.

    Example:
        Each pass of a training dataset has an order and views of its own:

            model.fit(load_dataset("digits", batch_size=32, size=32, flip=False), epochs=12, shuffle=False)

    Args:
        source: a folder of our shards (with their `dataset.json`); anything that `sources.open_source` opens, such as class
            folders, the ILSVRC competition's, others' shards, `tfds:NAME`, `digits`; or an opened `splits.Source`.
        split: `train`, `validation` or `test`.
        batch_size: images a batch.
        epoch: int, the one pass to read, from 0. None: each pass over the dataset is the next epoch, from 0. Keras may open a
            pass that it does not train on (JAX does so in the first `fit`); where the number of the pass must be the number
            of the epoch, use `load_epochs`.
        size: side of the crop, in pixels.
        scale: smaller side of the rescaled image, in pixels; `(S_min, S_max)` to draw one per image of a training pass, where
            other passes take the middle. None is 256 for 224, in this proportion for other sizes.
        seed: with the epoch and the image itself it fixes order and views, whatever the number of threads or devices.
        training: random order and views; without it a fixed order (shards interleaved) and centre crops. None: for `train`.
        steps: batches in a training pass; None for as many as are full. The images beyond are left out by chance.
        flip, shift, covariance, padding, cutout: as for `images.train_view`; covariance None is the shards' own, and
            ImageNet's published one for images in files.
        cache: keep the images in memory, `bytes` as encoded, `pixels` decoded (before any random step), or `none`.
        selection: a `selection.Selection` of classes and images; of our shards it means to read them through once more.
        part: `(process, processes)`, of several processes that share each batch. A training pass from shards takes this
            process's share from shards of its own. From files, and from a cache, it takes its rows of the batches that one
            process alone would make. Other passes take a range of the split. All have the same number of batches.

    Returns:
        A `tf.data.Dataset` of known length. Training: `(images, labels)`, uint8 `[batch_size, size, size, 3]` and int32
        `[batch_size]`. Else `(images, labels, mask)`: the last batch is filled up with black images of mask 0, so that a
        mean weighted by the mask, float32 `[batch_size]`, counts each image once. Of several processes each has its part
        of these rows.

    Raises:
        ValueError: no such split, more steps than the images give, or sizes that do not fit; the message says what would.
        FileNotFoundError: no such source, or shards missing.
    """
    one = load_epochs(
        source, split, batch_size=batch_size, size=size, scale=scale, seed=seed, training=training, steps=steps,
        flip=flip, shift=shift, covariance=covariance, padding=padding, cutout=cutout, cache=cache, selection=selection,
        part=part,
    )  # fmt: skip
    if epoch is not None:
        return one(epoch)
    first = one(0)
    if len(first.element_spec) == 3:  # with a mask: all passes are the same
        return first
    return _finished(passes.counting(one, len(first)), len(first))


def load_epochs(
    source, split="train", *, batch_size, size=224, scale=None, seed=0, training=None, steps=None, flip=True, shift=0.1,
    covariance=None, padding=0, cutout=0, cache="none", selection=EVERYTHING, part=(0, 1),
):  # fmt: skip
    """Return a function of the epoch that reads it as `load_dataset` does; its epochs share one cache.

    Args:
        source, split, batch_size, size, scale, seed, training, steps, flip, shift, covariance, padding, cutout, cache, selection,
            part: as for `load_dataset`.

    Returns:
        A function: epoch, an int or an int64 scalar tensor, to a `tf.data.Dataset` as `load_dataset` gives it.

    Raises:
        ValueError, FileNotFoundError: as `load_dataset`.
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
    share = _Share(*part, batch_size)
    if batch_size % share.processes:
        raise ValueError(f"{share.processes} processes share a batch; {batch_size} does not divide by it.")
    reader = _reader(source, split, selection, share)
    n = reader.images
    if n < share.processes:
        raise ValueError(f"{n} {split} images are fewer than {share.processes} processes.")
    if training:
        full = n // batch_size
        if not full or not 0 <= (steps or 0) <= full:
            raise ValueError(
                f"{n} {split} images make {full} batches of {batch_size}; {steps or 1} asked for. Lower steps or batch_size."
            )
    count = (steps or full) if training else -(-n // batch_size)
    base = None
    if cache != "none":
        base = reader.ordered(0, n) if training else reader.ordered(*share.range(n))
        if cache == "pixels":
            base = base.map(_decoded, num_parallel_calls=AUTO)
        base = base.cache()
    covariance = reader.covariance if covariance is None else covariance
    colours = tuple(map(tuple, np.asarray(covariance).tolist()))
    decoded = cache == "pixels"
    view = (
        _random_view(decoded, size, low, high, flip, shift, colours, padding, cutout)
        if training
        else _centre_view(decoded, size, (low + high) // 2)
    )

    by_the_batch = training and cache == "pixels" and size == low == high <= SMALL and not shift

    def one(epoch):
        epoch = tf.cast(epoch, tf.int64)
        number = epoch + (seed << 32)
        if not training:
            examples = base or reader.ordered(*share.range(n))
        elif base is not None:
            # The whole order at once: the buffer shares its memory with the cache.
            examples = share.rows(_shuffled(base, n, seed, epoch))
        else:
            examples = reader.shuffled(seed, epoch)
        if by_the_batch:
            batches = batched_views.batches(examples, number, share.batch, size, flip, padding, cutout)
        else:
            examples = examples.map(lambda key, image, label: view(key, image, label, number), num_parallel_calls=AUTO)
            if not training:
                blank = (tf.zeros([size, size, 3], tf.uint8), tf.constant(0), tf.constant(0.0))
                start, end = share.range(n)
                examples = examples.concatenate(tf.data.Dataset.from_tensors(blank).repeat(count * share.batch - (end - start)))
            batches = examples.batch(share.batch, drop_remainder=True, num_parallel_calls=BATCHES)
        return _finished(batches.take(count) if training else batches, count)

    return one


def _finished(batches, count):
    """The dataset as it is handed over: of known length, two batches ahead, in an order that threads do not change."""
    # Keras makes one step too many, on dead data, on a dataset of unknown length (keras#23084).
    batches = batches.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return untuned(batches.with_options(options))


# All epochs, and all datasets that show the same views, share one graph of a view, which takes 0.3 s to trace.


@functools.lru_cache
def _random_view(decoded, size, low, high, flip, shift, covariance, padding, cutout):
    look = images.train_view_of_pixels if decoded else images.train_view

    @tf.function(autograph=False)
    def view(key, image, label, number):
        seeds = tf.stack([key, number])
        return look(image, seeds, size, (low, high), flip, shift, covariance, padding, cutout), tf.cast(label, tf.int32)

    return view


@functools.lru_cache
def _centre_view(decoded, size, scale):
    @tf.function(autograph=False)
    def view(key, image, label, number):
        pixels = image if decoded else decoding.decode(image)
        return images.center_view(pixels, size, scale), tf.cast(label, tf.int32), tf.constant(1.0)

    return view


@contextlib.contextmanager
def naming_the_unreadable(source):
    """Turn a read or decode error of TensorFlow, which names no file, into a ValueError that names all unreadable ones.

    Args:
        source: what the failing data set was made from.
    """
    try:
        yield
    except READ_ERRORS:
        if not (found := list(_unreadable(source))):
            raise
        in_shards = records.holds_shards(source)
        remedy = "delete these shards, and the command that wrote them restores them" if in_shards else "mend it, or remove it"
        raise ValueError(f"what follows cannot be read; {remedy}:\n  " + "\n  ".join(found)) from None


def _unreadable(source):
    """Go through everything, one by one."""
    if records.holds_shards(source):
        yield from map(str, soundness.verify(source, progress=False))
        return
    for split in _opened(source).splits.values():
        for path in sorted({content.path for content in split.contents if isinstance(content, records.Record)}):
            yield from (f"{path}, record {index}: {what}" for index, what in soundness.damages(path))
        for i, name in enumerate(split.names):
            try:
                measures.decode_named(split.read(i), name)
            except (ValueError, OSError) as error:
                yield str(error)


@dataclass(frozen=True)
class _Share:
    """What is one process's of batches that several share."""

    process: int
    processes: int
    whole: int

    @property
    def batch(self):
        """Rows of each batch."""
        return self.whole // self.processes

    def range(self, n):
        """First and end of its range of a split of `n` images."""
        return n * self.process // self.processes, n * (self.process + 1) // self.processes

    def rows(self, examples):
        """Its rows of the batches that would be made of these examples."""
        if self.processes == 1:
            return examples
        mine = examples.enumerate().filter(lambda i, _: i % self.whole // self.batch == self.process)
        return mine.map(lambda _, example: example)


@dataclass
class _Reader:
    """A split as `(key, encoded bytes, label)`: `ordered(start, end)` of it, or a process's part in the order of an epoch."""

    images: int
    covariance: object
    ordered: object
    shuffled: object


def _reader(source, split, selection, share):
    if records.holds_shards(source) and not selection:
        collection = records.Collection.read(source)
        n, paths = collection.images(split), records.shard_paths(source, collection, split)
        counts = collection.splits[split].get("per_shard")
        if counts is None and share.processes > 1:
            raise ValueError(f"{source} was written by an earlier version, without counts of its shards. Write it anew.")
        return _shard_reader(
            paths, counts, n, share, collection.bytes_per_image, collection.covariance_rgb, classes=len(collection.classes)
        )
    source = _opened(source, selection)
    n = source.images(split)
    images_of = source.splits[split]
    if isinstance(images_of.contents[0], records.Record):
        return _record_reader(images_of, share)
    return _file_reader(images_of, n, share)


def _shard_reader(paths, counts, n, share, bytes_per_image, covariance, classes=None, labels=None, form=records.SLIM):
    """A reader of `n` images in shards of so many records (`counts`; None where they are not known).

    `labels` tells the labels of all records, through all shards, -1 for those of other splits. Without it the records tell
    their own, each of `classes` from 0 on.
    """

    def columns(start, end):
        """Paths of the shards that hold images start to end; of each the records to skip, to take, the number of the first."""
        if labels is None and (start, end) == (0, n):  # whatever is there: too many are an error as well
            return np.array(paths), np.zeros(len(paths), np.int64), np.full(len(paths), -1), np.zeros(len(paths), np.int64)
        if labels is not None and (start, end) == (0, n):
            start, end = 0, len(labels)
        elif labels is not None:
            mine = np.flatnonzero(labels >= 0)[start:end]
            start, end = mine[0], mine[-1] + 1
        ends = np.cumsum(counts)
        begins = ends - counts
        low, high = np.maximum(start, begins), np.minimum(end, ends)
        some = high > low
        return np.array(paths)[some], (low - begins)[some], (high - low)[some], low[some]

    def examples(paths, skip, count, first):
        @tf.autograph.experimental.do_not_convert
        def of_shard(path, skip, count, first):
            return tf.data.TFRecordDataset(path, buffer_size=2**23).skip(skip).take(count).enumerate(first)

        return tf.data.Dataset.from_tensor_slices((paths, skip, count, first)).interleave(
            of_shard, cycle_length=min(READ_SHARDS, paths.shape[0]), num_parallel_calls=AUTO, deterministic=True
        )

    table = None if labels is None else tf.constant(labels)

    @tf.autograph.experimental.do_not_convert
    def parse(number, serialized):
        contents, label = records.parse(serialized, form)
        if table is not None:
            return _keyed(contents, table[number])
        tf.debugging.Assert((label >= 0) & (label < classes), ["a label is out of range", label])  # no loss would tell
        return _keyed(contents, label)

    def of_split(examples):
        if table is None:
            return examples
        return examples.filter(lambda number, serialized: table[number] >= 0)

    def shuffled(seed, epoch):
        mine = columns(*share.range(n))
        seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(range(len(mine[0])), seed=seeds)
        in_order = [tf.gather(column, order) for column in mine]
        buffer = max(1, min(n, SHUFFLE_BYTES // bytes_per_image))
        return _shuffled(of_split(examples(*in_order)), buffer, seed, epoch).map(parse, num_parallel_calls=AUTO)

    def ordered(start, end):
        return of_split(examples(*columns(start, end))).map(parse, num_parallel_calls=AUTO)

    return _Reader(n, covariance, ordered, shuffled)


def _record_reader(split, share):
    """A reader of some records of foreign shards: the shards are read through, as random access is slow, others left out."""
    shards = {}
    for record, label in zip(split.contents, split.labels.tolist(), strict=True):
        shards.setdefault(record.path, {})[record.index] = label
    counts = np.array([max(labels) + 1 for labels in shards.values()])
    table = np.full(counts.sum(), -1)
    for start, labels in zip(np.cumsum([0, *counts[:-1]]), shards.values(), strict=True):
        table[start + np.array(list(labels))] = list(labels.values())
    form = records.TFDS if foreign.is_tfds(list(shards)) else records.SLIM
    folder = os.path.dirname(next(iter(shards)))
    ours = records.holds_shards(folder)
    covariance = records.Collection.read(folder).covariance_rgb if ours else IMAGENET_COVARIANCE
    mean_bytes = max(1, sum(record.length for record in split.contents) // len(split))
    return _shard_reader(list(shards), counts, len(split), share, mean_bytes, covariance, labels=table, form=form)


def _file_reader(files, n, share):
    contents = tf.data.Dataset.from_tensor_slices((files.contents, files.labels))

    def read(content, label):
        return _keyed(content if isinstance(files.contents[0], bytes) else tf.io.read_file(content), label)

    def shuffled(seed, epoch):
        return share.rows(_shuffled(contents, n, seed, epoch)).map(read, num_parallel_calls=AUTO)

    def ordered(start, end):
        return contents.skip(start).take(end - start).map(read, num_parallel_calls=AUTO)

    return _Reader(n, IMAGENET_COVARIANCE, ordered, shuffled)


def _opened(source, selection=EVERYTHING):
    if not isinstance(source, Source):
        return sources.open_source(str(source), selection)
    return selection.of(source) if selection else source


def _shuffled(dataset, buffer, seed, epoch):
    """Shuffle by seed and epoch alone. `Dataset.shuffle` mixes in the program's seed, and takes no seed that is a tensor."""
    key = tf.random.stateless_uniform([], tf.stack([tf.constant(seed, tf.int64), epoch]), 1, 2**31 - 1, tf.int32)
    spec = dataset.element_spec
    flat = tf.nest.flatten(spec)
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset), buffer_size=buffer, seed=0, seed2=tf.cast(key, tf.int64),
        output_types=[part.dtype for part in flat], output_shapes=[part.shape for part in flat],
        reshuffle_each_iteration=False,
    )  # fmt: skip
    return tf.data.experimental.from_variant(shuffled, spec)


def _keyed(contents, label):
    return decoding.key(contents), contents, label


def _decoded(key, contents, label):
    return key, decoding.decode(contents), label
