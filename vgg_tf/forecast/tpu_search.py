"""Search for the largest batch that fits a TPU, with bounds on its throughput."""

import functools
import os
import time

from vgg_tf.forecast import bounds


def search(flags, name):
    """Compile the step of one topology, search the largest batch, and print the `Bounds`."""
    from vgg_tf.forecast import topology

    recipe = flags.numbers
    target = topology.Topology(name, flags.arch, recipe, flags.classes)
    print(
        f"{flags.arch}, {recipe.size} pixels, {flags.classes} classes, mixed_bfloat16, on {name}: "
        f"{target.devices} devices of {target.available / bounds.GIB:.2f} GiB",
        flush=True,
    )
    steps, batch = [], recipe.micro_batch_size
    if recipe.accumulate > 1:
        print(
            f"a batch of {recipe.batch_size:,} images takes {recipe.accumulate} steps of "
            f"{batch:,}, whose gradients are added",
            flush=True,
        )
    while batch:
        step = target.compile(batch)
        steps.append(step)
        verdict = "fits" if step.fits else "does not fit"
        print(
            f"  {batch:6,} images a step: {verdict}, {step.need} a device; compiled in "
            f"{step.seconds:.0f} s",
            flush=True,
        )
        batch = bounds.choose_next_batch(steps)
        if batch and len(steps) == 2 and all(step.fits for step in steps):
            print(
                f"largest batch by linear extrapolation: {batch:,} images a step",
                flush=True,
            )
    largest = max((step for step in steps if step.fits), key=lambda step: step.batch, default=None)
    # An update is of a whole batch.
    images = recipe.steps_per_epoch * recipe.batch_size or flags.images
    row = bounds.Bounds(name, steps[0], largest, recipe.epochs, images)
    if largest is None:
        print(
            "no compiled step fits, fewer than 8 images a device might: use a smaller --size or "
            "--width, or more chips",
            flush=True,
        )
        return row
    above = [step.batch for step in steps if not step.fits]
    print(
        f"largest compiled batch that fits: {largest.batch:,} images; "
        + (f"{min(above):,} do not fit" if above else "more may fit")
    )
    _bounds(row, topology.count_flops(target.scores) / 1e9, _input_rate(recipe))
    return row


def _bounds(row, counted, here):
    """Print the bounds from the chip's published numbers, and the input that they require."""
    rate, cores = here
    step, kaggle = (
        row.step,
        ""
        if row.weeks is None
        else f"{row.weeks:.2f} weeks of Kaggle's {bounds.KAGGLE_HOURS} hours; ",
    )
    print(
        f"{row.gflop:.1f} GFLOP an image by XLA's count, {counted:.1f} by ours; "
        f"{step.bytes * step.devices / step.batch / 1e6:.0f} MB of memory traffic an image by "
        "XLA's count"
    )
    print("BOUND, NOT MEASURED, from the published peak of the chip:")
    print(
        f"  a step of {step.batch:,} images takes at least {1e3 * row.floor:.0f} ms "
        f"({1e3 * row.compute:.0f} for operations, {1e3 * row.traffic:.0f} for memory traffic): at "
        f"most {row.speed:,.0f} images/s"
    )
    print(
        f"  {row.epochs} epochs of {row.images:,} images: at least {row.hours:.1f} hours; {kaggle}"
        f"at 40 % of the peak {row.hours / 0.4:.1f} hours"
    )
    needed = row.speed / (rate / cores)
    print(
        f"the training input on this machine: {rate:,.0f} images/s on {cores} cores, measured "
        f"on two photographs of 640 x 427; the bound needs {needed:,.0f} such cores, 40 % of it "
        f"needs {0.4 * needed:,.0f}",
        flush=True,
    )


@functools.cache
def _input_rate(recipe, seconds=5.0):
    """Return the throughput of the recipe's training views, in images/s, and the CPU cores."""
    from pathlib import Path

    import sklearn.datasets
    import tensorflow as tf

    from vgg_tf.images.views import make_train_view
    from vgg_tf.runtime.pipelines import disable_autotuner

    folder = Path(sklearn.datasets.__file__).parent / "images"
    photos = [tf.io.read_file(str(path)) for path in sorted(folder.glob("*.jpg"))]

    def view(i):
        contents = tf.stack(photos)[i % len(photos)]
        return make_train_view(contents, tf.stack([i, tf.constant(0, tf.int64)]), recipe.view())

    views = disable_autotuner(
        tf.data.Dataset.range(10**9)
        .map(view, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(64)
        .prefetch(2)
    )
    start, n = None, 0
    for _ in views:
        if start is None:
            start = time.perf_counter()
            continue
        n += 64
        if time.perf_counter() - start > seconds:
            break
    return n / (time.perf_counter() - start), len(os.sched_getaffinity(0))
