"""Look before a long training: `python -m vgg_tf.preflight --init`, `--topology v5e:2x4`, `--doctor`."""

import functools
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vgg_tf.forecast import bounds
from vgg_tf.paper import recipes
from vgg_tf.paper.architectures import TORCHVISION_STD, architecture
from vgg_tf.runtime import programs, quiet
from vgg_tf.runtime.doctor import print_report

_SHOWN = ("normalize", "block1", "block2", "block3", "block4", "block5", "fc1", "fc2")
IMAGENET_IMAGES = 1_281_167
LIBTPU_MISSING = 'compiling for a TPU needs JAX and libtpu: pip install "vgg_tf[preflight]" (or jax libtpu)'


@dataclass(frozen=True)
class Words:
    """The flags that the defaults of the numbers hang on."""

    arch: str = "vgg16"
    """vgg11, vgg11_lrn, vgg13, vgg16c, vgg16, vgg19; with _bn for batch normalisation."""
    recipe: str = "paper"
    """paper, paper384, paper-jitter, cifar or digits: the default of the numbers below."""


@dataclass(frozen=True)
class Flags(Words):
    """Checks that take minutes and may save days."""

    init: bool = False
    """Send eight views of two photographs through the network from each initialiser, and tell how the signal fares."""
    topology: str = ""
    """Compile the recipe's training step for these TPU chips, which need not be here: v3:2x2, v4:2x2x1, v5e:2x2, v5e:2x4
    or v6e:2x2; several with commas between."""
    doctor: bool = False
    """Tell what is installed, which devices each framework sees, and what to do."""
    classes: int = 1000
    """Number of classes."""
    images: int = IMAGENET_IMAGES
    """Training images, for the hours, where --steps-per-epoch does not tell how many an epoch has; ImageNet's by default."""
    numbers: Annotated[recipes.Recipe, tyro.conf.arg(name="")] = field(default_factory=recipes.Recipe)


def main(arguments=None):
    """Run the checks that were asked for."""
    arguments = sys.argv[1:] if arguments is None else arguments
    plain = [word for word in arguments if word not in ("-h", "--help")]
    words, _ = tyro.cli(Words, args=plain, return_unknown_args=True, prog="python -m vgg_tf.preflight")
    architecture(words.arch)
    default = Flags(numbers=recipes.preset(words.recipe, words.arch))
    flags = tyro.cli(Flags, args=arguments, default=default, prog="python -m vgg_tf.preflight")
    if not (flags.init or flags.topology or flags.doctor):
        sys.exit("Nothing to check. Give --init, --topology v5e:2x4 or --doctor.")
    if flags.topology and flags.init:
        raise ValueError("--topology runs on JAX: check --init by itself.")
    if flags.topology:
        _topologies(flags)
    if flags.init:
        _init(flags)
    if flags.doctor:
        print_report()


def _init(flags):
    """Print how the signal fares from each initialiser."""
    size = flags.numbers.size
    if size > 427:
        raise ValueError(f"--size is at most 427 pixels, the height of the photographs. Received: {size}.")
    quiet.quiet_tensorflow()

    from vgg_tf.models.initializers import INITIALIZERS
    from vgg_tf.models.vgg import build_vgg
    from vgg_tf.training.probe import photographs, probe

    pixels = photographs(size)
    print(f"{flags.arch}, {size} pixels, {flags.classes} classes: root mean square after the last layer of each block,")
    print("standard deviation of the logits, first loss (nats)\n")
    for std, words in ((None, "input 0..255 minus the mean"), (TORCHVISION_STD, "input divided by its std as well")):
        print(f"{words}\n{'':12}" + "".join(f"{name:>10}" for name in ("input", *_SHOWN[1:], "logits", "loss")) + "  verdict")
        for name in (*INITIALIZERS, "auto"):
            model = build_vgg(
                flags.arch, input_shape=(size, size, 3), classes=flags.classes, initializer=name, std=std, l2=0,
                width=flags.numbers.width, head_width=flags.numbers.head_width or None, seed=flags.numbers.seed,
            )  # fmt: skip
            found = probe(model, pixels)
            last = {key.split("_")[0]: scale for key, scale in found.scales.items()}
            numbers = [*(last[key] for key in _SHOWN), found.logits, found.loss]
            print(
                f"{name:12}" + "".join(f"{number:10.3g}" for number in numbers) + f"  {found.verdict.split(':')[0]}", flush=True
            )
        print()
    print("\n".join(f"{name:12}{row.source}" for name, row in INITIALIZERS.items()))


