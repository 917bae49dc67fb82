"""Check initializers, TPU memory and the installation: `python -m vgg_tf.preflight`."""

import sys
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vgg_tf.forecast import bounds
from vgg_tf.forecast.bounds_table import format_table
from vgg_tf.forecast.tpu_search import search
from vgg_tf.paper import presets, recipes
from vgg_tf.paper.architectures import ARCHITECTURES, TORCHVISION_STD, find_architecture
from vgg_tf.runtime import command_line, programs, quiet
from vgg_tf.runtime.doctor import print_report

_SHOWN = ("normalize", "block1", "block2", "block3", "block4", "block5", "fc1", "fc2")
IMAGENET_IMAGES = 1_281_167
LIBTPU_MISSING = (
    "--topology needs the packages jax and libtpu. Received: --topology {}, without one of the "
    'packages. Install them: pip install "vgg_tf[preflight]" (or "jax[tpu]")'
)


@dataclass(frozen=True)
class Words:
    """The flags that set the defaults of the other flags.

    Attributes:
        arch: Architecture: vgg11, vgg11_lrn, vgg13, vgg16c, vgg16 or vgg19; with _bn for batch
            normalization. With --topology, all is the six of the paper's Table 1.
        recipe: Recipe that sets the defaults of the flags below: paper, paper384, paper-jitter,
            cifar or digits.
    """

    arch: str = "vgg16"
    recipe: str = "paper"


@dataclass(frozen=True)
class Flags(Words):
    """Check initializers, TPU memory and the installation before a long training run.

    Attributes:
        init: Send eight views of two photographs through the network with each initializer, and
            print the scale of the activations.
        topology: Compile the steps of training and testing for these TPU chips, which need not be
            attached: v3:2x2, v4:2x2x1, v5e:1x1, v5e:2x2, v5e:2x4, v5p:2x2x1, v6e:1x1, v6e:2x2 or
            v6e:2x4. Separate several with commas.
        doctor: Print installed versions, the devices that each framework sees, and what to fix.
        report: Check this machine within 15 minutes: versions, devices, five training steps
            compared with the CPU, throughput of VGG-16, waiting for the input, memory, save and
            resume, and a test. Write report.json into --out, and print ten lines to paste.
        tiny: Let --report use tiny networks, which any CPU trains in a minute.
        out: Folder of the compiled steps of --topology, so that the same command continues after an
            interruption, and of the report.
        classes: Number of classes.
        images: Number of training images, for the estimate of hours. It has no effect
            with --steps-per-epoch. The default is that of ImageNet.
        numbers: The fields of the recipe, as flags.
    """

    init: bool = False
    topology: str = ""
    doctor: bool = False
    report: bool = False
    tiny: bool = False
    out: str = "preflight"
    classes: int = 1000
    images: int = IMAGENET_IMAGES
    numbers: Annotated[recipes.Recipe, tyro.conf.arg(name="")] = field(
        default_factory=recipes.Recipe
    )


def main(arguments=None):
    """Run the checks of the flags.

    Args:
        arguments: Command line without the program's name; None for `sys.argv`.

    Raises:
        ValueError: --topology and --init were given together.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    plain = [word for word in arguments if word not in ("-h", "--help")]
    words, _ = tyro.cli(
        Words, args=plain, return_unknown_args=True, prog="python -m vgg_tf.preflight"
    )
    table1 = [row.name for row in ARCHITECTURES.values() if not row.batch_norm]
    archs = table1 if words.arch == "all" else [words.arch]
    find_architecture(archs[0])
    default = Flags(numbers=presets.choose_recipe(words.recipe, archs[0]))
    flags = command_line.parse_flags(Flags, arguments, "python -m vgg_tf.preflight", default)
    if not (flags.init or flags.topology or flags.doctor or flags.report):
        sys.exit(
            "At least one of --init, --topology, --doctor and --report is needed. Received: "
            f"{' '.join(arguments) or 'no flags'}. Try --doctor."
        )
    if words.arch == "all" and not flags.topology:
        raise ValueError(
            "--arch all needs --topology. Received: --arch all. Give one of: "
            f"{', '.join(ARCHITECTURES)}."
        )
    if flags.topology and flags.init:
        raise ValueError(
            "--init runs on TensorFlow and --topology on JAX, in separate processes. Received: "
            f"--init --topology {flags.topology}. Give one of the two."
        )
    if flags.topology:
        _topologies(flags, archs)
    if flags.init:
        _init(flags)
    if flags.doctor:
        print_report()
    if flags.report:
        from vgg_tf.forecast.machine_report import make_report

        sys.exit(0 if make_report(flags.out, arguments, "tiny" if flags.tiny else "full") else 1)


def _init(flags):
    """Print the scale of the activations with each initializer.

    Args:
        flags: `Flags`.

    Raises:
        ValueError: The photographs are smaller than --size.
    """
    size = flags.numbers.size
    if size > 427:
        raise ValueError(
            "--size must be at most 427 pixels, the height of the photographs. Received: --size "
            f"{size}. Try --size 224."
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
        (TORCHVISION_STD, "input minus the mean, divided by the standard deviation"),
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


def _topologies(flags, archs):
    """Compile the steps for each topology, and print the results and a table.

    The exit code is 1 if the training step of the flags does not fit on one of the topologies.

    Args:
        flags: `Flags`.
        archs: names of architectures.

    Raises:
        ModuleNotFoundError: JAX or libtpu is not installed.
    """
    from vgg_tf.runtime.engines import has_jax_for_tpus

    names = bounds.parse_topologies(flags.topology, flags.numbers.micro_batch_size)
    if not has_jax_for_tpus():
        raise ModuleNotFoundError(LIBTPU_MISSING.format(flags.topology))
    rows = [search(flags, arch, name) for arch in archs for name in names]
    print(f"\n{format_table(rows)}")
    sys.exit(0 if all(row.asked.fits for row in rows) else 1)


if __name__ == "__main__":
    programs.run(main)
