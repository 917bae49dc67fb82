"""Measure the throughput of the training input, versus a textbook, DALI and torchvision.

Usage: python benchmarks/input_pipeline.py SHARDS [--rounds 5] [--seconds 4], with shards of JPEGs
from tfrecords_tools.write. The ways run on the CPU and are in input_ways.py. All read the same
shards, linked several times so that a pass takes longer than the measurement. The first two ways
only decode, which is the upper limit. The others make the same batches: S from 256..512, a random
crop of 224 pixels, a flip of half of the crops, a color shift of 0.1, uint8 batches of 50. In each
round, each way has a warm-up and is then measured. The table has the medians of the rounds.
torchvision uses other processes, so its CPU time is not comparable.

Variants of ours that were not faster, with their CPU time relative to ours (500 ImageNet JPEGs of
500x375, 2 cores of an AMD EPYC with AVX-512):
  1.5   both axes in one ScaleAndTranslate, the flip by a strided slice (0.8 ms for 224x224x3),
        five passes to round
  1.35  each axis as a sparse matrix of the kernel's weights
  1.06  round, clip and cast fused by QuantizeV2, versus tf.round, clip_by_value and cast, which
        are 1.05
  1.25  an unbounded thread pool
  1.0   a private pool of 2 or 3 threads, one thread an op, 2 to 16 parallel calls, autotuning
        off, some in combination; one draw of 7 numbers in place of two; larger allocator
        thresholds; map's single-threaded executor (a private argument); the shift added before
        the resize; CropAndResize, which also flips, where the crop is enlarged (0.85 on its own,
        1.0 with the branch)
Decoding alone: INTEGER_FAST, no fancy upscaling, or both: 1.0. Not tried: DCT scaling, because only
3 % of these images have a smaller side of over 600 pixels; flips after batching.
"""

import argparse
import contextlib
import dataclasses
import os
import platform
import statistics
import sys
import tempfile
import time

import input_ways

from vgg_tf.figures.markdown import make_markdown_table

LINKED = 15_000  # minimum number of images: 5 seconds at 3,000 images/s
HEADER = ["way", "images/s", "to textbook", "to full decode", "lowest-highest", "CPU ms"]


def main(arguments=None):
    """Measure all ways in turn and print the table."""
    flags = _parse(arguments)
    if not os.path.isfile(os.path.join(flags.shards, "dataset.json")):
        sys.exit(
            f"{flags.shards} must have a dataset.json. Received: a folder without one. Write "
            "shards: python -m tfrecords_tools.write IMAGES SHARDS"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    from vgg_tf.records.collection import Collection

    n = Collection.read(flags.shards).count_images("train")
    rates = _measure_all(flags)
    print(
        f"{n} images, {os.cpu_count()} cores ({platform.machine()}), TensorFlow "
        f"{tf.__version__}, medians of {flags.rounds}:"
    )
    _print_table(rates)


def _parse(arguments):
    """Return the flags."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], epilog=__doc__.split("\n\n", 1)[1]
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shards", help="folder with dataset.json and train-* shards")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    parser.add_argument("--seconds", type=float, default=4, help="time of each way in each round")
    parser.add_argument("--warm-up", type=float, default=1, help="seconds before each measurement")
    return parser.parse_args(arguments)


def _measure_all(flags):
    """Return `(images/s, CPU ms per image)` of each round, by way."""
    # Ours is first, so that the peak memory of the process is its own.
    names = sorted(input_ways.list_installed(), key="ours".__ne__)
    rates = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        paths = link_shards(flags.shards, folder)
        before = _read_memory("VmRSS")
        for _ in range(flags.rounds):
            for name, values in rates.items():
                batches = input_ways.WAYS[name](paths, folder)
                values.append(_measure_rate(batches, flags.seconds, flags.warm_up))
                if before:
                    print(
                        f"peak host memory of ours: {(_read_memory('VmHWM') - before) / 2**20:.0f}"
                        " MB above the imports"
                    )
                    before = None
    return rates


def link_shards(shards, folder):
    """Link shards several times into `folder`, and return the paths of the links."""
    from vgg_tf.records.collection import Collection, list_shards, make_shard_name

    collection = Collection.read(shards)
    times = -(-LINKED // collection.count_images("train"))
    paths = list_shards(os.path.abspath(shards), collection, "train") * times
    links = [
        os.path.join(folder, make_shard_name("train", i, len(paths))) for i in range(len(paths))
    ]
    for path, link in zip(paths, links, strict=True):
        os.symlink(path, link)
    # Multiplies counts, and repeats the list of counts per shard.
    train = {key: value * times for key, value in collection.splits["train"].items()}
    train["per_class"] = [count * times for count in collection.splits["train"]["per_class"]]
    dataclasses.replace(collection, splits={"train": train}).write(folder)
    return links


def _measure_rate(batches, seconds, warm_up):
    """Measure a generator of batches, and close it.

    An open generator would fill its buffers during the next measurement.

    Args:
        batches: generator of batches of `input_ways.BATCH` images.
        seconds: time of the measurement, in seconds.
        warm_up: time before it, in seconds.

    Returns:
        `(images/s, CPU ms per image)`; CPU time is the sum over all cores of this process.
    """
    start = time.perf_counter()
    next(batches)
    while time.perf_counter() - start < warm_up:
        next(batches)
    n, start, cpu = 0, time.perf_counter(), time.process_time()
    while (spent := time.perf_counter() - start) < seconds:
        next(batches)
        n += input_ways.BATCH
    batches.close()
    return n / spent, (time.process_time() - cpu) / n * 1000


def _read_memory(field):
    """Return memory of this process in bytes: `VmRSS` now, `VmHWM` peak; None without /proc."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def _print_table(rates):
    """Print the medians of each way, and their ratios to two baselines."""
    medians = {
        name: statistics.median(value for value, _ in values) for name, values in rates.items()
    }
    rows = []
    for name in (name for name in input_ways.WAYS if name in rates):
        median, (low, _), (high, _) = medians[name], min(rates[name]), max(rates[name])
        # CPU time depends less on other programs on the machine.
        cpu = statistics.median(value for _, value in rates[name])
        book, full = (median / medians[other] for other in ("textbook", "full decode alone"))
        ratios = f"{book:.2f}", f"{full:.2f}"
        rows.append([name, f"{median:.0f}", *ratios, f"{low:.0f}-{high:.0f}", f"{cpu:.2f}"])
    print(make_markdown_table(HEADER, rows))


if __name__ == "__main__":
    main()
