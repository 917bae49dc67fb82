"""Which classes and images of a source are taken, and which are held out for validation.

Programs have these fields as flags, so numpy is imported on use.
"""

from dataclasses import dataclass, replace
from typing import Literal

HOLD_OUT = 0.1  # share of train held out for validation where nothing else is asked for
HOLD_OUT_SEED = 0


@dataclass(frozen=True)
class Selection:
    """Images that are taken from a source, and the meaning of its labels.

    Attributes:
        classes: Take only the classes of these names.
        prefix: Take only the classes whose names begin with this, such as n01.
        limit_per_class: Take at most this number of images of each class of each split, drawn at
            random, always the same ones. 0 takes all.
        labels_from: Label of the first class in third-party shards, 0 or 1. The default is to infer
            it from the labels.
        hold_out: Fraction of the training images of each class that is held out for validation,
            always the same images, where the source has no validation split. The default is 0.1,
            and 0 for shards of vgg_tf. Give 0 to train on all images.
    """

    classes: tuple[str, ...] = ()
    prefix: str = ""
    limit_per_class: int = 0
    labels_from: Literal[0, 1] | None = None
    hold_out: float | None = None

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
        """Return whether anything is chosen."""
        return self != EVERYTHING

    @classmethod
    def from_json(cls, values):
        """Return the selection that `dataclasses.asdict` and JSON made plain."""
        return cls(**values | {"classes": tuple(values["classes"])})

    def takes(self, name):
        """Return whether the class of this name is taken."""
        return name.startswith(self.prefix) and (not self.classes or name in self.classes)

    def apply(self, source):
        """Return the chosen part of a `splits.Source`, its classes numbered again.

        Raises:
            ValueError: classes that are not there, or fewer than two left; the message names them.
        """
        import numpy as np

        taken = self._choose(source)
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
                part.take(draw_limited(part.labels, self.limit_per_class))
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

    def _choose(self, source):
        """Return the positions of the chosen classes among those of a source."""
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
        return taken


EVERYTHING = Selection()


def find_least_held_out(selections, default=HOLD_OUT):
    """Return the share that all trainings hold out; None where no selection has one.

    Of two shares, the images of the smaller one are among those of the larger one.

    Args:
        selections: of trainings.
        default: share of the selections that have none.
    """
    told = [selection.hold_out for selection in selections]
    if all(share is None for share in told):
        return None
    return min(default if share is None else share for share in told)


def draw_limited(labels, limit):
    """Return the positions, ascending, of up to `limit` images of each label.

    They are drawn at random, always the same.
    """
    import numpy as np

    random = np.random.default_rng(0)
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.sort(
        np.concatenate([random.permutation(m)[:limit] for m in members] or [np.zeros(0, int)])
    )


def hold_out_validation(source, share):
    """Return a `splits.Source` with a validation split that is drawn from train.

    Args:
        source: without a validation split.
        share: of the images of each class.
    """
    import numpy as np

    if not share:
        return source.add_note("no validation split, and nothing held out")
    train = source.splits["train"]
    random = np.random.default_rng(HOLD_OUT_SEED)
    held = []
    for label in range(len(source.classes)):
        members = np.flatnonzero(train.labels == label)
        # The last picture of a class stays in train.
        n = min(max(1, round(share * len(members))), len(members) - 1)
        held.extend(random.permutation(members)[: max(n, 0)])
    if not held:
        return source.add_note(
            "one image a class: nothing can be held out for validation, training goes on without"
        )
    keep = np.setdiff1d(np.arange(len(train)), held)
    note = (
        f"no validation split: {len(held)} of {len(train)} training images held out, the "
        "same share of each class"
    )
    splits = {"train": train.take(keep), "validation": train.take(np.sort(held))}
    return source.add_note(note, splits={**source.splits, **splits}, drawn=True)
