"""Probabilities or descriptors of a split: computed once and stored in files.

A later call reads them from the files. An interrupted call resumes.
"""

import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from vgg_tf.evaluation.evaluator import Evaluator
from vgg_tf.evaluation.image_reader import READ, ImageReader, read_bytes
from vgg_tf.evaluation.posterior_store import FOLDERS, Store
from vgg_tf.runtime import programs

SAVE_EVERY = 60  # seconds


def compute_posteriors(
    trained, source, split, units, devices, batch_size=0, say=print, describe=False
):
    """Return the probabilities of all images of a split, for several scales and kinds of views.

    Rows are read from the folder `posteriors` in the folder of the network. Missing rows are
    computed and saved every minute, so the same call resumes after an interruption. Each of
    several processes computes a part, and the first one collects all parts.

    Args:
        trained: the `checkpoint.Checkpoint`.
        source: the `splits.Source`.
        split: name of one of its splits.
        units: pairs of a scale in pixels and a kind of views, as in `protocols.Protocol.units`.
        devices: the `devices.Devices` that compute.
        batch_size: crops per batch; 0 chooses it from the size of the crops.
        say: function that is called with each line for the user.
        describe: compute descriptors instead, see `evaluator.Evaluator`. Their folder is
            `descriptors`.

    Returns:
        found: float32 `[units, n, classes]`, or `[units, n, trained.depth]` for descriptors. Rows
            of images that cannot be read are NaN. None in all processes except the first one.
        problems: `{number of image: what is wrong with it}`.

    Raises:
        ValueError: an output of the network is NaN or infinity; the message names the image.
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
    """Compute and save rows of these images; return the problems of unreadable ones."""
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
                # Saving takes at most a twentieth of the time.
                save_at = time.perf_counter() + max(SAVE_EVERY, 20 * (time.perf_counter() - now))
    finally:
        _save(stores, part)
    seconds = time.perf_counter() - start
    rate = f"{seconds:.0f} s, {len(numbers) / seconds:.3g} images/s"
    say(f"{trained.name}, {_words(units)}: {programs.count(len(numbers), 'image')}, {rate}")
    return reader.problems


def compute_rows(trained, reader, numbers, units, devices, batch_size=0, describe=False):
    """Compute the probabilities or descriptors of images, with a progress bar.

    Args:
        trained: as for `compute_posteriors`.
        reader: an `image_reader.ImageReader`, which records images that cannot be read.
        numbers: int, numbers of the images.
        units: as for `compute_posteriors`.
        devices: as for `compute_posteriors`.
        batch_size: as for `compute_posteriors`.
        describe: as for `compute_posteriors`.

    Yields:
        `(number, float64 [units, classes or depth])`, in a different order than `numbers`.

    Raises:
        ValueError: an output of the network is NaN or infinity; the message names the image.
    """
    from tqdm import tqdm

    looking = make_evaluator(trained, units, devices, batch_size, describe)
    name = f"{trained.name}, {_words(units)}"
    with tqdm(total=len(numbers), desc=name, unit=" images", disable=programs.hides_bar()) as bar:
        examples = reader.cut_views(numbers, looking)
        for number, rows in _within(devices.scope, looking.see(examples)):
            if not np.isfinite(rows).all():
                policy = trained.run.settings.policy if trained.run else devices.policy
                raise ValueError(
                    f"Outputs of {trained.path} must be finite. Received: NaN or infinity for "
                    f"{reader.images.names[number]} in {policy}. Check the weights; a weight file "
                    "may need --precision float32."
                )
            bar.update()
            yield number, rows


def make_evaluator(trained, units, devices, batch_size=0, describe=False):
    """Return the `evaluator.Evaluator` of a trained network on these devices.

    A run computes in the precision of its training, a weight file in the precision of the devices.

    Args:
        trained: as for `compute_posteriors`.
        units: as for `compute_posteriors`.
        devices: as for `compute_posteriors`.
        batch_size: as for `compute_posteriors`.
        describe: as for `compute_posteriors`.

    Returns:
        An `Evaluator`.
    """
    batch_size = batch_size or devices.replicas * max(1, min(256, 32 * 224**2 // trained.crop**2))
    with devices.scope():
        return Evaluator(
            trained.load(),
            units,
            batch_size,
            devices.replicas,
            _static(devices),
            describe,
            trained.flip,
        )


def _within(scope, rows):
    """Compute each row in a scope of its own.

    The caller runs between two rows, outside of the scope.

    Args:
        scope: function that returns a context manager.
        rows: iterable.

    Yields:
        The rows.
    """
    rows = iter(rows)
    while True:
        with scope():
            row = next(rows, None)
        if row is None:
            return
        yield row


def refuse_unreadable(problems):
    """Raise a ValueError that lists the images that cannot be read, if there are any."""
    if problems:
        raise ValueError(
            f"{programs.count(len(problems), 'image')} cannot be used. Fix or remove them, or "
            "leave them out with --skip-bad (evaluate, transfer):\n  "
            f"{programs.format_list(list(map(str, problems.values())))}"
        )


def _static(devices):
    """Return whether the devices compile each new shape, which takes seconds."""
    return devices.engine == "jax" or devices.kind == "tpu"


def _check(images, stores):
    """Discard rows of images whose bytes have changed since the rows were computed."""
    from tqdm import tqdm

    numbers = np.flatnonzero(np.any([store.done for store in stores], 0)).tolist()
    with ThreadPoolExecutor(READ) as pool:
        checksums = pool.map(lambda i: zlib.crc32(read_bytes(images, i)), numbers)
        for i, checksum in zip(
            numbers,
            tqdm(checksums, "compare", len(numbers), unit=" images", disable=programs.hides_bar()),
            strict=True,
        ):
            for store in stores:
                store.done[i] &= store.checksums[i] == checksum
    for store in stores:
        store.rows[~store.done] = np.nan


def _words(units):
    """Return the units as text: `dense at 256, 384; ...`."""
    by_kind = {}
    for scale, kind in units:
        by_kind.setdefault(kind, []).append(str(scale))
    return "; ".join(f"{kind} at {', '.join(scales)}" for kind, scales in by_kind.items())


def _save(stores, part):
    for store in stores:
        store.write(part)


def _gather(images, stores, problems):
    """Read the rows of all processes and write them into one file; return the problems."""
    for store in stores:
        store.read()
        store.write(None)
    unread = np.flatnonzero(~np.all([store.done for store in stores], 0))
    return {
        int(i): problems.get(int(i), f"{images.names[i]} could not be read by another process")
        for i in unread
    }
