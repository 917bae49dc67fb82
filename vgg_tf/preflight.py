"""Look before a long training: `python -m vgg_tf.preflight --init`, `--topology v5e:2x4`, `--doctor`."""

import os
import sys
import time
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vgg_tf import programs, recipes
from vgg_tf.architectures import TORCHVISION_STD, architecture

_SHOWN = ("normalize", "block1", "block2", "block3", "block4", "block5", "fc1", "fc2")
IMAGENET_IMAGES = 1_281_167
KAGGLE_HOURS = 20  # of TPU a week, as Kaggle publishes it
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
    or v6e:2x2."""
    doctor: bool = False
    """Tell what is installed, which devices each framework sees, and what to do."""
    classes: int = 1000
    """Number of classes."""
    images: int = IMAGENET_IMAGES
    """Training images, for the hours; ImageNet's by default."""
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
        _topology(flags)
    if flags.init:
        _init(flags)
    if flags.doctor:
        _doctor()


def _init(flags):
    """Print how the signal fares from each initialiser."""
    size = flags.numbers.size
    if size > 427:
        raise ValueError(f"--size is at most 427 pixels, the height of the photographs. Received: {size}.")
    programs.quiet_tensorflow()

    from vgg_tf.initializers import INITIALIZERS
    from vgg_tf.network import build_vgg
    from vgg_tf.probe import photographs, probe

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


