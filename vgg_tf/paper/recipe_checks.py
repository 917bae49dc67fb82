"""Which numbers of a recipe can be meant: the ranges and choices of its fields."""

from dataclasses import fields
from typing import Literal, get_args, get_origin

LARGEST_SIDE = 8192  # pixels: the square of this side has 0.8 GB in float32
# Larger numbers are slips or damage: they would take memory or time without end.
_MOST = {
    **dict.fromkeys(("epochs", "drops", "patience"), 10**6),
    "steps_per_epoch": 10**9,
    "batch_size": 10**6,
    **dict.fromkeys(("size", "test_scale"), LARGEST_SIDE),
    "width": 64,
    "head_width": 10**6,
    **dict.fromkeys(("l2", "mixup", "cutmix", "clip_norm", "rgb_shift"), 1e6),
}


def check_values(recipe):
    """Raise a ValueError if a value of a recipe is out of range; the message names its flag.

    Args:
        recipe: The `recipes.Recipe`.

    Raises:
        ValueError: A value is out of range, or is not among the choices of its field.
    """
    _check_choices(recipe)
    low, high = recipe.scale
    checks = {
        "epochs": (recipe.epochs >= 1, "at least 1"),
        "steps_per_epoch": (recipe.steps_per_epoch >= 0, "0 or more"),
        "batch_size": (recipe.batch_size >= 1, "at least 1"),
        "accumulate": (
            recipe.accumulate >= 1 and recipe.batch_size % recipe.accumulate == 0,
            "a divisor of batch_size",
        ),
        "learning_rate": (recipe.learning_rate > 0, "above 0"),
        "factor": (0 < recipe.factor < 1, "between 0 and 1"),
        "drops": (recipe.drops >= 0, "0 or more"),
        "patience": (recipe.patience >= 1, "at least 1"),
        "warmup": (0 <= recipe.warmup < 1, "from 0 to below 1"),
        "momentum": (
            0 <= recipe.momentum < 1 and (recipe.momentum or not recipe.muon),
            "from 0 to below 1, above 0 with --muon",
        ),
        "muon": (0 <= recipe.muon < 1, "from 0 to below 1: a share of the length of filters"),
        "l2": (recipe.l2 >= 0, "0 or more"),
        "dropout": (0 <= recipe.dropout < 1, "from 0 to below 1"),
        "label_smoothing": (0 <= recipe.label_smoothing < 1, "from 0 to below 1"),
        "average": (0 <= recipe.average < 1, "from 0 to below 1"),
        "size": (recipe.size >= 32, "at least 32 pixels: the five poolings halve it five times"),
        "scale": (
            recipe.size <= low <= high,
            f"S or S_MIN,S_MAX, not below the crop's side of {recipe.size} pixels",
        ),
        "test_scale": (
            recipe.test_scale == 0 or recipe.test_scale >= recipe.size,
            f"0 or at least {recipe.size} pixels",
        ),
        "padding": (
            0 <= recipe.padding < recipe.size,
            f"0 or more pixels, fewer than the crop's {recipe.size}",
        ),
        "cutout": (
            0 <= recipe.cutout <= recipe.size,
            f"0 or more pixels, at most the crop's {recipe.size}",
        ),
        "rand_augment": (0 <= recipe.rand_augment <= 10, "from 0 to 10"),
        "mixup": (recipe.mixup >= 0, "0 or more"),
        "cutmix": (recipe.cutmix >= 0, "0 or more"),
        "clip_norm": (recipe.clip_norm >= 0, "0 or more"),
        "rgb_shift": (recipe.rgb_shift >= 0, "0 or more"),
        "width": (recipe.width > 0, "above 0"),
        "head_width": (recipe.head_width >= 0, "0 or more"),
        "seed": (0 <= recipe.seed < 2**31, "from 0 to 2147483647"),
    }
    for name, (good, expected) in {**checks, **_check_bounds(recipe, checks)}.items():
        if not good:
            flag = "--" + name.replace("_", "-")
            raise ValueError(f"{flag} must be {expected}. Received: {getattr(recipe, name)}.")


def _check_bounds(recipe, checks):
    """Return the checks, in the form of `checks`, of values that passed but are too large."""
    found = {
        name: (False, f"at most {most:g}")
        for name, most in _MOST.items()
        if checks[name][0] and getattr(recipe, name) > most
    }
    if checks["scale"][0] and recipe.scale[1] > LARGEST_SIDE:
        found["scale"] = False, f"at most {LARGEST_SIDE} pixels"
    return found


def _check_choices(recipe):
    """Raise a ValueError if a value is not among the choices of its field."""
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if get_origin(field.type) is Literal and value not in get_args(field.type):
            flag, choices = "--" + field.name.replace("_", "-"), ", ".join(get_args(field.type))
            raise ValueError(f"{flag} must be one of {choices}. Received: {value!r}. Choose one.")
