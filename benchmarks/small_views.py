"""Measure the throughput of random views of small images, by the batch and one by one.

    taskset -c 1 python benchmarks/small_views.py [ROUNDS] [--images 20480]

The images have the size of CIFAR images, and their pixels are in memory. The training input cuts
views by the batch. Both ways make the same pixels, with padding 4 and cutout 12, and alternate.
"""

import argparse
import statistics
import time

CROP = 32


def main(arguments=None):
    """Print a line for each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rounds", nargs="?", type=int, default=5, help="number of rounds")
    parser.add_argument("--images", type=int, default=20_480, help="number of images")
    parser.add_argument("--batch", type=int, default=256, help="images per batch")
    flags = parser.parse_args(arguments)
    n = flags.images
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
    import numpy as np

    ways = _make_ways(n, flags.batch)
    for (found, _), (expected, _) in zip(*ways.values(), strict=True):
        np.testing.assert_array_equal(found, expected)
    wall, processor = _measure(ways, flags.rounds)
    for way in ways:
        rate, work = n / statistics.median(wall[way]), 1e3 * statistics.median(processor[way]) / n
        print(
            f"{way}: {rate:,.0f} images/s, {work:.3f} ms of CPU per image (medians of "
            f"{flags.rounds})"
        )


def _make_ways(n, batch):
    """Return the same views of random images in batches, for both ways, by name."""
    import numpy as np
    import tensorflow as tf

    from vgg_tf.images import batched_views, views
    from vgg_tf.images.augmentation import View
    from vgg_tf.runtime.pipelines import disable_autotuner

    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (n, CROP, CROP, 3), np.uint8)
    arrays = random.integers(2**62, size=n), pixels, np.zeros(n, np.int32)
    examples = tf.data.Dataset.from_tensor_slices(arrays).cache()
    crops = View(CROP, CROP, shift=0.0, padding=4, cutout=12)

    def view(key, image, label):
        seed = tf.stack([key, 0])
        return views.make_train_view_of_pixels(image, seed, crops), label

    auto = tf.data.AUTOTUNE
    alone = examples.map(view, num_parallel_calls=auto).batch(batch, num_parallel_calls=auto)
    together = batched_views.make_batches(examples, tf.constant(0, tf.int64), batch, crops)
    return {
        "one by one": disable_autotuner(alone.prefetch(2)),
        "batch by batch": disable_autotuner(together.prefetch(2)),
    }


def _measure(ways, rounds):
    """Return the duration and the CPU time of each pass in seconds, by way."""
    wall, processor = {way: [] for way in ways}, {way: [] for way in ways}
    for _ in range(rounds):
        for way, batches in ways.items():
            start, busy = time.perf_counter(), time.process_time()
            for _ in batches:
                pass
            wall[way].append(time.perf_counter() - start)
            processor[way].append(time.process_time() - busy)
    return wall, processor


if __name__ == "__main__":
    main()
