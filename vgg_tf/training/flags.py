"""The flags of `python -m vgg_tf.train`, with the recipe as their default."""

import os
import sys
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated

import tyro

from vgg_tf.data.selection import Selection
from vgg_tf.paper import presets, recipes
from vgg_tf.paper.architectures import find_architecture
from vgg_tf.paper.finetuning import Origin, fit_finetuning, fit_network, follow_size
from vgg_tf.records.collection import RECIPE_FILE, is_word
from vgg_tf.runs import tracking
from vgg_tf.runtime import command_line, files, processes, quiet
from vgg_tf.runtime.devices import Precision, StrategyName
from vgg_tf.runtime.engines import settle
from vgg_tf.training.inheriting import DEFAULT, is_there, open_origin
from vgg_tf.weights.stated_input import StatedInput

PROG = "python -m vgg_tf.train"
# The flags most people need, then all others by what they are about.
GROUPS = {
    "": ("arch", "data", "out", "inherit", "epochs", "strategy"),
    "network": ("inherit_layers", "freeze_until", "width", "head_width", "initializer"),
    "input of --inherit": ("mean", "std", "channels"),
    "data": (
        *("classes", "prefix", "limit_per_class"),
        *("labels_from", "keys", "skip_bad", "hold_out", "cache"),
    ),
    "recipe": (
        *("recipe", "config", "smoke", "steps_per_epoch", "batch_size", "accumulate", "dropout"),
        *("label_smoothing", "class_weights", "average", "standardize", "seed"),
    ),
    "augmentation": (
        *("size", "scale", "test_scale", "padding", "cutout", "flip", "rgb_shift"),
        *("rand_augment", "mixup", "cutmix"),
    ),
    "optimizer": (
        *("learning_rate", "schedule", "factor", "drops", "patience", "warmup", "momentum"),
        *("nesterov", "muon", "l2", "clip_norm"),
    ),
    "device": ("precision", "check", "profile", "grace"),
    "multi-host": ("coordinator", "processes", "process"),
    "output": ("track",),
}
NUMBERS = tuple(number.name for number in fields(recipes.Recipe))


@dataclass(frozen=True)
class Words:
    """The flags that are read before all others, such as those that choose their defaults.

    Attributes:
        arch: Architecture: vgg11, vgg11_lrn, vgg13, vgg16c, vgg16 or vgg19. Add _bn for batch
            normalization (all but vgg11_lrn). The default is that of --inherit, else vgg16.
        data: Images: a folder of shards, of class folders or of the ILSVRC competition, tfds:NAME,
            or digits (scikit-learn's).
        out: Run folder, here or on gs://. The default is runs/<arch>-<name of the data>.
        inherit: Start from these weights: a run folder, a Keras file (.keras, .weights.h5, .h5), a
            torchvision or timm file (.safetensors), a Keras Hub preset, timm/NAME or
            hf://OWNER/NAME of the Hugging Face Hub, imagenet (timm's of --arch), or cifar10 (part
            of vgg_tf). Architecture, widths, size and mean are those of the weights.
        recipe: Default of all numbers: auto, paper, paper384, paper-jitter, cifar, digits or
            finetune. auto is finetune with --inherit, else it looks at the data.
        config: JSON file, or run folder, whose recipe is the default of all numbers instead.
        smoke: Run everything with tiny numbers, to see that it works. The errors mean nothing.
        strategy: Where to train. auto is the first of tpu, gpu and cpu that TensorFlow or JAX sees.
        profile: Number of steps to profile on a temporary network, instead of training. The trace
            is written to OUT-profile, for TensorBoard's profiler.
        stated: The input of the weights.
        together: Several processes.
        selection: Classes and images.
    """

    arch: str = ""
    data: str = "digits"
    out: str = ""
    inherit: str = ""
    recipe: str = "auto"
    config: str = ""
    smoke: bool = False
    strategy: StrategyName = "auto"
    profile: int = 0
    stated: Annotated[StatedInput, tyro.conf.arg(name="")] = field(default_factory=StatedInput)
    together: Annotated[processes.Hosts, tyro.conf.arg(name="")] = field(
        default_factory=processes.Hosts
    )
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)

    @property
    def place(self):
        """The data as they are known from any working folder."""
        return self.data if is_word(self.data) else files.make_absolute(self.data)

    @property
    def folder(self):
        """The run folder: --out, or the default."""
        name = f"{self.arch}-{Path(self.place).name.replace(':', '-')}{'-smoke' * self.smoke}"
        return self.out.rstrip("/") or os.path.join("runs", name)


