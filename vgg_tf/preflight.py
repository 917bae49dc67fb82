"""Look before a long training: `python -m vgg_tf.preflight --init`, `--topology v5e:2x4`,
`--doctor`.
"""

import sys
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vgg_tf.forecast import bounds
from vgg_tf.forecast.tpu_search import search
from vgg_tf.paper import presets, recipes
from vgg_tf.paper.architectures import TORCHVISION_STD, find_architecture
from vgg_tf.runtime import command_line, programs, quiet
from vgg_tf.runtime.doctor import print_report

_SHOWN = ("normalize", "block1", "block2", "block3", "block4", "block5", "fc1", "fc2")
IMAGENET_IMAGES = 1_281_167
LIBTPU_MISSING = (
    'compiling for a TPU needs JAX and libtpu: pip install "vgg_tf[preflight]" (or jax libtpu)'
)


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
    """Send eight views of two photographs through the network from each initialiser, and tell
    how the signal fares.
    """
    topology: str = ""
    """Compile the recipe's training step for these TPU chips, which need not be here: v3:2x2,
    v4:2x2x1, v5e:2x2, v5e:2x4 or v6e:2x2; several with commas between.
    """
    doctor: bool = False
    """Tell what is installed, which devices each framework sees, and what to do."""
    classes: int = 1000
    """Number of classes."""
    images: int = IMAGENET_IMAGES
    """Training images, for the hours, where --steps-per-epoch does not tell how many an epoch
    has; ImageNet's by default.
    """
    numbers: Annotated[recipes.Recipe, tyro.conf.arg(name="")] = field(
        default_factory=recipes.Recipe
    )


def main(arguments=None):
    """Run the checks that were asked for."""
    arguments = sys.argv[1:] if arguments is None else arguments
    plain = [word for word in arguments if word not in ("-h", "--help")]
    words, _ = tyro.cli(
        Words, args=plain, return_unknown_args=True, prog="python -m vgg_tf.preflight"
    )
    find_architecture(words.arch)
    default = Flags(numbers=presets.choose_recipe(words.recipe, words.arch))
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.preflight", default)
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
        raise ValueError(
            f"--size is at most 427 pixels, the height of the photographs. Received: {size}."
        )
    quiet.quiet_tensorflow()

    from vgg_tf.models.initializers import INITIALIZERS
    from vgg_tf.models.vgg import build_vgg
    from vgg_tf.training.probe import load_photographs, probe

    pixels = load_photographs(size)
    print(
        f"{flags.arch}, {size} pixels, {flags.classes} classes: root mean square after the last "
        "layer of each block,"
    )
    print("standard deviation of the logits, first loss (nats)\n")
    for std, words in (
        (None, "input 0..255 minus the mean"),
        (TORCHVISION_STD, "input divided by its std as well"),
    ):
        print(
            f"{words}\n{'':12}"
            + "".join(f"{name:>10}" for name in ("input", *_SHOWN[1:], "logits", "loss"))
            + "  verdict"
        )
        for name in (*INITIALIZERS, "auto"):
            model = build_vgg(
                flags.arch,
                input_shape=(size, size, 3),
                classes=flags.classes,
                initializer=name,
                std=std,
                l2=0,
                width=flags.numbers.width,
                head_width=flags.numbers.head_width or None,
                seed=flags.numbers.seed,
            )
            found = probe(model, pixels)
            last = {key.split("_")[0]: scale for key, scale in found.scales.items()}
            numbers = [*(last[key] for key in _SHOWN), found.logits, found.loss]
            print(
                f"{name:12}"
                + "".join(f"{number:10.3g}" for number in numbers)
                + f"  {found.verdict.split(':')[0]}",
                flush=True,
            )
        print()
    print("\n".join(f"{name:12}{row.source}" for name, row in INITIALIZERS.items()))


def _topologies(flags):
    """Compile the step for each topology; print what was found, a table last.

    Exit code 1 if there is one that the asked step does not fit on.
    """
    from vgg_tf.runtime.engines import has_jax_for_tpus

    presets.check_fit(flags.arch, flags.numbers)
    names = bounds.parse_topologies(flags.topology, flags.numbers.micro_batch_size)
    if not has_jax_for_tpus():
        raise ModuleNotFoundError(LIBTPU_MISSING)
    rows = [search(flags, name) for name in names]
    print(f"\n{bounds.format_table(rows)}")
    sys.exit(0 if all(row.asked.fits for row in rows) else 1)


if __name__ == "__main__":
    programs.run(main)
