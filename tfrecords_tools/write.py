"""Write a collection of images as sharded TFRecords: `python -m tfrecords_tools.write SOURCE OUT`.

Each image is decoded once, to find damaged ones and to measure colours and sizes. A shard gets its name when it is whole,
so that an interrupted run is continued by the same command.
"""

import json
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vgg_tf import programs, records

SHARD_BYTES = 150e6  # about 100 to 200 MB read well over a network
MIN_SHARDS = 8  # enough to be read in parallel and mixed
JPEG_QUALITY = 95
CORES = os.cpu_count() or 1
WORK_FOLDER = ".writing"  # the plan, and the measures of the shards that are done; gone when all are
PLAN, LOCK = "plan.json", "lock"


@dataclass(frozen=True)
class Flags:
    """Write images as sharded TFRecords, 0-based labels, with a dataset.json beside them."""

    source: Annotated[str, tyro.conf.Positional]
    """`digits`, or a folder of class folders, by itself or below train/, val/ or validation/, test/."""
    out: Annotated[Path, tyro.conf.Positional]
    """Folder for the shards: a new one, or one that the same command has begun."""
    shards: int = 0
    """Shards of the training split, the others in proportion; 0 makes them about 150 MB, and at least 8."""
    workers: int = CORES
    """Shards written at the same time."""
    seed: int = 0
    """Seed of the order of the images."""


def write(source, out, shards=0, workers=CORES, seed=0, progress=True):
    """Write the shards of a source and its `dataset.json`; leave a finished folder alone.

    RGB and grey JPEG and 8-bit PNG files are stored byte for byte, CMYK JPEGs as JPEGs of quality 95, all else as PNG;
    what was encoded anew is listed in the notes of `dataset.json`.

    Args:
        source: a `sources.Source`.
        out: folder.
        shards: shards of the training split; 0 by size.
        workers: threads; reading, decoding and writing run outside of Python's lock.
        seed: of the order, which is the same for the same seed.
        progress: a bar with rate and ETA; a line every 30 s where there is no terminal.

    Returns:
        The `records.Collection` written.

    Raises:
        FileExistsError: `out` holds something else; nothing of it is touched.
        BlockingIOError: another process is writing there.
        ValueError: some images cannot be read; the message names them.
    """
    if seed < 0 or shards < 0 or workers < 1:
        raise ValueError(f"seed and shards are 0 or more, workers 1 or more. Received: {seed}, {shards}, {workers}.")
    out, counts = Path(out), _shard_counts(source, shards)
    plan = {"fingerprint": source.fingerprint(), "seed": seed, "shards": counts}
    work = out / WORK_FOLDER
    if (out / records.COLLECTION_FILE).exists():
        return _finished(out, source, shards and counts)
    _begin(out, work)
    busy = f"{out} is being written by another process. Wait for it, or choose another folder."
    with records.one_writer(work / LOCK, busy):
        if (out / records.COLLECTION_FILE).exists():  # since we looked
            return _finished(out, source, shards and counts)
        return _write(source, out, work, plan, workers, progress)


def _write(source, out, work, plan, workers, progress):
    import numpy as np

    from vgg_tf.sources import SPLITS

    _check_plan(out, work, plan)
    jobs = []
    for split, images in source.splits.items():
        order = np.random.default_rng([plan["seed"], SPLITS.index(split)]).permutation(len(images))
        count = plan["shards"][split]
        jobs += [(split, records.shard_name(split, i, count), images.take(order[i::count])) for i in range(count)]
    measures, changed, bad = _write_all(out, work, jobs, source.classes, workers, progress)
    if bad:
        records.write_whole(work / PLAN, json.dumps(plan | {"bad": len(bad)}).encode())
        raise ValueError(
            f"{len(bad)} of {sum(map(len, source.splits.values()))} images cannot be read; mend or remove them, then run the "
            "same command again:\n" + "\n".join(sorted(bad))
        )
    collection = measures.collection(source, plan["shards"], changed)
    collection.write(out)
    shutil.rmtree(work)
    return collection