def _topologies(flags):
    """Compile the step for each topology; print what was found, a table last.

    Exit code 1 if there is one that the asked step does not fit on.
    """
    from vgg_tf.runtime.devices import has_jax_for_tpus

    recipes.check_fit(flags.arch, flags.numbers)
    names = bounds.topologies(flags.topology, flags.numbers.micro_batch_size)
    if not has_jax_for_tpus():
        raise ModuleNotFoundError(LIBTPU_MISSING)
    rows = [_topology(flags, name) for name in names]
    print(f"\n{bounds.table(rows)}")
    sys.exit(0 if all(row.asked.fits for row in rows) else 1)


def _topology(flags, name):
    """Compile the step for one topology, of the asked images and in search of the most; print and return the `Bounds`."""
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
        print(f"a batch of {recipe.batch_size:,} images takes {recipe.accumulate} steps of {batch:,}, which add up", flush=True)
    while batch:
        step = target.compile(batch)
        steps.append(step)
        verdict = "fits" if step.fits else "does not fit"
        print(f"  {batch:6,} images a step: {verdict}, {step.need} a device; compiled in {step.seconds:.0f} s", flush=True)
        batch = bounds.next_batch(steps)
        if batch and len(steps) == 2 and all(step.fits for step in steps):
            print(f"the most images a step that fit, by the line through the two: {batch:,}", flush=True)
    largest = max((step for step in steps if step.fits), key=lambda step: step.batch, default=None)
    images = recipe.steps_per_epoch * recipe.batch_size or flags.images  # an update is of a whole batch
    row = bounds.Bounds(name, steps[0], largest, recipe.epochs, images)
    if largest is None:
        print("Fewer than 8 images a device might fit: take a smaller --size or --width, or more chips.", flush=True)
        return row
    above = [step.batch for step in steps if not step.fits]
    print(f"the most compiled that fit: {largest.batch:,}; " + (f"{min(above):,} do not" if above else "more may"))
    _bounds(row, topology.analytic_flops(target.scores) / 1e9, _input_rate(recipe))
    return row


def _bounds(row, counted, here):
    """Print what the chip's published numbers allow, and what the host would have to deliver.

    Args:
        row: the `Bounds`.
        counted: our own count of the operations of an image, in 1e9.
        here: images/s of the training input on this machine, and its cores.
    """
    rate, cores = here
    step, kaggle = row.step, "" if row.weeks is None else f"{row.weeks:.2f} weeks of Kaggle's {bounds.KAGGLE_HOURS} hours; "
    print(
        f"{row.gflop:.1f} GFLOP an image by XLA's count, {counted:.1f} by ours; "
        f"{step.bytes * step.devices / step.batch / 1e6:.0f} MB of memory traffic an image by XLA's count"
    )
    print("BOUND, NOT MEASURED, from the published peak of the chip:")
    print(
        f"  a step of {step.batch:,} images takes at least {1e3 * row.floor:.0f} ms ({1e3 * row.compute:.0f} of computing, "
        f"{1e3 * row.traffic:.0f} of memory traffic): at most {row.speed:,.0f} images/s"
    )
    print(
        f"  {row.epochs} epochs of {row.images:,} images: at least {row.hours:.1f} hours; {kaggle}"
        f"at 40 % of the peak {row.hours / 0.4:.1f} hours"
    )
    needed = row.speed / (rate / cores)
    print(
        f"the training input on this machine: {rate:,.0f} images/s on {cores} cores, measured on two photographs of 640 x 427; "
        f"the bound asks for {needed:,.0f} such cores, 40 % of it for {0.4 * needed:,.0f}",
        flush=True,
    )


@functools.cache
def _input_rate(recipe, seconds=5.0):
    """Images a second of the recipe's training views, and the cores they had."""
    from pathlib import Path

    import sklearn.datasets
    import tensorflow as tf

    from vgg_tf.images.views import train_view
    from vgg_tf.runtime.pipelines import untuned

    folder = Path(sklearn.datasets.__file__).parent / "images"
    photos = [tf.io.read_file(str(path)) for path in sorted(folder.glob("*.jpg"))]

    def view(i):
        contents = tf.stack(photos)[i % len(photos)]
        return train_view(
            contents,
            tf.stack([i, tf.constant(0, tf.int64)]),
            recipe.size,
            recipe.scale,
            recipe.flip,
            recipe.rgb_shift,
            padding=recipe.padding,
            cutout=recipe.cutout,
        )

    views = untuned(tf.data.Dataset.range(10**9).map(view, num_parallel_calls=tf.data.AUTOTUNE).batch(64).prefetch(2))
    start, n = None, 0
    for _ in views:
        if start is None:
            start = time.perf_counter()
            continue
        n += 64
        if time.perf_counter() - start > seconds:
            break
    return n / (time.perf_counter() - start), len(os.sched_getaffinity(0))


if __name__ == "__main__":
    programs.run(main)
