"""Which classes of a collection are taken, and how many images of each; flags of programs, so
numpy comes in with the use.
"""

from dataclasses import dataclass, replace
from typing import Literal

HOLD_OUT = 0.1  # share of train held out for validation where nothing else is asked for


@dataclass(frozen=True)
class Selection:
    """Which images of a source are taken, and what its labels mean."""

    classes: tuple[str, ...] = ()
    """Take these classes alone, by name."""
    prefix: str = ""
    """Take the classes whose name begins with this, such as n01."""
    limit_per_class: int = 0
    """Take so many images of each class of each split at most, drawn by chance, always the same;
    0 takes all.
    """
    labels_from: Literal[0, 1] | None = None
    """0 or 1: the number of the first class in shards that others wrote. Without it, it must
    show from the labels.
    """
    hold_out: float | None = None
    """Share of the training images of each class held out for validation, always the same ones,
    where the source has no validation split. None is 0.1, and nothing of our own shards; 0
    trains on all images, once every choice is made.
    """

    def __post_init__(self):
        """Refuse what cannot be meant."""
        if self.limit_per_class < 0:
            raise ValueError(f"limit_per_class is 0 or more. Received: {self.limit_per_class}.")
        if not 0 <= self.held_out < 1:
            raise ValueError(
                f"--hold-out is a share, from 0 to below 1. Received: {self.hold_out}."
            )

    @property
    def held_out(self):
        """Share that is held out of a source without a validation split."""
        return HOLD_OUT if self.hold_out is None else self.hold_out

    def __bool__(self):
        """Tell whether anything is chosen."""
        return self != EVERYTHING

    @classmethod
    def from_json(cls, values):
        """The selection that `dataclasses.asdict` and JSON made plain."""
        return cls(**values | {"classes": tuple(values["classes"])})

    def takes(self, name):
        """Tell whether the class of this name is taken."""
        return name.startswith(self.prefix) and (not self.classes or name in self.classes)

    def of(self, source):
        """The chosen part of a `splits.Source`, its classes numbered anew.

        Raises:
            ValueError: classes that are not there, or fewer than two left; the message names them.
        """
        import numpy as np

        if unknown := sorted(set(self.classes) - set(source.classes)):
            raise ValueError(
                f"{source.name} has no class {', '.join(unknown[:5])}. It has "
                f"{', '.join(source.classes[:10])}"
                + (f" and {len(source.classes) - 10} more." if len(source.classes) > 10 else ".")
            )
        taken = [i for i, name in enumerate(source.classes) if self.takes(name)]
        if len(taken) < 2:
            raise ValueError(
                f"{len(taken)} classes of {source.name} are chosen; at least 2 are needed. "
                "Choose more."
            )
        new = np.full(len(source.classes), -1)
        new[taken] = np.arange(len(taken))
        splits = {}
        for name, split in source.splits.items():
            part = (
                split.take(np.flatnonzero(new[split.labels] >= 0))
                if len(taken) < len(new)
                else split
            )
            part = replace(part, labels=new[part.labels])
            splits[name] = (
                part.take(limited(part.labels, self.limit_per_class))
                if self.limit_per_class
                else part
            )
        if not len(splits.get("train", ())):
            raise ValueError(
                f"{source.name} has no train images of the chosen classes. Choose others."
            )
        return replace(
            source,
            classes=tuple(source.classes[i] for i in taken),
            texts=tuple(source.texts[i] for i in taken) if source.texts else (),
            splits={name: split for name, split in splits.items() if name == "train" or len(split)},
        )


EVERYTHING = Selection()


def least_held_out(selections, default=HOLD_OUT):
    """The share that all of them hold out, the draws being nested; None where none of them tells
    one.

    Args:
        selections: of trainings.
        default: what those hold out that tell none.
    """
    told = [selection.hold_out for selection in selections]
    if all(share is None for share in told):
        return None
    return min(default if share is None else share for share in told)


def limited(labels, limit):
    """Positions, ascending, of up to `limit` images of each label, drawn by chance, always the
    same.
    """
    import numpy as np

    random = np.random.default_rng(0)
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.sort(
        np.concatenate([random.permutation(m)[:limit] for m in members] or [np.zeros(0, int)])
    )
