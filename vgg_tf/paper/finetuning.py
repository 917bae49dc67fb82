"""The recipe of fine-tuning, fitted to the weights it starts from and to the pictures."""

from dataclasses import dataclass, replace

UPDATES = 500  # of a training, where neither limit of the epochs is reached
FEWEST, MOST = 8, 60  # epochs
SMALL = 64  # pixels; weights of smaller crops are trained on crops of up to this side


@dataclass(frozen=True)
class Origin:
    """What weights to inherit say about the network that continues them.

    Attributes:
        arch: Name of their architecture.
        width: Multiplier of the number of channels; None if they have not all five blocks.
        head_width: Outputs of fc1 and fc2. 0 without a head.
        crop: Side of the crops of their training, in pixels. 0 without a head.
        flip: Whether their training flipped images. True if unknown.
        weights: The `container.Weights`; None where a begun run no longer needs them.
    """

    arch: str
    width: float | None
    head_width: int = 0
    crop: int = 0
    flip: bool = True
    weights: object = None


def fit_network(recipe, origin):
    """Return a recipe whose network has the widths of the weights to inherit.

    Args:
        recipe: The `Recipe`.
        origin: The `Origin`.

    Returns:
        A `Recipe`.
    """
    return replace(recipe, width=origin.width or recipe.width, head_width=origin.head_width)


def fit_finetuning(recipe, origin, images, smaller_side=None):
    """Return the recipe `finetune` for these weights and pictures.

    The crops have the side of the inherited training. Weights of crops below 64 pixels see crops of
    64 pixels where the pictures have as many: convolutions fit any size. The epochs make about 500
    updates, but are at least 8 and at most 60.

    Args:
        recipe: The `Recipe` to fit, `presets.RECIPES["finetune"]`.
        origin: The `Origin`.
        images: Number of training images, at least 1.
        smaller_side: Median smaller side of the images, in pixels; None if unknown.

    Returns:
        A `Recipe`.
    """
    side = int(smaller_side or recipe.size)
    size = origin.crop or (recipe.size if side >= 2 * SMALL else SMALL)
    if size < SMALL:
        size = max(size, min(SMALL, side))
    epochs = round(UPDATES * recipe.batch_size / images)
    return replace(
        fit_network(recipe, origin),
        size=size,
        scale=(size, round(size * recipe.scale[1] / recipe.size)),
        test_scale=0,
        flip=origin.flip,
        epochs=min(max(epochs, FEWEST), MOST),
    )


def follow_size(recipe, size):
    """Return a recipe for crops of another side, whose scales S and Q keep their ratio to it.

    Args:
        recipe: The `Recipe`.
        size: Side of the crops, in pixels; 0 keeps that of the recipe.

    Returns:
        A `Recipe`.

    Examples:
        >>> from vgg_tf.paper.recipes import Recipe
        >>> follow_size(Recipe(), 112).scale
        (128, 128)
    """
    if not size or size == recipe.size or size < 0:
        return recipe
    low, high, test = (
        round(side * size / recipe.size) for side in (*recipe.scale, recipe.test_scale)
    )
    return replace(
        recipe,
        size=size,
        scale=(low, high),
        test_scale=test,
        padding=min(recipe.padding, size - 1),
        cutout=min(recipe.cutout, size),
    )
