"""Posteriors of a split, or descriptors: computed once, kept in files that whoever asks again
takes them from, resumed.
"""

import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import tensorflow as tf

from vgg_tf.evaluation.evaluator import Evaluator
from vgg_tf.evaluation.posterior_store import FOLDERS, Store
from vgg_tf.images import decoding
from vgg_tf.images.decoding import decode
from vgg_tf.runtime.pipelines import disable_autotuner

SAVE_EVERY = 60  # seconds
SHOWN = 20  # of the images that cannot be read
READ = 32  # images read by one call
AUTO = tf.data.AUTOTUNE


def compute_posteriors(
    trained, source, split, units, devices, batch_size=0, say=print, describe=False
):
    """Posteriors of all images of a split, in all ways that are asked for.

    What lies in the folder `posteriors` of the network's folder is taken from there. The rest is
    computed, image by image, and saved every minute, so that the same call goes on where it was
    interrupted. Of several processes each computes a part; the first one has them all in the end.

    Args:
        trained: the `checkpoint.Checkpoint`.
        source: the `splits.Source`.
        split: a name of its splits.
        units: pairs of a scale in pixels and a kind of views, as of `protocols.Protocol.units`.
        devices: the `devices.Devices`.
        batch_size: crops that go through the network at a time; 0: by the size of the crops.
        say: called with lines for the user.
        describe: descriptors in place of posteriors, see `evaluator.Evaluator`; they are kept in
            the folder `descriptors`.

    Returns:
        found: float32 `[units, n, classes]`, or `[units, n, trained.depth]`; rows of images that
        cannot be read are NaN. None
            but in the first process.
        problems: `{number of image: what is wrong with it}`.

    Raises:
        ValueError: the network gives numbers that are none; the message names the image.
    """
    images = source.splits[split]
    data = f"{split}-{replace(source, splits={split: images}).fingerprint()[:8]}"
    stores = [
        Store(trained, images, data, unit, _static(devices), devices.policy, describe)
        for unit in units
    ]
    for store in stores:
        store.read()
    _check(images, stores)
    needed = [store for store in stores if not store.done.all()]
    missing = np.flatnonzero(~np.all([store.done for store in stores], 0))
    devices.agree(f"{len(missing)} images to test", zlib.crc32(missing))
    problems = {}
    if needed:
        process, processes = devices.part
        problems = _compute(
            trained,
            images,
            needed,
            missing[process::processes],
            devices.alone(),
            batch_size,
            say,
            describe,
        )
        devices.wait(f"{FOLDERS[describe]} of {trained.fingerprint}")
        if process:
            return None, problems
        if processes > 1:
            problems = _gather(images, needed, problems)
    return np.stack([store.rows for store in stores]), problems


def _compute(trained, images, stores, numbers, devices, batch_size, say, describe):
    """Compute and save rows of these images; tell which cannot be read."""
    units, part = [store.unit for store in stores], devices.part if devices.processes > 1 else None
    problems, start = {}, time.perf_counter()
    save_at = start + SAVE_EVERY
    checksums = {}
    try:
        for number, rows in compute_rows(
            trained, images, numbers, units, devices, batch_size, problems, checksums, describe
        ):
            for store, row in zip(stores, rows, strict=True):
                store.rows[number], store.done[number], store.checksums[number] = (
                    row,
                    True,
                    checksums[number],
                )
            if (now := time.perf_counter()) > save_at:
                _save(stores, part)
                # A twentieth of the time.
                save_at = time.perf_counter() + max(SAVE_EVERY, 20 * (time.perf_counter() - now))
    finally:
        _save(stores, part)
    seconds = time.perf_counter() - start
    rate = f"{seconds:.0f} s, {len(numbers) / seconds:.3g} images/s"
    say(f"{trained.name}, {_words(units)}: {len(numbers):,} images, {rate}")
    return problems


def compute_rows(
    trained, images, numbers, units, devices, batch_size, problems, checksums, describe=False
):
    """Compute posteriors, or descriptors, of some images, behind a bar with rate and ETA.

    Args:
        trained, units, devices, batch_size: as for `posteriors`.
        images: a `splits.Split`.
        numbers: of the images.
        problems: a dict that is told of images that cannot be read, `{number: what is wrong}`.
        checksums: a dict that is told the CRC-32 of each image's bytes, `{number: checksum}`.
        describe: as for `posteriors`.

    Yields:
        `(number, float64 [units, classes or depth])`, in another order.

    Raises:
        ValueError: the network gives numbers that are none; the message names the image.
    """
    from tqdm import tqdm

    looking = make_evaluator(trained, units, devices, batch_size, describe)
    name = f"{trained.name}, {_words(units)}"
    with tqdm(total=len(numbers), desc=name, unit=" images", disable=None) as bar:
        examples = _examples(images, numbers, looking, trained.least, problems, checksums)
        for number, rows in _within(devices.scope, looking.see(examples)):
            if not np.isfinite(rows).all():
                policy = trained.run.settings.policy if trained.run else devices.policy
                raise ValueError(
                    f"{trained.path} gives numbers that are none for {images.names[number]}. "
                    f"Its weights are damaged, or they overflow in this precision ({policy})."
                )
            bar.update()
            yield number, rows


