"""The settings of a run. The same settings continue it."""

from dataclasses import asdict, dataclass

from vgg_tf.data.selection import EVERYTHING, Selection
from vgg_tf.paper import recipes

_FLAGS = {
    "arch": "--arch",
    "policy": "--precision",
    "inherit_layers": "--inherit-layers",
    "task": "the task",
}


@dataclass(frozen=True)
class Settings:
    """What makes two runs the same: given again, the run continues.

    Attributes:
        arch: name of the architecture.
        data: where the images are: `digits`, or the absolute path of a folder.
        fingerprint: of the images (see `collection.Collection`).
        policy: Keras dtype policy.
        recipe: every number.
        selection: the classes and images of the data that are taken.
        inherit: where the first weights come from: the path of a run or file, `imagenet`, or empty.
            It may move.
        inherit_fingerprint: of those weights.
        inherit_layers: which layers do: `paper`, `all-matching` or names with commas between.
        task: what it learns: `classification`, or `pcr` or `scr`, boxes (appendix A).
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
        """Plain values."""
        return {
            **vars(self),
            "recipe": recipes.to_json(self.recipe),
            "selection": asdict(self.selection),
        }

    @classmethod
    def from_json(cls, values):
        """What `to_json` gave."""
        recipe, selection = (
            recipes.from_json(values["recipe"]),
            Selection.from_json(values["selection"]),
        )
        return cls(**values | {"recipe": recipe, "selection": selection})

    def differences(self, new):
        """What tells the run that is there from this new one, in words; empty if nothing does.
        Data may have moved.
        """
        words = ["other images"] if self.fingerprint != new.fingerprint else []
        if self.inherit_fingerprint != new.inherit_fingerprint:
            words.append(
                f"other weights by --inherit ({self.inherit or 'none'} there, "
                f"{new.inherit or 'none'} here)"
            )
        for name, flag in _FLAGS.items():
            if getattr(self, name) != getattr(new, name):
                words.append(f"{flag} {getattr(self, name)} there, {getattr(new, name)} here")
        return ", ".join(
            filter(None, [*words, recipes.describe_differences(self.recipe, new.recipe)])
        )