def _shard_counts(source, shards):
    train = source.splits["train"]
    if not shards:
        sample = train.contents[:: max(1, len(train) // 100)]
        size = sum(len(c) if isinstance(c, bytes) else os.path.getsize(c) for c in sample) / len(sample)
        shards = max(round(size * len(train) / SHARD_BYTES), MIN_SHARDS)
    return {
        split: min(len(images), max(1, round(shards * len(images) / len(train)))) for split, images in source.splits.items()
    }


def _finished(out, source, shards):
    there = records.Collection.read(out)
    counts = {split: values["shards"] for split, values in there.splits.items()}
    if there.fingerprint != source.fingerprint() or (shards and shards != counts):
        raise FileExistsError(f"{out} holds other shards, of {there.name}. Choose another folder, or delete it first.")
    for split in there.splits:
        records.shard_paths(out, there, split)
    return there


def _begin(out, work):
    if out.exists() and not work.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty and holds no shards. Choose a new folder.")
    work.mkdir(parents=True, exist_ok=True)


def _check_plan(out, work, plan):
    """Go on with the shards that were begun by this plan; begin anew where damaged images have since been removed."""
    there = json.loads((work / PLAN).read_text()) if (work / PLAN).exists() else plan
    had_bad = there.pop("bad", 0)
    if there != plan:
        if not had_bad or there["fingerprint"] == plan["fingerprint"]:
            raise FileExistsError(
                f"{out} holds the beginning of other shards. Give the command that began them, choose another folder, or "
                "delete it first."
            )
        for split, count in there["shards"].items():
            for i in range(count):
                (out / records.shard_name(split, i, count)).unlink(missing_ok=True)
                (work / f"{records.shard_name(split, i, count)}.json").unlink(missing_ok=True)
    records.write_whole(work / PLAN, json.dumps(plan).encode())


def _write_all(out, work, jobs, classes, workers, progress):
    from tqdm import tqdm

    from vgg_tf.measures import Measures

    stop = threading.Event()
    total, changed, bad = Measures(), [], []
    pace = 0.1 if sys.stderr.isatty() else 30  # seconds between two looks of the bar
    bar = tqdm(total=sum(len(images) for *_, images in jobs), unit=" images", mininterval=pace, disable=not progress)
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        futures = {
            pool.submit(_write_shard, out, work, name, images, classes, stop, bar): split for split, name, images in jobs
        }
        for future in as_completed(futures):
            result = future.result()
            changed += result["changed"]
            bad += result["bad"]
            if futures[future] == "train":
                total += Measures.from_json(result["measures"])
    finally:  # also after Ctrl-C: the shards in hand are dropped, those done stay
        stop.set()
        pool.shutdown(cancel_futures=True)
        bar.close()
    return total, sorted(changed), bad


def _write_shard(out, work, name, images, classes, stop, bar):
    """Write one shard and its measures, or read the measures of one that is there."""
    import tensorflow as tf

    from vgg_tf.measures import Measures, decode_named, read

    note, path, temporary = work / f"{name}.json", out / name, work / f"{name}.tmp"
    if note.exists() and path.exists():
        bar.update(len(images))
        return json.loads(note.read_text())
    measures, changed, bad = Measures(), [], []
    with tf.io.TFRecordWriter(str(temporary)) as writer:
        for filename, label, content in zip(images.names, images.labels, images.contents, strict=True):
            if stop.is_set():
                raise InterruptedError(f"{name} was not finished")
            contents = read(content)
            try:
                image = decode_named(contents, filename)
            except ValueError as error:
                bad.append(f"  {error}")
                continue
            stored, image_format, change = _stored(contents, image)
            if change:
                changed.append(f"{filename}: {change}")
            h, w, _ = image.shape
            measures.add(image, len(stored))
            writer.write(records.serialize(stored, image_format, h, w, int(label), classes[label], filename))
            bar.update()
    result = {"measures": measures.to_json(), "changed": changed, "bad": bad}
    if bad:
        temporary.unlink()
    else:
        records.write_whole(note, json.dumps(result).encode())
        records.settle(temporary, path)
    return result


def _stored(contents, image):
    """Bytes to store, their format, and what was changed (None if nothing)."""
    import tensorflow as tf

    from vgg_tf import images

    if contents[:3] == images.JPEG:
        if tf.io.extract_jpeg_shape(contents).numpy()[2] != 4:
            return contents, "JPEG", None
        return tf.io.encode_jpeg(image, quality=JPEG_QUALITY).numpy(), "JPEG", f"CMYK, as JPEG of quality {JPEG_QUALITY}"
    if contents[:4] == images.PNG:
        if contents[24] == 8:  # bit depth in the header
            return contents, "PNG", None
        return tf.io.encode_png(image).numpy(), "PNG", f"PNG of {contents[24]} bits, as 8-bit PNG"
    return tf.io.encode_png(image).numpy(), "PNG", "as PNG"


def main():
    """Parse the flags, write, and say what was written."""
    flags = tyro.cli(Flags, prog="python -m tfrecords_tools.write")

    from vgg_tf import sources

    source = sources.open_source(flags.source)
    counts = ", ".join(f"{len(images):,} {split}" for split, images in source.splits.items())
    print(f"{flags.source}: {counts} images of {len(source.classes)} classes", *source.notes, sep="\n  ", flush=True)
    programs.quiet_tensorflow()
    collection = write(source, flags.out, flags.shards, flags.workers, flags.seed)
    shards = ", ".join(f"{values['shards']} {split}" for split, values in collection.splits.items())
    encoded_anew = len(collection.notes) - len(source.notes)
    print(f"{flags.out}: {shards} shards, {encoded_anew} images encoded anew, listed in dataset.json")


if __name__ == "__main__":
    programs.run(main)
