"""Section 3.1 as data, without Keras: every number of a training run, in one dataclass."""

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Literal

from vgg_tf.images.augmentation import View
from vgg_tf.paper.recipe_checks import check_values
from vgg_tf.paper.scales import Scale

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Recipe:
    """Numbers of a training run. The defaults are the paper's for S=256 (section 3.1).

    Examples:
        >>> recipe = Recipe(epochs=10, scale=(256, 512))
        >>> recipe.learning_rate, recipe.evaluation_scale
        (0.01, 384)

    Attributes:
        epochs: Passes over the training images. With the plateau schedule it is the maximum.
        steps_per_epoch: Updates per epoch. 0 takes all training images.
        batch_size: Images per update, on all devices together.
        accumulate: Parts of a batch that are computed one after the other, to save memory (gradient
            accumulation).
        learning_rate: Initial learning rate. For cosine and one-cycle it is the highest one.
        schedule: plateau multiplies the rate by --factor when the validation error stops falling.
            step does so --drops times, at equal distances. cosine falls to 0 along half a cosine,
            after the --warmup. one-cycle rises linearly during the --warmup, then falls linearly to
            0.
        factor: Factor of the learning rate at each drop.
        drops: Number of drops. A plateau after the last drop ends the training.
        patience: Epochs without a lower validation error that count as a plateau. The paper does
            not give a number.
        warmup: Fraction of the training in which the learning rate rises from 0, for cosine and
            one-cycle.
        momentum: Momentum of SGD.
        nesterov: Use Nesterov momentum.
        muon: Highest learning rate of convolution kernels under Muon (Jordan et al. 2024), such as
            0.1 with batch normalization and 0.02 without. Muon uses a momentum of 0.6 and no weight
            decay. SGD trains all other weights, and the norms of the kernels without momentum. 0
            uses SGD alone.
        l2: Weight decay: the gradient of each kernel w gets l2 * w, through the loss. Biases have
            none, nor do kernels under Muon.
        dropout: Fraction of the outputs of fc1 and fc2 that are set to zero in training.
        label_smoothing: Fraction of the target that is spread evenly over all classes.
        class_weights: balanced weights the loss of each image, so that all classes count equally:
            by the mean number of images of a class, divided by that of the image's class. Errors
            are counted without weights. Box regression has no such weights.
        clip_norm: Largest norm of the gradient of all weights together, such as 1. A longer
            gradient is shortened to it. 0 does not clip.
        average: Momentum of the running average of the weights, per update, such as 0.999. The
            average is what is tested. 0 keeps no average. With batch normalization, its moments
            are estimated again before each test, on up to 4,096 training images.
        size: Side of the crops, in pixels.
        scale: Smaller side S of the rescaled training images, in pixels. S_MIN,S_MAX draws S for
            each image.
        test_scale: Smaller side Q of the rescaled test images, in pixels. 0 is the middle of
            --scale (section 4.1).
        padding: Pixels that a crop may reach beyond the rescaled image, which is mirrored there.
        cutout: Side in pixels of a square of the crop that is filled with the mean color of the
            crop (DeVries & Taylor 2017). 0 is none.
        flip: Flip half of the training images horizontally.
        rgb_shift: Standard deviation of a random shift along the principal axes of the colors,
            relative to that of each axis. AlexNet's is 0.1. 0 is none.
        rand_augment: Magnitude, up to 10, of two random operations on each crop, such as turning
            and contrast (Cubuk et al. 2020). 0 is none.
        mixup: Parameter of the Beta distribution by which two training images are mixed with their
            labels, such as 0.2 (Zhang et al. 2018). 0 is none.
        cutmix: Parameter of the Beta distribution of the area of a rectangle that a training image
            gets from another, with that share of its label, such as 1 (Yun et al. 2019). With
            --mixup each batch draws one of the two. 0 is none. Box regression refuses the
            three.
        standardize: Divide the input by the standard deviation of the training images, after
            subtracting the mean.
        width: Multiplier of the number of channels.
        head_width: Outputs of fc1 and fc2. 0 is 4096, or 512 for crops below 64 pixels.
        initializer: Initializer of the kernels. auto trains from the first step. paper is the
            Gaussian of std 0.1 as written, gaussian one of std 0.01. Others are glorot, he,
            torchvision, and dirac (identities, for standardized inputs), and the names of Keras.
        freeze_until: Block or layer, such as block4, before which no weights are trained. It needs
            --inherit.
        cache: Keep the training images in memory, as encoded bytes or as decoded pixels, before any
            random step.
        seed: Seed of the weights, the dropout, and the order and the views of the images.
    """

    epochs: int = 74
    steps_per_epoch: int = 0
    batch_size: int = 256
    accumulate: int = 1
    learning_rate: float = 1e-2
    schedule: Literal["plateau", "step", "cosine", "one-cycle"] = "plateau"
    factor: float = 0.1
    drops: int = 3
    patience: int = 5
    warmup: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    muon: float = 0.0
    l2: float = 5e-4
    dropout: float = 0.5
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    clip_norm: float = 0.0
    average: float = 0.0
    size: int = 224
    scale: Scale = (256, 256)
    test_scale: int = 0
    padding: int = 0
    cutout: int = 0
    flip: bool = True
    rgb_shift: float = 0.1
    rand_augment: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    standardize: bool = False
    width: float = 1.0
    head_width: int = 0
    initializer: str = "auto"
    freeze_until: str = ""
    cache: Literal["none", "bytes", "pixels"] = "none"
    seed: int = 0

    def __post_init__(self):
        """Refuse numbers that cannot be meant."""
        check_values(self)

    @property
    def micro_batch_size(self):
        """Images a step: the batch, or one of the parts that `accumulate` adds up."""
        return self.batch_size // self.accumulate

    def view(self, covariance: "np.ndarray | None" = None) -> View:
        """Return the random views of the training images, an `augmentation.View`.

        Args:
            covariance: `[3, 3]`, of their colors, for the RGB shift; None without one.
        """
        return View(
            self.size,
            self.scale,
            self.flip,
            self.rgb_shift,
            covariance,
            self.padding,
            self.cutout,
            self.rand_augment,
        )

    @property
    def evaluation_scale(self):
        """Q in pixels: `test_scale`, else the middle of the range of S (section 4.1)."""
        return self.test_scale or sum(self.scale) // 2


