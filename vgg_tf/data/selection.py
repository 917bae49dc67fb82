"""Selection of classes and images of a source, and the held-out validation split.

Programs have these fields as flags, so NumPy is imported on use.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Literal

HOLD_OUT = 0.1  # default share of train held out for validation
HOLD_OUT_SEED = 0
# How images are drawn: 1 looks at each image alone, 2 keeps copies of a file on one side. Without
# copies both draw the same images. A run keeps the rule that it began with.
HOLD_OUT_RULES = (1, 2)
LARGEST = 200_000  # training images; among more of them, copies are not looked for


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
        keys: Keys of the features of third-party shards, such as image=photo,label=species; also
            name=KEY of file names and class=KEY of class names. The default is to infer them.
        skip_bad: Leave out pictures, annotations and records that cannot be read, with a note.
            Every picture is decoded once at the start.
        hold_out_rule: One of `HOLD_OUT_RULES`. It is not a flag, and selections that differ only in
            it are equal.
    """

    classes: tuple[str, ...] = ()
    prefix: str = ""
    limit_per_class: int = 0
    labels_from: Literal[0, 1] | None = None
    hold_out: float | None = None
    keys: str = ""
    skip_bad: bool = False
    hold_out_rule: int = field(default=HOLD_OUT_RULES[-1], compare=False, metadata={"flag": False})

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
        if self.hold_out_rule not in HOLD_OUT_RULES:
            raise ValueError(
                f"The rule of held-out images must be one of {HOLD_OUT_RULES}. Received: "
                f"{self.hold_out_rule!r}. Use the version of vgg_tf that made the run."
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
        """Return the selection from its JSON form, made by `dataclasses.asdict`.

        Earlier versions stored no `hold_out_rule`, and had rule 1.
        """
        names = {field.name for field in fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        return cls(**{"hold_out_rule": 1} | known | {"classes": tuple(values["classes"])})

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


def hold_out_validation(source, share, rule=HOLD_OUT_RULES[-1]):
    """Return a source whose validation split is drawn from train.

    Args:
        source: a `splits.Source` without a validation split.
        share: share of the images of each class, from 0 to below 1.
        rule: one of `HOLD_OUT_RULES`.

    Returns:
        A `splits.Source`, with a note about the held-out images.
    """
    import numpy as np

    if not share:
        return source.add_note("no validation split, and nothing held out")
    train = source.splits["train"]
    random = np.random.default_rng(HOLD_OUT_SEED)
    orders = [
        random.permutation(np.flatnonzero(train.labels == label))
        for label in range(len(source.classes))
    ]
    originals, notes = _find_originals(train.contents, rule)
    held = draw_groups(orders, originals, share)
    if not len(held):
        return source.add_note(
            "one image per class: nothing can be held out for validation, so training has no "
            "validation"
            if max(map(len, orders)) < 2
            else "each class has one picture and its copies: nothing can be held out for "
            "validation, so training has no validation"
        )
    keep = np.setdiff1d(np.arange(len(train)), held)
    note = (
        f"no validation split: {len(held)} of {len(train)} training images held out, the "
        "same share of each class"
    )
    splits = {**source.splits, "train": train.take(keep), "validation": train.take(held)}
    return replace(source, notes=(*source.notes, note, *notes), splits=splits, drawn=True)


def _find_originals(contents, rule):
    """Return the position of the first copy of each image, and notes about copies."""
    import numpy as np

    from vgg_tf.records.copies import find_originals
    from vgg_tf.runtime import programs

    if rule == 1:
        return np.arange(len(contents)), []
    if len(contents) > LARGEST:
        note = f"copies among {len(contents):,} training images were not looked for"
        return np.arange(len(contents)), [note]
    originals = find_originals(contents)
    n = int((originals != np.arange(len(contents))).sum())
    copies = programs.count(n, "training image is a copy", "training images are copies")
    note = f"{copies} of another one: copies are held out together, or not at all"
    return originals, [note] if n else []


def draw_groups(orders, originals, share):
    """Draw images to hold out, in groups that stay together.

    The classes are walked one after another, each in its order. The first image of a group decides
    where the group goes. A larger share draws the images of a smaller one, too.

    Args:
        orders: for each class the positions of its images, in the order in which they are drawn.
        originals: int `[n]`, equal for the images of a group.
        share: share of the images of each class, from 0 to below 1.

    Returns:
        Ascending positions, int64. Each class keeps an image. Of groups with most images of a
        class, none is drawn.
    """
    import numpy as np

    sizes, left = {}, [len(order) for order in orders]  # {group: {class: its images}}
    for label, order in enumerate(orders):
        for group in originals[order].tolist():
            of_class = sizes.setdefault(group, {})
            of_class[label] = of_class.get(label, 0) + 1
    met = {
        group
        for group, of_class in sizes.items()
        if any(2 * n > left[label] for label, n in of_class.items())
    }
    candidates = []
    for label, order in enumerate(orders):
        own, total = [], 0  # the groups that this class decides, and images of it before each one
        for group in originals[order].tolist():
            if group not in met:
                met.add(group)
                own.append((total, group))
                total += sizes[group][label]
        n = min(max(1, round(share * total)), left[label] - 1)
        # By the least share that draws a group. Python rounds halves to even numbers.
        candidates += [
            (before and (before + 0.5) / total, before % 2 == 0, group)
            for before, group in own
            if before < n
        ]
    held = np.zeros(len(originals), bool)
    for *_, group in sorted(candidates):
        if all(n < left[label] for label, n in sizes[group].items()):
            held[group] = True
            for label, n in sizes[group].items():
                left[label] -= n
    return np.flatnonzero(held[originals])
