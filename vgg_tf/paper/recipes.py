"""Section 3.1 as data: every number of a training in one frozen dataclass, and the named
presets. No Keras here.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Literal

import tyro


def _scale(words):
    low, _, high = words[0].partition(",")
    return (int(low), int(high or low))


Scale = Annotated[
    tuple[int, int],
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="S|S_MIN,S_MAX",
        instance_from_str=_scale,
        is_instance=lambda value: isinstance(value, tuple) and len(value) == 2,
        str_from_instance=lambda pair: [
            str(pair[0]) if pair[0] == pair[1] else f"{pair[0]},{pair[1]}"
        ],
    ),
]


@dataclass(frozen=True)
class Recipe:
    """Every number of one training; the defaults are the paper's (section 3.1, single scale
    S=256).
    """

    epochs: int = 74
    """Passes over the training images; the most that are made where a plateau ends the training
    earlier.
    """
    steps_per_epoch: int = 0
    """Updates in an epoch; 0 is as many as the training images give."""
    batch_size: int = 256
    """Images an update, on all devices together."""
    accumulate: int = 1
    """Parts the batch is worked through in, one after the other, to save memory (gradient
    accumulation).
    """
    learning_rate: float = 1e-2
    """First learning rate; the highest one for cosine and one-cycle."""
    schedule: Literal["plateau", "step", "cosine", "one-cycle"] = "plateau"
    """plateau: times `factor` when the validation error stops falling; step: times `factor` in
    `drops` equal steps; cosine: down to 0 along half a cosine, after the `warmup`; one-cycle:
    straight up during the `warmup`, straight down to 0 at the end.
    """
    factor: float = 0.1
    """What a drop multiplies the learning rate by."""
    drops: int = 3
    """Number of drops; the plateau after the last one ends the training."""
    patience: int = 5
    """Epochs without a lower validation error that make a plateau (the paper does not say)."""
    warmup: float = 0.0
    """Share of the training that the learning rate rises in, from 0 (cosine and one-cycle)."""
    momentum: float = 0.9
    """Momentum of SGD."""
    nesterov: bool = False
    """Nesterov's form of the momentum."""
    muon: float = 0.0
    """Learning rate of the kernels of convolutions where `learning_rate` is at its highest, for
    Muon's steps (Jordan et al. 2024), such as 0.1 with batch normalisation and 0.02 without:
    with a momentum of 0.6, without a weight decay. Their norms and all else learn by SGD, the
    norms without a momentum. 0: SGD for all.
    """
    l2: float = 5e-4
    """Weight decay: each kernel is pulled by l2 * w, through the loss; biases, and what Muon
    turns, are not.
    """
    dropout: float = 0.5
    """Share of the outputs of fc1 and fc2 set to zero in training."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes."""
    average: float = 0.0
    """Momentum of the weights' running average, per update, such as 0.999; the average is
    tested. 0: none. Not with batch normalisation, whose moments belong to the last weights.
    """
    size: int = 224
    """Side of the crops the network sees, in pixels."""
    scale: Scale = (256, 256)
    """Smaller side of the rescaled training image in pixels, S, or S_MIN,S_MAX to draw S per
    image.
    """
    test_scale: int = 0
    """Smaller side of the rescaled test image, Q, in pixels; 0 is the middle of `scale` (section
    4.1).
    """
    padding: int = 0
    """Pixels that the crop may reach beyond the rescaled image, which is mirrored there."""
    cutout: int = 0
    """Side of a square of the crop that gets the crop's mean colour, in pixels (DeVries & Taylor
    2017). 0: none.
    """
    flip: bool = True
    """Random horizontal flips."""
    rgb_shift: float = 0.1
    """Random shift along the principal axes of the colours, in standard deviations along each
    (AlexNet's 0.1). 0: none.
    """
    standardize: bool = False
    """Divide the input by the training images' standard deviation, beyond subtracting their
    mean.
    """
    width: float = 1.0
    """Multiplier of the number of channels."""
    head_width: int = 0
    """Outputs of fc1 and fc2; 0 is 4096, and 512 for crops below 64 pixels."""
    initializer: str = "auto"
    """auto (trains from the first step), paper (the literal Gaussian of std 0.1), gaussian (std
    0.01), glorot, he, torchvision, dirac (kernels begin as identities where the input is divided
    by its std, else as auto has it), or a name of Keras'.
    """
    freeze_until: str = ""
    """Block or layer, such as block4, before which nothing learns; with --inherit."""
    cache: Literal["none", "bytes", "pixels"] = "none"
    """Keep the training images in memory: as encoded bytes, or decoded; always before any random
    step.
    """
    seed: int = 0
    """Seed of the weights, the dropout, the order and the views of the images."""

    def __post_init__(self):
        """Refuse numbers that cannot be meant."""
        low, high = self.scale
        checks = {
            "epochs": (self.epochs >= 1, "at least 1"),
            "steps_per_epoch": (self.steps_per_epoch >= 0, "0 or more"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "accumulate": (
                self.accumulate >= 1 and self.batch_size % self.accumulate == 0,
                "a divisor of batch_size",
            ),
            "learning_rate": (self.learning_rate > 0, "above 0"),
            "factor": (0 < self.factor < 1, "between 0 and 1"),
            "drops": (self.drops >= 0, "0 or more"),
            "patience": (self.patience >= 1, "at least 1"),
            "warmup": (0 <= self.warmup < 1, "from 0 to below 1"),
            "momentum": (
                0 <= self.momentum < 1 and (self.momentum or not self.muon),
                "from 0 to below 1, above 0 with --muon",
            ),
            "muon": (0 <= self.muon < 1, "from 0 to below 1: a share of the length of filters"),
            "l2": (self.l2 >= 0, "0 or more"),
            "dropout": (0 <= self.dropout < 1, "from 0 to below 1"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "from 0 to below 1"),
            "average": (0 <= self.average < 1, "from 0 to below 1"),
            "size": (self.size >= 32, "at least 32 pixels: the five poolings halve it five times"),
            "scale": (
                self.size <= low <= high,
                f"S or S_MIN,S_MAX, not below the crop's side of {self.size} pixels",
            ),
            "test_scale": (
                self.test_scale == 0 or self.test_scale >= self.size,
                f"0 or at least {self.size} pixels",
            ),
            "padding": (
                0 <= self.padding < self.size,
                f"0 or more pixels, fewer than the crop's {self.size}",
            ),
            "cutout": (
                0 <= self.cutout <= self.size,
                f"0 or more pixels, at most the crop's {self.size}",
            ),
            "rgb_shift": (self.rgb_shift >= 0, "0 or more"),
            "width": (self.width > 0, "above 0"),
            "head_width": (self.head_width >= 0, "0 or more"),
            "seed": (0 <= self.seed < 2**31, "from 0 to 2147483647"),
        }
        for name, (good, expected) in checks.items():
            if not good:
                flag = "--" + name.replace("_", "-")
                raise ValueError(f"{flag} must be {expected}. Received: {getattr(self, name)}.")

    @property
    def micro_batch_size(self):
        """Images a step: the batch, or one of the parts that `accumulate` adds up."""
        return self.batch_size // self.accumulate

    @property
    def evaluation_scale(self):
        """Q in pixels: `test_scale`, or S for a fixed S and the middle of a jittered one
        (section 4.1).
        """
        return self.test_scale or sum(self.scale) // 2


def to_json(recipe):
    """The recipe as a dict of plain numbers and lists."""
    return asdict(recipe) | {"scale": list(recipe.scale)}


def from_json(values):
    """The recipe that `to_json` wrote."""
    return Recipe(**values | {"scale": tuple(values["scale"])})


def differences(old, new):
    """What tells two recipes apart, `epochs 12 there, 5 here`, comma-separated; empty for equal
    ones.
    """
    names = [f.name for f in fields(Recipe) if getattr(old, f.name) != getattr(new, f.name)]
    return ", ".join(
        f"{name} {getattr(old, name)} there, {getattr(new, name)} here" for name in names
    )


# CIFAR and its like: what helped short trainings of VGG-16 with batch normalisation, on the
# held-out part (README).
_CIFAR = Recipe(
    epochs=60,
    batch_size=128,
    learning_rate=0.05,
    schedule="one-cycle",
    warmup=0.25,
    nesterov=True,
    label_smoothing=0.1,
    size=32,
    scale=(32, 32),
    test_scale=32,
    padding=4,
    cutout=8,
    rgb_shift=0.0,
    standardize=True,
    initializer="dirac",
    cache="pixels",
)

RECIPES = {
    "paper": Recipe(),
    "paper384": Recipe(learning_rate=1e-3, scale=(384, 384)),
    "paper-jitter": Recipe(learning_rate=1e-3, scale=(256, 512)),
    "cifar": _CIFAR,
    # Written digits are not mirrored. A net of a quarter of the width learns them in about a minute
    # on two cores.
    "digits": replace(
        _CIFAR,
        epochs=16,
        batch_size=16,
        learning_rate=0.01,
        average=0.99,
        l2=2e-3,
        label_smoothing=0.0,
        scale=(32, 36),
        padding=0,
        cutout=0,
        flip=False,
        dropout=0.2,
        width=0.25,
        head_width=128,
        initializer="auto",
    ),
}


# Appendix A, where the object is: S is 256 or 384, the first rate a tenth of the classification's.
# And what a network for small images needs to learn it from a few hundred pictures.
BOXES = Recipe(learning_rate=1e-3)
SMALL_BOXES = Recipe(
    epochs=120,
    batch_size=16,
    learning_rate=2e-2,
    schedule="one-cycle",
    warmup=0.25,
    nesterov=True,
    dropout=0.1,
    size=64,
    scale=(64, 80),
    cache="bytes",
)


@dataclass(frozen=True)
class Stage:
    """One training of the paper's chain.

    Attributes:
        arch: the architecture.
        recipe: name of its recipe.
        scale: S in pixels, `(S_min, S_max)`.
        layers: which layers come from the stage before, as for `inheritance.inherit_weights`; empty
            for none.
    """

    arch: str
    recipe: str
    scale: tuple[int, int]
    layers: str


def stages_of(arch, size=224):
    """The chain that ends with this network trained at S in [256, 512] (sections 3.1 and 4.1).

    A from random weights; B to E from seven layers of A; then S=384 from S=256, and S in [256, 512]
    from S=384, all layers. A itself and A-LRN, which is no deeper, begin with their own S=256.

    Args:
        arch: the architecture's name; with batch normalisation A is `vgg11_bn`.
        size: side of the crop in pixels; S is the paper's for 224, in proportion for others.
    """
    first = "vgg11_bn" if arch.endswith("_bn") else "vgg11"
    deeper = arch not in (first, "vgg11_lrn")
    links = [(first, "paper", "")] if deeper else []
    links += [(arch, "paper", "paper" if deeper else ""), (arch, "paper384", "all-matching")]
    links += [(arch, "paper-jitter", "all-matching")]
    scales = {
        name: tuple(round(S * size / 224) for S in RECIPES[name].scale) for _, name, _ in links
    }
    return [Stage(arch, name, scales[name], layers) for arch, name, layers in links]


def preset(name, arch, smaller_side=None, source=None):
    """The named recipe for this architecture and data, the default of every flag.

    Args:
        name: a name of `RECIPES`, or `auto`: digits for the digits, cifar for images with a smaller
            side of at most 64 pixels, else the paper's.
        arch: the architecture's name; nets with batch normalisation stand, and get, a higher
            learning rate, and no dropout.
        smaller_side: median smaller side of the images, in pixels, for `auto`.
        source: `digits`, or anything else, for `auto`.

    Raises:
        ValueError: unknown recipe; the message lists the known ones.
    """
    if name == "auto":
        small = smaller_side is not None and smaller_side <= 64
        name = "digits" if source == "digits" else "cifar" if small else "paper"
    if name not in RECIPES:
        raise ValueError(f"No recipe {name!r}. Known: auto, {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    if arch.endswith("_bn") and recipe.schedule != "plateau":
        recipe = replace(recipe, learning_rate=2 * recipe.learning_rate, average=0.0, dropout=0.0)
    return recipe


def check_fit(arch, recipe):
    """Raise ValueError where a recipe cannot train this architecture."""
    if arch.endswith("_bn") and recipe.average:
        raise ValueError(
            f"--average is not for {arch}: averaged weights do not fit the moments of batch "
            "normalisation. Give 0."
        )


def smoke(recipe):
    """The same road with tiny numbers: two epochs of two steps of a net of an eighth of the
    width, also on eight devices.
    """
    return replace(
        recipe,
        epochs=2,
        steps_per_epoch=2,
        batch_size=8 * recipe.accumulate,
        width=recipe.width / 8,
        head_width=32,
        cache="none",
    )