@dataclass(frozen=True)
class Flags(Words):
    """Train a VGG network on images, test it, and write a run folder.

    The same command continues an interrupted run.

    Attributes:
        precision: auto is mixed_bfloat16 on TPUs, on GPUs of compute capability 8 and, under
            TensorFlow, on CPUs with AVX512-BF16 or AMX. It is mixed_float16 on older GPUs, else
            float32.
        inherit_layers: Layers to copy: all-matching, paper (the seven that the paper copies from
            A), or names separated by commas.
        check: Check one batch first, and refuse a start whose loss would become NaN.
        grace: Seconds between SIGTERM and the end. An epoch that ends within them is saved. One
            that does not is stopped at once, with exit code 75.
        track: Report each epoch to tensorboard, to wandb (Weights & Biases; set WANDB_MODE=offline
            to stay offline), or to tensorboard,wandb.
        numbers: The recipe.
        origin: What the weights of --inherit say, a `finetuning.Origin`, or None. It is no flag.
    """

    precision: Precision = "auto"
    inherit_layers: str = "all-matching"
    check: bool = True
    grace: float = 25.0
    track: str = ""
    numbers: Annotated[recipes.Recipe, tyro.conf.arg(name="")] = field(
        default_factory=recipes.Recipe
    )
    origin: Origin | None = field(default=None, metadata={"flag": False})


@dataclass(frozen=True)
class Size:
    """The flag that the scales of the default recipe follow.

    Attributes:
        size: Side of the crops, in pixels.
    """

    size: int = 0


