"""Posteriors of a split, or descriptors: computed once, kept in files that whoever asks again
takes them from, resumed.
"""

import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from vgg_tf.evaluation.evaluator import Evaluator
from vgg_tf.evaluation.image_reader import READ, ImageReader, read_bytes
from vgg_tf.evaluation.posterior_store import FOLDERS, Store

SAVE_EVERY = 60  # seconds
SHOWN = 20  # of the images that cannot be read


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
    reader, start = ImageReader(images, trained.least), time.perf_counter()
    save_at = start + SAVE_EVERY
    try:
        for number, rows in compute_rows(
            trained, reader, numbers, units, devices, batch_size, describe
        ):
            for store, row in zip(stores, rows, strict=True):
                store.rows[number], store.done[number] = row, True
                store.checksums[number] = reader.checksums[number]
            if (now := time.perf_counter()) > save_at:
                _save(stores, part)
                # A twentieth of the time.
                save_at = time.perf_counter() + max(SAVE_EVERY, 20 * (time.perf_counter() - now))
    finally:
        _save(stores, part)
    seconds = time.perf_counter() - start
    rate = f"{seconds:.0f} s, {len(numbers) / seconds:.3g} images/s"
    say(f"{trained.name}, {_words(units)}: {len(numbers):,} images, {rate}")
    return reader.problems


def compute_rows(trained, reader, numbers, units, devices, batch_size=0, describe=False):
    """Compute posteriors, or descriptors, of some images, behind a bar with rate and ETA.

    Args:
        trained, units, devices, batch_size, describe: as for `compute_posteriors`.
        reader: an `image_reader.ImageReader`, which notes images that cannot be read.
        numbers: of the images.

    Yields:
        `(number, float64 [units, classes or depth])`, in another order.

    Raises:
        ValueError: the network gives numbers that are none; the message names the image.
    """
    from tqdm import tqdm

    looking = make_evaluator(trained, units, devices, batch_size, describe)
    name = f"{trained.name}, {_words(units)}"
    with tqdm(total=len(numbers), desc=name, unit=" images", disable=None) as bar:
        examples = reader.cut_views(numbers, looking)
        for number, rows in _within(devices.scope, looking.see(examples)):
            if not np.isfinite(rows).all():
                policy = trained.run.settings.policy if trained.run else devices.policy
                raise ValueError(
                    f"{trained.path} gives numbers that are none for "
                    f"{reader.images.names[number]}. Its weights are damaged, or they overflow in "
                    f"this precision ({policy})."
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
        checksums = pool.map(lambda i: zlib.crc32(read_bytes(images, i)), numbers)
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
