"""Section 3.1 as data: every number of a training in one frozen dataclass, and the named
presets. No Keras here.
"""

from dataclasses import asdict, dataclass, fields
from typing import Annotated, Literal

import tyro

from vgg_tf.images.augmentation import View


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

    def view(self, covariance=None):
        """Return the random views of the training images, an `augmentation.View`.

        Args:
            covariance: `[3, 3]`, of their colors, for the RGB shift.
        """
        return View(
            self.size,
            self.scale,
            self.flip,
            self.rgb_shift,
            covariance,
            self.padding,
            self.cutout,
        )

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


def describe_differences(old, new):
    """What tells two recipes apart, `epochs 12 there, 5 here`, comma-separated; empty for equal
    ones.
    """
    names = [f.name for f in fields(Recipe) if getattr(old, f.name) != getattr(new, f.name)]
    return ", ".join(
        f"{name} {getattr(old, name)} there, {getattr(new, name)} here" for name in names
    )