def make_evaluator(trained, units, devices, batch_size=0, describe=False):
    """The `evaluator.Evaluator` of a trained network, on these devices; arguments as for
    `posteriors`.

    A run computes in the precision of its training, a file of weights in that of the devices.
    """
    batch_size = batch_size or devices.replicas * max(1, min(256, 32 * 224**2 // trained.crop**2))
    with devices.scope():
        return Evaluator(
            trained.load(), units, batch_size, devices.replicas, _static(devices), describe
        )


def _within(scope, rows):
    """Compute each row in a scope of its own, which the caller, at work between two rows, is not
    in.
    """
    rows = iter(rows)
    while True:
        with scope():
            row = next(rows, None)
        if row is None:
            return
        yield row


def refuse_unreadable(problems):
    """Raise a ValueError that lists images that cannot be read, if there are any."""
    if problems:
        more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        listed = "".join(f"\n  {problem}" for problem in list(problems.values())[:SHOWN])
        raise ValueError(
            f"{len(problems)} images cannot be tested; mend them, or remove them:{listed}{more}"
        )


def _static(devices):
    """Tell whether each new shape is compiled for the devices, which takes seconds."""
    return devices.engine == "jax" or devices.kind == "tpu"


def _check(images, stores):
    """Forget rows of images whose bytes are not those that the rows were computed from."""
    from tqdm import tqdm

    numbers = np.flatnonzero(np.any([store.done for store in stores], 0)).tolist()
    with ThreadPoolExecutor(READ) as pool:
        checksums = pool.map(lambda i: zlib.crc32(_contents(images, i)), numbers)
        for i, checksum in zip(
            numbers,
            tqdm(checksums, "compare", len(numbers), unit=" images", disable=None),
            strict=True,
        ):
            for store in stores:
                store.done[i] &= store.checksums[i] == checksum
    for store in stores:
        store.rows[~store.done] = np.nan


def _words(units):
    """`dense at 256, 384; ...`."""
    by_kind = {}
    for scale, kind in units:
        by_kind.setdefault(kind, []).append(str(scale))
    return "; ".join(f"{kind} at {', '.join(scales)}" for kind, scales in by_kind.items())


def _save(stores, part):
    for store in stores:
        store.write(part)


def _examples(images, numbers, evaluator, least, problems, checksums):
    """`(number, views)` of images that can be read; `problems` is told of the others,
    `checksums` of all.
    """

    def read(some):
        contents = [_contents(images, i) for i in some]
        checksums.update(zip(some.tolist(), map(zlib.crc32, contents), strict=True))
        return np.array(contents, object)

    def views(i, contents):
        pixels = decode(contents)
        side = tf.reduce_min(tf.shape(pixels)[:2])
        # What is too small to be seen is not enlarged: a line of a pixel would take gigabytes.
        pixels = tf.cond(
            side < least, lambda: tf.zeros([least, least, 3], tf.uint8), lambda: pixels
        )
        return i, side, evaluator.cut(tf.ensure_shape(pixels, [None, None, 3]))

    numbers = np.array(numbers, np.int64)
    # A call of Python's for each would take most of the time.
    chunks = tf.data.Dataset.from_tensor_slices(numbers).batch(READ)
    contents = chunks.map(
        lambda some: (some, tf.numpy_function(read, [some], tf.string)), num_parallel_calls=AUTO
    )
    dataset = disable_autotuner(
        contents.unbatch().map(views, num_parallel_calls=AUTO).ignore_errors().prefetch(2 * READ)
    )
    seen = set()
    # as_numpy_iterator would take a third of the time of small images.
    for number, side, found in dataset:
        number, side = int(number), int(side)
        seen.add(number)
        if side < least:
            problems[number] = (
                f"{images.names[number]} has a side of {side} pixels, less than {least}"
            )
        else:
            yield number, [view.numpy() for view in found]
    for number in sorted(set(numbers.tolist()) - seen):
        problems[number] = _problem(images, number)


def _contents(images, i):
    try:
        return images.read(i)
    except (ValueError, OSError):
        return b""  # which cannot be decoded either


def _problem(images, i):
    """Why image `i` cannot be read."""
    try:
        decoding.decode_named(images.read(i), images.names[i])
    except (ValueError, OSError) as error:
        return str(error)
    raise RuntimeError(
        f"{images.names[i]} could be read now, but not before. Give the same command again."
    )


def _gather(images, stores, problems):
    """Take in what the other processes have saved, and put their parts into one file."""
    for store in stores:
        store.read()
        store.write(None)
    unread = np.flatnonzero(~np.all([store.done for store in stores], 0))
    return {
        int(i): problems.get(int(i), f"{images.names[i]} could not be read by another process")
        for i in unread
    }