def parse(arguments=None, source=None, check_inherit=False):
    """Parse the command line. The recipe is the default of all numbers.

    Args:
        arguments: words after `python -m vgg_tf.train`; None takes those of this process.
        source: the data of these words where they are opened already.
        check_inherit: refuse weights to inherit that do not exist. Without it they may be made
            before the training begins.

    Returns:
        flags: the `Flags`.
        source: the opened `splits.Source`.

    Raises:
        ValueError: flags that do not fit together.
        FileNotFoundError: the data or the weights do not exist.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    command_line.check_words(Flags, arguments, PROG)
    plain = [word for word in arguments if word not in ("-h", "--help")]
    words, _ = tyro.cli(Words, args=plain, return_unknown_args=True, prog=PROG)
    size = tyro.cli(Size, args=plain, return_unknown_args=True, prog=PROG)[0].size
    hint, origin, begun = {}, None, None
    if plain == arguments:
        words, source, origin = _open(words, source, check_inherit)
        recipe = _choose_recipe(words, source, origin)
        begun = _read_inheriting(words)
    else:
        words = replace(words, arch=words.arch or DEFAULT)
        recipe = presets.choose_recipe(words.recipe, words.arch, None, words.data)
        if words.recipe == "auto" and words.data != "digits" and not words.config:
            hint = dict.fromkeys(NUMBERS, "(default: by the recipe)")
    if words.config:
        recipe = read_recipe(words.config, recipe)
    recipe = follow_size(recipe, size)
    if words.smoke:  # inherited weights need their own widths
        recipe = presets.shrink(recipe)
        recipe = fit_network(recipe, origin) if origin else recipe
    if begun and words.recipe == "auto" and not words.config:  # earlier versions chose others
        recipe = begun.recipe
    default = Flags(
        arch=words.arch,
        inherit_layers=begun.inherit_layers if begun else Flags.inherit_layers,
        selection=Selection(hold_out_rule=words.selection.hold_out_rule),
        numbers=recipe,
        origin=origin,
    )
    flags = command_line.parse_flags(Flags, arguments, PROG, default, GROUPS, hint)
    tracking.check_trackers(flags.track)
    if not flags.inherit:
        layers = flags.inherit_layers
        for word, value in (
            ("--inherit-layers", layers != Flags.inherit_layers and layers),
            ("--recipe", words.recipe == "finetune" and words.recipe),
            ("--freeze-until", flags.numbers.freeze_until),
            ("--mean", flags.stated.mean),
            ("--std", flags.stated.std),
            ("--channels", flags.stated.channels != "auto" and flags.stated.channels),
        ):
            if value:
                raise ValueError(
                    f"{word} needs the weights of --inherit. Received: {word} {value} without "
                    "--inherit. Give both, or none."
                )
    quiet.quiet_tensorflow()  # takes seconds: after what is refused without it
    return flags, source


def _open(words, source, check_inherit):
    """Open the data and the weights to inherit.

    Args:
        words: the `Words`.
        source: as for `parse`.
        check_inherit: as for `parse`.

    Returns:
        words: with the architecture of the weights, and the rule of held-out images of the run.
        source: the opened `splits.Source`.
        origin: an `Origin`, or None.
    """
    if words.arch:
        find_architecture(words.arch)
    origin = None
    settle(words.strategy, several=words.together.complete().processes > 1)
    # A profile needs no weights, only the form of its network.
    if words.inherit and check_inherit and (not words.profile or is_there(words.inherit)):
        origin = open_origin(words)
    words = replace(words, arch=words.arch or (origin.arch if origin else DEFAULT))
    from vgg_tf.data import opening  # brings numpy, a third of the time of --help
    from vgg_tf.runs.resuming import keep_hold_out_rule

    words = replace(words, selection=keep_hold_out_rule(words.folder, words.selection))
    return words, source or opening.open_source(words.data, words.selection), origin


def _read_inheriting(words):
    """Return the `Settings` of a run that has begun with inherited weights; None without one.

    They are the defaults of the same command. Earlier versions copied other layers by default, and
    chose other recipes.
    """
    from vgg_tf.runs.resuming import read_begun

    begun = read_begun(words.folder) if words.inherit else None
    return begun if begun and begun.inherit else None


def _choose_recipe(words, source, origin):
    """Return the recipe that is the default of all numbers."""
    fitted = words.recipe in ("auto", "finetune")
    smaller_side = source.measure_smaller_side() if fitted else None
    recipe = presets.choose_recipe(
        words.recipe, words.arch, smaller_side, words.data, origin is not None
    )
    if origin is None:
        return recipe
    if fitted:
        return fit_finetuning(recipe, origin, source.count_images("train"), smaller_side)
    return fit_network(recipe, origin)


def read_recipe(path, default):
    """Read a recipe from a JSON file.

    Args:
        path: of a file such as a run folder's recipe.json, of a file with some numbers of a recipe
            alone, or of a run folder.
        default: the `Recipe` that gives the numbers that are not in the file.

    Returns:
        A `Recipe`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a recipe.
    """
    place = os.path.join(path, RECIPE_FILE) if files.is_folder(path) else path
    if not files.exists(place):
        raise FileNotFoundError(
            f"--config must name a JSON file or a run folder. Received: {path}, which has none."
        )
    values = files.read_json(place, "Give a recipe.json of a run folder.")
    values = values.get("recipe", values)
    if unknown := sorted(set(values) - set(NUMBERS)) if isinstance(values, dict) else ():
        raise ValueError(
            f"{place} must hold numbers of a recipe. Received: {', '.join(unknown)}. Known: "
            f"{', '.join(NUMBERS)}."
        )
    try:
        return replace(default, **recipes.read_values(values))
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
