"""Sources without the images that cannot be decoded (`--skip-bad`)."""

import sys
from concurrent.futures import ThreadPoolExecutor

from vgg_tf.images.decoding import decode_named
from vgg_tf.records.splits import Source
from vgg_tf.runtime import programs


def skip_unreadable(source: Source) -> Source:
    """Return a source without the images that cannot be decoded.

    Every image is decoded once. A bar shows throughput and ETA on the standard error.

    Args:
        source: a `splits.Source`.

    Returns:
        A `splits.Source`, with a note that counts and names what is left out, and one for
        each class without any readable training image.

    Raises:
        ValueError: no training image can be decoded.
    """
    from tqdm import tqdm

    bad, splits = [], {}
    total = sum(map(len, source.splits.values()))
    pace = 0.1 if sys.stderr.isatty() else 30  # seconds between updates of the bar
    with (
        ThreadPoolExecutor() as pool,
        tqdm(desc="reading", total=total, unit=" images", mininterval=pace) as bar,
    ):
        for name, images in source.splits.items():

            def find_fault(i, images=images):
                try:
                    decode_named(images.read(i), images.names[i])
                except (ValueError, OSError) as error:
                    return str(error)
                finally:
                    bar.update()
                return None

            faults = list(pool.map(find_fault, range(len(images))))
            bad += filter(None, faults)
            good = [i for i, fault in enumerate(faults) if fault is None]
            if good:
                splits[name] = images.take(good)
    if not bad:
        return source
    if "train" in source.splits and "train" not in splits:
        raise ValueError(
            f"{source.name} must have a readable training image. Received: {bad[0]} and "
            f"{len(bad) - 1} more. Check the files."
        )
    lines = programs.format_list(bad).replace("\n  ", "; ")
    note = f"{programs.count(len(bad), 'image')} left out that cannot be read: {lines}"
    skipped = source.add_note(note, splits=splits, collection=None)
    before, after = source.count_per_class(), skipped.count_per_class()
    for i, name in enumerate(source.classes) if "train" in splits else ():
        if before["train"][i] and not after["train"][i]:
            skipped = skipped.add_note(f"{name} has no readable training image")
    return skipped
