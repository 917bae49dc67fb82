"""Search for the largest batch that fits a TPU, with bounds on its throughput."""

import functools

from vgg_tf.forecast import bounds, step_cache
from vgg_tf.forecast.host import measure_host
from vgg_tf.runtime import programs


def search(flags, arch, name):
    """Compile the steps of a network on one topology, and search the largest training batch.

    Steps that an earlier call has compiled come from the file in `flags.out`.

    Args:
        flags: `preflight.Flags`.
        arch: name of the architecture.
        name: name of the topology.

    Returns:
        The `Bounds`. They are also printed.
    """
    recipe = flags.numbers
    target = _Target(name, arch, recipe, flags.classes)
    cache = step_cache.StepCache(flags.out, name, arch, recipe, flags.classes)
    print(
        f"{arch}, {recipe.size} pixels, {flags.classes} classes, mixed_bfloat16, on {name}: "
        f"{programs.count(bounds.TOPOLOGIES[name], 'device')}",
        flush=True,
    )
    if recipe.accumulate > 1:
        print(
            f"a batch of {recipe.batch_size:,} images takes {recipe.accumulate} steps of "
            f"{recipe.micro_batch_size:,}, whose gradients are added",
            flush=True,
        )
    steps = _search_batch(lambda batch: cache.find(target.compile, batch), recipe.micro_batch_size)
    largest = max((step for step in steps if step.fits), key=lambda step: step.batch, default=None)
    tests = {}
    for kind, batch in (("crops", steps[0].batch), ("dense", _count_dense(steps[0], recipe))):
        tests[kind] = step = cache.find(target.compile, batch, kind)
        _say_step(step, f"{kind} of {batch:,} images a step")
    # An update is of a whole batch.
    images = recipe.steps_per_epoch * recipe.batch_size or flags.images
    row = bounds.Bounds(
        *(name, steps[0], largest, recipe.epochs, images, arch),
        **tests,
        host=measure_host(recipe),
    )
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
    _bounds(row)
    return row


class _Target:
    """A topology that is made for the first step that no file has; it takes half a minute."""

    def __init__(self, *words):
        self._words = words

    def compile(self, batch, kind):
        """Compile a step, as `topology.Topology.compile`."""
        return self._topology.compile(batch, kind)

    @functools.cached_property
    def _topology(self):
        from vgg_tf.forecast import topology

        return topology.Topology(*self._words)


def _search_batch(compile_step, batch):
    """Return the compiled `Step`s of the search for the largest batch, the first of `batch`."""
    steps = []
    while batch:
        steps.append(compile_step(batch))
        _say_step(steps[-1], f"{batch:6,} images a step")
        batch = bounds.choose_next_batch(steps)
        if batch and len(steps) == 2 and all(step.fits for step in steps):
            print(
                f"largest batch by linear extrapolation: {batch:,} images a step",
                flush=True,
            )
    return steps


def _say_step(step, what):
    available = f"{step.available / bounds.GIB:.2f}"
    verdict = "fits" if step.fits else "does not fit"
    print(
        f"  {what}: {verdict}, {step.need} of {available} a device; compiled in "
        f"{step.seconds:.0f} s",
        flush=True,
    )


def _count_dense(step, recipe):
    """Return the images of a dense step with about as many pixels as a training step."""
    height, width = bounds.compute_whole_sides(recipe)
    images = step.batch * recipe.size**2 // (2 * height * width)
    return max(1, images // step.devices) * step.devices


def _bounds(row):
    """Print the bounds from the chip's published numbers, and the input that they require."""
    here = row.host
    compute, traffic = row.step.compute_times(row.chip)
    step, kaggle = (
        row.step,
        ""
        if row.weeks is None
        else f"{row.weeks:.2f} weeks of Kaggle's {bounds.KAGGLE_HOURS} hours; ",
    )
    print(
        f"{row.gflop:.1f} GFLOP an image by XLA's count; "
        f"{step.bytes * step.devices / step.batch / 1e6:.0f} MB of memory traffic an image by "
        "XLA's count"
    )
    print("BOUND, NOT MEASURED, from the published peak of the chip:")
    print(
        f"  a step of {step.batch:,} images takes at least {1e3 * max(compute, traffic):.0f} ms "
        f"({1e3 * compute:.0f} for operations, {1e3 * traffic:.0f} for memory traffic): at "
        f"most {row.speed:,.0f} images/s"
    )
    print(
        f"  {row.epochs} epochs of {row.images:,} images: at least {row.hours:.1f} hours; {kaggle}"
        f"at 40 % of the peak {row.hours / 0.4:.1f} hours"
    )
    there = bounds.HOST_CPUS.get(row.topology)
    print(
        f"the training input on this machine: {here.speed:,.0f} images/s on {here.cores} cores, "
        f"{here.per_core:,.0f} a core, measured on two photographs of 640 x 427; the bound needs "
        f"{here.count_cores(row.speed):,} such cores, 40 % of it "
        f"{here.count_cores(0.4 * row.speed):,}"
        + (f"; the host of {row.topology} has {there} vCPUs" if there else ""),
        flush=True,
    )
