"""Selection of classes and images of a source, and the held-out validation split.

Programs have these fields as flags, so NumPy is imported on use.
"""

from dataclasses import dataclass, replace
from typing import Literal

HOLD_OUT = 0.1  # default share of train held out for validation
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
        """Check the values."""
        if self.limit_per_class < 0:
            raise ValueError(
                f"--limit-per-class must be 0 or more. Received: {self.limit_per_class}. Try 0, "
                "which takes all images."
            )
        if not 0 <= self.held_out < 1:
            raise ValueError(
                f"--hold-out must be a share from 0 to below 1. Received: {self.hold_out}. Try "
                f"{HOLD_OUT}."
            )

    @property
    def held_out(self):
        """Share of train to hold out if a source has no validation split."""
        return HOLD_OUT if self.hold_out is None else self.hold_out

    def __bool__(self):
        """Return whether the selection differs from the default."""
        return self != EVERYTHING

    @classmethod
    def from_json(cls, values):
        """Return the selection from its JSON form, made by `dataclasses.asdict`."""
        return cls(**values | {"classes": tuple(values["classes"])})

    def takes(self, name):
        """Return whether the class of this name is selected."""
        return name.startswith(self.prefix) and (not self.classes or name in self.classes)

    def apply(self, source):
        """Return the selected part of a source, with new labels from 0.

        Args:
            source: a `splits.Source`.

        Returns:
            A `splits.Source`.

        Raises:
            ValueError: a class does not exist, fewer than two classes are selected, or they have no
                train images.
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
                f"The selected classes of {source.name} must have train images. Received: "
                f"{', '.join(source.classes[i] for i in taken[:5])}. Select other classes."
            )
        return replace(
            source,
            classes=tuple(source.classes[i] for i in taken),
            texts=tuple(source.texts[i] for i in taken) if source.texts else (),
            splits={name: split for name, split in splits.items() if name == "train" or len(split)},
        )

    def _choose(self, source):
        """Return the positions of the selected classes among those of a source."""
        if unknown := sorted(set(self.classes) - set(source.classes)):
            raise ValueError(
                f"{source.name} has no class {', '.join(unknown[:5])}. It has "
                f"{', '.join(source.classes[:10])}"
                + (f" and {len(source.classes) - 10} more." if len(source.classes) > 10 else ".")
            )
        taken = [i for i, name in enumerate(source.classes) if self.takes(name)]
        if len(taken) < 2:
            raise ValueError(
                f"At least 2 classes of {source.name} must be selected. Received: {len(taken)}. "
                "Select more."
            )
        return taken


EVERYTHING = Selection()


def find_least_held_out(selections, default=HOLD_OUT):
    """Return the share of train that all networks held out.

    A larger share contains the images of a smaller one.

    Args:
        selections: the `Selection`s that the networks were trained on.
        default: share of selections without `hold_out`.

    Returns:
        The smallest share, or None if no selection has one.
    """
    shares = [selection.hold_out for selection in selections]
    if all(share is None for share in shares):
        return None
    return min(default if share is None else share for share in shares)


def draw_limited(labels, limit):
    """Return the positions of up to `limit` images of each label.

    They are drawn at random with a fixed seed.

    Args:
        labels: int `[n]`.
        limit: maximum number of images per label.

    Returns:
        Ascending positions in `labels`, an int array.
    """
    import numpy as np

    random = np.random.default_rng(0)
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.sort(
        np.concatenate([random.permutation(m)[:limit] for m in members] or [np.zeros(0, int)])
    )


def hold_out_validation(source, share):
    """Return a source whose validation split is drawn from train.

    Args:
        source: a `splits.Source` without a validation split.
        share: share of the images of each class, from 0 to below 1.

    Returns:
        A `splits.Source`, with a note about the held-out images.
    """
    import numpy as np

    if not share:
        return source.add_note("no validation split, and nothing held out")
    train = source.splits["train"]
    random = np.random.default_rng(HOLD_OUT_SEED)
    held = []
    for label in range(len(source.classes)):
        members = np.flatnonzero(train.labels == label)
        # Each class keeps an image in train.
        n = min(max(1, round(share * len(members))), len(members) - 1)
        held.extend(random.permutation(members)[: max(n, 0)])
    if not held:
        return source.add_note(
            "one image per class: nothing can be held out for validation, so training has no "
            "validation"
        )
    keep = np.setdiff1d(np.arange(len(train)), held)
    note = (
        f"no validation split: {len(held)} of {len(train)} training images held out, the "
        "same share of each class"
    )
    splits = {"train": train.take(keep), "validation": train.take(np.sort(held))}
    return source.add_note(note, splits={**source.splits, **splits}, drawn=True)
