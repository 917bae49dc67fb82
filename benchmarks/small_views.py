"""Random views of CIFAR-like images from pixels in memory: cut batch by batch, as the input does,
and one by one.

    taskset -c 1 python benchmarks/small_views.py [ROUNDS] [--images 20480]

Both ways make the same pixels, in turn; padding 4, cutout 12.
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
    parser.add_argument("rounds", nargs="?", type=int, default=5)
    parser.add_argument("--images", type=int, default=20_480)
    parser.add_argument("--batch", type=int, default=256)
    flags = parser.parse_args(arguments)
    n, batch = flags.images, flags.batch
    from vgg_tf.runtime import quiet

    quiet.quiet_tensorflow()
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
        return views.train_view_of_pixels(image, seed, crops), label

    alone = examples.map(view, num_parallel_calls=tf.data.AUTOTUNE).batch(
        batch, num_parallel_calls=tf.data.AUTOTUNE
    )
    together = batched_views.make_batches(examples, tf.constant(0, tf.int64), batch, crops)
    ways = {
        "one by one": disable_autotuner(alone.prefetch(2)),
        "batch by batch": disable_autotuner(together.prefetch(2)),
    }
    for (found, _), (expected, _) in zip(*ways.values(), strict=True):
        np.testing.assert_array_equal(found, expected)
    wall, processor = {way: [] for way in ways}, {way: [] for way in ways}
    for _ in range(flags.rounds):
        for way, batches in ways.items():
            start, busy = time.perf_counter(), time.process_time()
            for _ in batches:
                pass
            wall[way].append(time.perf_counter() - start)
            processor[way].append(time.process_time() - busy)
    for way in ways:
        rate, work = n / statistics.median(wall[way]), 1e3 * statistics.median(processor[way]) / n
        print(
            f"{way}: {rate:,.0f} images/s, {work:.3f} ms of processor an image (medians of "
            f"{flags.rounds})"
        )


if __name__ == "__main__":
    main()
