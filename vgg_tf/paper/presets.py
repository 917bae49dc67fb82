"""Named recipes: the paper's, and others for small images.

Examples:
    >>> RECIPES["paper384"].scale
    (384, 384)
"""

from dataclasses import replace

from vgg_tf.paper.recipes import Recipe

# For CIFAR and similar data. Each value improved short training runs of VGG-16 with batch
# normalization on the held-out split (README).
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
RECIPES: dict[str, Recipe] = {
    "paper": Recipe(),
    "paper384": Recipe(learning_rate=1e-3, scale=(384, 384)),
    "paper-jitter": Recipe(learning_rate=1e-3, scale=(256, 512)),
    "cifar": _CIFAR,
    # No flips, because mirrored digits are not digits. A quarter of the width trains in about a
    # minute on two cores.
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
    # Fine-tuning: `finetuning.fit_finetuning` fits crops and epochs. The numbers were chosen on
    # held-out pictures of Caltech-25 (docs/results/fine-tuning.md).
    "finetune": Recipe(
        epochs=20,
        batch_size=32,
        learning_rate=0.01,
        schedule="one-cycle",
        warmup=0.25,
        nesterov=True,
        label_smoothing=0.1,
        size=224,
        scale=(224, 280),
        cache="bytes",
    ),
}
# Box regression of appendix A: S is 256 or 384, and the first learning rate is a tenth of the
# classification's. SMALL_BOXES is for small networks and a few hundred pictures.
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
SMOKE_RATE = 1e-2  # highest learning rate of `shrink`


def choose_recipe(name, arch, smaller_side=None, source=None, inherits=False):
    """Return the named recipe, adapted to the architecture; its fields are the flags' defaults.

    Networks with batch normalization train with a higher learning rate and without dropout.

    Args:
        name: A key of `RECIPES`, or `auto`. This is `finetune` with inherited weights, `digits` for
            the digits, `cifar` for images with a smaller side of at most 64 pixels, and `paper`
            otherwise.
        arch: Name of the architecture.
        smaller_side: Median smaller side of the images, in pixels, for `auto`; None if unknown.
        source: Name of the data, for `auto`: `digits`, or anything else.
        inherits: Whether the training begins with inherited weights, for `auto`.

    Returns:
        The `Recipe`.

    Raises:
        ValueError: The recipe is unknown; the message lists the known ones.
    """
    if name == "auto":
        small = smaller_side is not None and smaller_side <= 64
        name = "digits" if source == "digits" else "cifar" if small else "paper"
        name = "finetune" if inherits else name
    if name not in RECIPES:
        raise ValueError(f"Unknown recipe {name!r}. Expected one of: auto, {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    if arch.endswith("_bn") and recipe.schedule != "plateau":
        recipe = replace(recipe, learning_rate=2 * recipe.learning_rate, average=0.0, dropout=0.0)
    return recipe


def check_batch_size(recipe, n):
    """Raise a ValueError if a batch that the user asked for is larger than the training images."""
    if recipe.batch_size > n:
        raise ValueError(
            f"--batch-size must be at most {n}, the number of training images. Received: "
            f"--batch-size {recipe.batch_size}. Lower it, or remove the flag."
        )


def shrink(recipe):
    """Return the recipe with tiny numbers, to check a run end to end.

    It trains a network of an eighth of the width, for two epochs of two steps. The batch can be
    split over up to eight devices. The learning rate is low, because the four steps may be of one
    image each. `model.plan_steps` takes smaller batches, and then fewer steps,
    if there are fewer images.

    Args:
        recipe: The `Recipe` to shrink.

    Returns:
        A `Recipe`.
    """
    return replace(
        recipe,
        epochs=2,
        steps_per_epoch=2,
        batch_size=8 * recipe.accumulate,
        learning_rate=min(recipe.learning_rate, SMOKE_RATE),
        width=recipe.width / 8,
        head_width=32,
        cache="none",
    )
