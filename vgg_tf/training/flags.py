"""The flags of `python -m vgg_tf.train`, with the recipe as their default."""

import sys
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vgg_tf.data.selection import Selection
from vgg_tf.paper import presets, recipes
from vgg_tf.paper.architectures import find_architecture
from vgg_tf.records.collection import Collection, holds_shards
from vgg_tf.runs import tracking
from vgg_tf.runtime import processes, quiet
from vgg_tf.runtime.devices import Precision, StrategyName
from vgg_tf.runtime.engines import settle


@dataclass(frozen=True)
class Words:
    """The flags that the defaults of all others hang on, and where to train: some data cannot be
    listed without TensorFlow.
    """

    arch: str = "vgg16"
    """vgg11, vgg11_lrn, vgg13, vgg16c, vgg16, vgg19; with _bn for batch normalisation (all but
    vgg11_lrn).
    """
    data: str = "digits"
    """A folder of shards, of class folders or of the ILSVRC competition, tfds:NAME, or digits
    (scikit-learn's).
    """
    recipe: str = "auto"
    """auto, paper, paper384, paper-jitter, cifar or digits: the default of the numbers below.
    auto looks at the data.
    """
    smoke: bool = False
    """Walk the whole road with tiny numbers, to see that it works; the errors mean nothing."""
    strategy: StrategyName = "auto"
    """Where to train; auto is the first of tpu, gpu, cpu that TensorFlow or JAX sees."""
    together: Annotated[processes.Hosts, tyro.conf.arg(name="")] = field(
        default_factory=processes.Hosts
    )
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)


@dataclass(frozen=True)
class Flags(Words):
    """Train a VGG network on images, test it, and keep everything in a run folder that the same
    command continues.
    """

    out: str = ""
    """Run folder, here or on gs://; runs/<arch>-<name of the data> by default."""
    precision: Precision = "auto"
    """auto: mixed_bfloat16 on TPUs, on GPUs of compute capability 8 and under TensorFlow on CPUs
    with AVX512-BF16 or AMX, mixed_float16 on older GPUs, else float32.
    """
    inherit: str = ""
    """Take the first weights from a run folder, a file of Keras (.keras, .weights.h5, .h5) or of
    torchvision or timm (.safetensors), a Keras Hub preset, imagenet (Keras' own, for vgg16 and
    vgg19), or cifar10 (which comes with vgg_tf).
    """
    inherit_layers: str = "paper"
    """Which layers: paper (the seven that the paper copies from A), all-matching, or names with
    commas between.
    """
    profile: int = 0
    """Do not train: make so many steps on a network that is thrown away, and tell where their
    time goes. The trace lies beside the run folder, in OUT-profile, for TensorBoard's profiler.
    """
    check: bool = True
    """Refuse a start whose loss will be NaN, by a look at one batch."""
    grace: float = 25.0
    """Seconds that SIGTERM leaves: an epoch that ends in them is saved, one that does not is
    left at once; exit code 75.
    """
    track: str = ""
    """Show each epoch's numbers in tensorboard, wandb (Weights & Biases; WANDB_MODE=offline
    works), or tensorboard,wandb.
    """
    numbers: Annotated[recipes.Recipe, tyro.conf.arg(name="")] = field(
        default_factory=recipes.Recipe
    )


def parse(arguments=None, source=None):
    """Flags from the command line: the recipe that --recipe, --arch and --data name is the default
    of all others.

    Args:
        arguments: the words after `python -m vgg_tf.train`.
        source: the data of these words where they are opened already.

    Returns:
        flags: the `Flags`.
        source: the opened `splits.Source`, or None where the data are shards.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    plain = [word for word in arguments if word not in ("-h", "--help")]
    words, _ = tyro.cli(Words, args=plain, return_unknown_args=True, prog="python -m vgg_tf.train")
    find_architecture(words.arch)
    smaller_side = None
    if plain == arguments:
        settle(words.strategy, several=words.together.complete().processes > 1)
        if source is None and holds_shards(words.data) and not words.selection:
            smaller_side = Collection.read(words.data).smaller_side
        else:
            from vgg_tf.data import opening  # brings numpy, a third of the time of --help

            source = source or opening.open_source(words.data, words.selection)
            smaller_side = source.measure_smaller_side() if words.recipe == "auto" else None
    recipe = presets.choose_recipe(words.recipe, words.arch, smaller_side, words.data)
    default = Flags(numbers=presets.shrink(recipe) if words.smoke else recipe)
    flags = tyro.cli(Flags, args=arguments, default=default, prog="python -m vgg_tf.train")
    presets.check_fit(flags.arch, flags.numbers)
    tracking.check_trackers(flags.track)
    if not flags.inherit:
        for word, value in (
            ("--inherit-layers", flags.inherit_layers != "paper"),
            ("--freeze-until", flags.numbers.freeze_until),
        ):
            if value:
                raise ValueError(
                    f"{word} is for weights that come from elsewhere: give --inherit as well."
                )
    quiet.quiet_tensorflow()  # takes seconds: after what is refused without it
    return flags, source
