"""Measure the memory of the training input with as many threads as a TPU's host has cores.

    python benchmarks/host_memory.py [--threads 224] [--batch 1024]

The batches are those of a training from shards. Nothing trains: the reader pauses after the first
batch, so that all buffers fill. The pictures are small, so that two cores fill them in the pause.
"""

import argparse
import io
import os
import resource
import tempfile
import time
from dataclasses import replace

PAUSE = 30.0  # seconds after the first batch


def main(arguments=None):
    """Print the most memory that the process took, before the first batch and after the last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=224, help="threads and parallel calls")
    parser.add_argument("--batch", type=int, default=1024, help="images per batch")
    parser.add_argument("--batches", type=int, default=16, help="batches to read")
    parser.add_argument("--pause", type=float, default=PAUSE, help="seconds, see above")
    parser.add_argument("--size", type=int, default=224, help="side of the views, in pixels")
    flags = parser.parse_args(arguments)
    # The pipeline counts these, and TensorFlow's pool has this many threads.
    os.sched_getaffinity = lambda process: set(range(flags.threads))

    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(flags.threads)
    with tempfile.TemporaryDirectory() as folder:
        _write_shards(f"{folder}/shards", flags.batches * flags.batch)
        before = _read_peak()
        seconds = _read_batches(f"{folder}/shards", flags)
    print(
        f"{flags.threads} threads, {flags.batches} batches of {flags.batch:,} views of "
        f"{flags.size} pixels in {seconds:.0f} s: {_read_peak():.2f} GB, "
        f"{before:.2f} GB before the first batch"
    )


def _write_shards(folder, n):
    """Write two photographs of 384 x 256 pixels, `n` times in all, as shards."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    from vgg_tf.records.splits import Source, Split
    from vgg_tf.writing.write import write

    files = [io.BytesIO(), io.BytesIO()]
    for file, photo in zip(files, load_sample_images().images, strict=True):
        Image.fromarray(photo).resize((384, 256)).save(file, "jpeg")
    contents = [file.getvalue() for file in files] * (n // 2)
    names = [f"{i}.jpg" for i in range(len(contents))]
    train = Split(names, np.arange(len(contents)) % 2, contents)
    write(Source("photographs", ("a", "b"), {"train": train}), folder, shards=16, progress=False)


def _read_batches(folder, flags):
    """Read the batches with pauses, and return the seconds."""
    from vgg_tf.data.batches import Plan, make_epochs
    from vgg_tf.paper.recipes import Recipe

    low = round(flags.size * 256 / 224)
    recipe = replace(Recipe(), size=flags.size, scale=(low, low))
    epochs = make_epochs(folder, "train", recipe.view(), Plan(flags.batch, training=True))
    start = time.perf_counter()
    for i, _ in enumerate(epochs(0)):
        time.sleep(0 if i else flags.pause)
    return time.perf_counter() - start


def _read_peak():
    """Return the largest memory of this process so far, in GB."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9


if __name__ == "__main__":
    main()
