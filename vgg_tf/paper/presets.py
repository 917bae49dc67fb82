"""Named recipes: the paper's, and those for small images."""

from dataclasses import replace

from vgg_tf.paper.recipes import Recipe

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


def choose_recipe(name, arch, smaller_side=None, source=None):
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


def shrink(recipe):
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
