"""Settings of a training run. The same settings continue the run."""

from dataclasses import asdict, dataclass

from vgg_tf.data.selection import EVERYTHING, Selection
from vgg_tf.paper import recipes
from vgg_tf.runtime import schemas
from vgg_tf.runtime.schemas import Fields, Flag, Maybe, Number, Text

_FLAGS = {
    "arch": "--arch",
    "policy": "--precision",
    "inherit_layers": "--inherit-layers",
    "task": "the task",
}

_WORD = Text(10_000)
_SELECTION = Fields(
    {"classes": schemas.CLASSES},
    {
        "prefix": _WORD,
        "limit_per_class": Number(),
        "labels_from": Maybe(Number(0, 1)),
        "hold_out": Maybe(Number(0, 1, whole=False)),
        "keys": _WORD,
        "skip_bad": Flag(),
        "hold_out_rule": Number(1, 100),
    },
)
# `recipes.from_json` checks the recipe.
SCHEMA = Fields(
    {
        **dict.fromkeys(("arch", "data", "fingerprint", "policy"), _WORD),
        "recipe": schemas.OBJECT,
        "selection": _SELECTION,
    },
    dict.fromkeys(("inherit", "inherit_fingerprint", "inherit_layers", "task"), _WORD),
)


@dataclass(frozen=True)
class Settings:
    """Settings that identify a training run.

    Attributes:
        arch: Name of the architecture.
        data: Source of the images: `digits`, or the absolute path of a folder. It may change; the
            fingerprint identifies the images.
        fingerprint: Fingerprint of the images (see `collection.Collection`).
        policy: Keras dtype policy.
        recipe: Hyperparameters of the run.
        selection: The classes and images of the source that are used.
        inherit: Source of the initial weights: the path of a run or file, `imagenet`, or empty. It
            may change; the fingerprint identifies the weights.
        inherit_fingerprint: Fingerprint of the initial weights.
        inherit_layers: Layers that are copied: `paper`, `all-matching` or comma-separated names.
        task: `classification`, or `pcr` or `scr` for box regression (appendix A).
    """

    arch: str
    data: str
    fingerprint: str
    policy: str
    recipe: recipes.Recipe
    selection: Selection = EVERYTHING
    inherit: str = ""
    inherit_fingerprint: str = ""
    inherit_layers: str = "paper"
    task: str = "classification"

    def to_json(self):
        """Return the settings as values that JSON can store."""
        return {
            **vars(self),
            "recipe": recipes.to_json(self.recipe),
            "selection": asdict(self.selection),
        }

    @classmethod
    def from_json(cls, values):
        """Return the settings that `to_json` returned as `values`; a ValueError names bad ones."""
        SCHEMA.check(values)
        recipe = recipes.from_json(values["recipe"])
        selection = Selection.from_json(values["selection"])
        return cls(**SCHEMA.select(values) | {"recipe": recipe, "selection": selection})

    def differences(self, new):
        """Return the differences from the settings of a new run.

        The paths of data and inherited weights may differ. Their fingerprints may not.

        Args:
            new: The other `Settings`.

        Returns:
            str, such as `other images, --arch vgg11 there, vgg13 here`; empty without differences.
        """
        words = ["other images"] if self.fingerprint != new.fingerprint else []
        if self.inherit_fingerprint != new.inherit_fingerprint:
            words.append(
                f"other weights by --inherit ({self.inherit or 'none'} there, "
                f"{new.inherit or 'none'} here)"
            )
        for name, flag in _FLAGS.items():
            unused = name == "inherit_layers" and not (self.inherit or new.inherit)
            if getattr(self, name) != getattr(new, name) and not unused:
                words.append(f"{flag} {getattr(self, name)} there, {getattr(new, name)} here")
        return ", ".join(
            filter(None, [*words, recipes.describe_differences(self.recipe, new.recipe)])
        )