def to_json(recipe):
    """Return the recipe as a dict of numbers, strings and lists."""
    return asdict(recipe) | {"scale": list(recipe.scale)}


def from_json(values):
    """Return the recipe of a dict of `to_json`.

    Args:
        values: Names to values; a name that is missing has its default.

    Returns:
        The `Recipe`.

    Raises:
        ValueError: A name is unknown, or a value has the wrong type or is out of range; the message
            names it.
    """
    if unknown := sorted(set(values) - {field.name for field in fields(Recipe)}):
        raise ValueError(
            f"A recipe must have numbers of this version. Received: {', '.join(unknown)[:100]}. "
            "Use the version of vgg_tf that wrote it."
        )
    return Recipe(**read_values(values))


def read_values(values):
    """Return the values of a JSON object as values of a `Recipe`.

    Args:
        values: dict of names to JSON values. Unknown names are not checked.

    Returns:
        dict, with the pair `(S_MIN, S_MAX)` for a scale that is an int or a list.

    Raises:
        ValueError: It is not a dict, or a value has the wrong type; the message names it.
    """
    if not isinstance(values, dict):
        raise ValueError(
            f"A recipe must be a JSON object of names and values. Received: {values!r}. Write it "
            'like {"epochs": 10, "scale": [256, 512]}.'
        )
    kinds, read = {field.name: field.type for field in fields(Recipe)}, {}
    for name, value in values.items():
        expected, fits = _KINDS.get(kinds.get(name), ("", lambda value: True))
        if not fits(value):
            raise ValueError(
                f"{name} must be {expected}. Received: {value!r}. Change it, or omit it for the "
                "default."
            )
        if name == "scale":
            value = (value,) if isinstance(value, int) else value
            value = (value[0], value[-1])
        read[name] = value
    return read


def _is_scale(value):
    sides = value if isinstance(value, list | tuple) else [value]
    return len(sides) in (1, 2) and all(type(side) is int for side in sides)


# The type of a field, to what its values must be in JSON. Literals: `_check_choices`.
_KINDS = {
    int: ("an integer", lambda value: type(value) is int),
    float: ("a finite number", lambda value: type(value) in (int, float) and math.isfinite(value)),
    bool: ("true or false", lambda value: type(value) is bool),
    str: ("a text in quotes", lambda value: type(value) is str),
    Scale: ("an integer S, or a list [S_MIN, S_MAX]", _is_scale),
}


def describe_differences(old, new):
    """Return the differences of two recipes as text.

    Args:
        old: The `Recipe` "there", such as the one of a run folder.
        new: The `Recipe` "here".

    Returns:
        str, such as `epochs 12 there, 5 here, seed 0 there, 1 here`; empty for equal recipes.
    """
    names = [f.name for f in fields(Recipe) if getattr(old, f.name) != getattr(new, f.name)]
    return ", ".join(
        f"{name} {getattr(old, name)} there, {getattr(new, name)} here" for name in names
    )