def _topology(flags):
    """Compile the step for the topology; print whether it fits, and its bounds."""
    import importlib.util

    if not all(importlib.util.find_spec(name) for name in ("jax", "libtpu")):
        raise ModuleNotFoundError(LIBTPU_MISSING)
    recipe = flags.numbers
    from vgg_tf import topology  # chooses JAX, so it comes before Keras

    programs.quiet_tensorflow()
    target = topology.Topology(flags.topology, flags.arch, recipe, flags.classes)
    if recipe.batch_size % target.devices:
        raise ValueError(f"{target.devices} devices share a batch; {recipe.batch_size} does not divide by it.")
    counted = topology.analytic_flops(target.scores)
    print(
        f"{flags.arch}, {recipe.size} pixels, {flags.classes} classes, mixed_bfloat16, on {flags.topology}: "
        f"{target.devices} devices of {target.available / topology.GIB:.2f} GiB"
    )

    def compiled(batch):
        step = target.compile(batch)
        need = f"needs {step.needed / topology.GIB:.2f} GiB a device" + ("" if step.flops else " for its temporaries alone")
        print(
            f"  batch {batch:6,}: {'fits' if step.fits else 'does not fit'}, {need}; compiled in {step.seconds:.0f} s",
            flush=True,
        )
        return step

    asked = compiled(recipe.batch_size)
    fitting, eight = [asked] * asked.fits, 8 * target.devices
    others = [2, 1 / 2] if asked.fits else [2**-i for i in range(1, 20)]
    for batch in (int(recipe.batch_size * other) // eight * eight for other in others):
        if len(fitting) < 2 and batch:  # two that fit make the line
            step = compiled(batch)
            fitting += [step] * step.fits
    if len(fitting) < 2:
        print("Fewer than 16 images a device fit: take a smaller --size or --width, or more chips.")
        sys.exit(1)
    low, high = sorted(fitting, key=lambda step: step.batch)
    most = topology.largest_batch(low, high)
    print(f"the largest batch that fits, by the line through the two: {most:,}")
    while most > high.batch and not compiled(most).fits:
        most -= eight
    _bounds(flags, target, asked if asked.fits else high, counted)
    sys.exit(0 if asked.fits else 1)


def _bounds(flags, target, step, counted):
    """Print what the chip's published numbers allow, and what the host would have to deliver."""
    images = step.batch / step.devices
    print(
        f"{step.flops / images / 1e9:.1f} GFLOP an image by XLA's count, {counted / 1e9:.1f} by ours; "
        f"{step.bytes / images / 1e6:.0f} MB of memory traffic an image by XLA's count"
    )
    compute, memory = step.flops / (target.chip.peak * 1e12), step.bytes / (target.chip.bandwidth * 1e9)
    floor = max(compute, memory)
    speed, epochs = step.batch / floor, flags.numbers.epochs
    hours = epochs * flags.images / speed / 3600
    print("BOUND, NOT MEASURED, from the published peak of the chip:")
    print(
        f"  a step of {step.batch:,} images takes at least {1e3 * floor:.0f} ms ({1e3 * compute:.0f} of computing, "
        f"{1e3 * memory:.0f} of memory traffic): at most {speed:,.0f} images/s"
    )
    print(
        f"  {epochs} epochs of {flags.images:,} images: at least {hours:.1f} hours, {hours / KAGGLE_HOURS:.1f} weeks of "
        f"Kaggle's {KAGGLE_HOURS} hours; at 40 % of the peak {hours / 0.4:.1f} hours"
    )
    here, cores = _input_rate(flags.numbers)
    print(
        f"the training input on this machine: {here:,.0f} images/s on {cores} cores, measured on two photographs of 640 x 427; "
        f"the bound asks for {speed / (here / cores):,.0f} such cores, 40 % of it for {0.4 * speed / (here / cores):,.0f}"
    )


def _input_rate(recipe, seconds=5.0):
    """Images a second of the recipe's training views, and the cores they had."""
    from pathlib import Path

    import sklearn.datasets
    import tensorflow as tf

    from vgg_tf import images

    folder = Path(sklearn.datasets.__file__).parent / "images"
    photos = [tf.io.read_file(str(path)) for path in sorted(folder.glob("*.jpg"))]

    def view(i):
        contents = tf.stack(photos)[i % len(photos)]
        return images.train_view(
            contents, tf.stack([i, tf.constant(0, tf.int64)]), recipe.size, recipe.scale, recipe.flip, recipe.rgb_shift
        )

    views = tf.data.Dataset.range(10**9).map(view, num_parallel_calls=tf.data.AUTOTUNE).batch(64).prefetch(2)
    start, n = None, 0
    for _ in views:
        if start is None:
            start = time.perf_counter()
            continue
        n += 64
        if time.perf_counter() - start > seconds:
            break
    return n / (time.perf_counter() - start), len(os.sched_getaffinity(0))


def _doctor():
    """Print what is installed, what each framework sees, and what to do about it."""
    import subprocess
    from importlib import metadata

    from vgg_tf.devices import tpu_chips

    def version(name):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    print(f"Python {sys.version.split()[0]}")
    for name in ("keras", "tensorflow", "tensorflow-cpu", "tensorflow-tpu", "jax", "jaxlib", "libtpu", "numpy"):
        print(f"  {name:16}{version(name) or '-'}")
    chips, n = tpu_chips()
    print(f"TPU chips in this machine: {f'{n} of {chips}' if n else 'none'}")
    # Each in a process of its own: an import that aborts, or takes the TPU, must not take this one along.
    for name, code in (
        ("TensorFlow", "import tensorflow as tf; print(*(device.name for device in tf.config.list_physical_devices()))"),
        ("JAX", "import jax; print(*jax.devices())"),
    ):
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | ({} if n else {"TPU_SKIP_MDS_QUERY": "1"})
        if n == 0:
            environment.setdefault("JAX_PLATFORMS", "cuda,cpu" if version("jax-cuda12-plugin") else "cpu")
        try:
            result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
            words, told = ("sees", result.stdout) if result.returncode == 0 else ("fails:", result.stderr)
            print(f"{name} {words} {told.strip().splitlines()[-1] if told.strip() else f'exit code {result.returncode}'}")
        except subprocess.TimeoutExpired:
            print(f"{name} has not answered within two minutes")
    for remedy in remedies(
        {name: version(name) for name in ("tensorflow-tpu", "tensorflow", "tensorflow-cpu", "jax", "libtpu")}, n
    ):
        print(f"-> {remedy}")


def remedies(versions, chips):
    """What to do about these versions of packages (None: not installed) on a machine with so many TPU chips.

    tensorflow-tpu 2.20 imports with libtpu 0.0.14 to 0.0.30 and aborts with 0.0.32 and later; 2.19.1 wants 0.0.10.
    """
    found, libtpu = [], versions.get("libtpu")
    if versions.get("tensorflow-tpu"):
        numbers = tuple(int(part) for part in libtpu.split(".")[:3]) if libtpu else ()
        if numbers > (0, 0, 30):
            found.append(
                f"tensorflow-tpu aborts at import with libtpu {libtpu}: pip install tensorflow-tpu==2.19.1 (Python to 3.12)"
            )
        if versions.get("jax"):
            found.append("tensorflow-tpu and JAX cannot both own the TPU in a process: keep one of them")
    if chips and not (versions.get("jax") and libtpu):
        found.append('the TPU needs JAX: pip install -U "jax[tpu]" keras tensorflow-cpu')
    if not any(versions.get(name) for name in ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")):
        found.append("vgg_tf reads its data by TensorFlow: pip install tensorflow-cpu")
    return found or ["nothing to mend"]


if __name__ == "__main__":
    programs.run(main)
