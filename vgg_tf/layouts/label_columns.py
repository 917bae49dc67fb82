"""Which columns of a table have the labels and the splits."""

import re
import unicodedata

from vgg_tf.layouts.split_words import find_split
from vgg_tf.records.splits import SPLITS
from vgg_tf.runtime.programs import format_names

MISSING = frozenset(("", "nan", "null", "<na>"))  # no labels, in lower case
# Names of columns that are never labels: splits, and the index that pandas wrote.
_SPLIT = re.compile(
    r"(data)?(partition|splits?|sets?|subset|folds?|kfold|cv|usage|phase|mode)(id|name|no)?|"
    r"is(train|training|val|valid|validation|test|testing)(set|image)?"
)
_INDEX = re.compile(r"|index|unnamed: 0", re.IGNORECASE)
_BOOLS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
# Names of the column of labels, without what is not a letter.
_LABEL = re.compile(
    r"(image|img|class|dog|plant|target)?(label|labels|class|classes|category|categories|breed|"
    r"species|target|targets|variety|diagnosis|dx|disease|emotion|y)(s|es)?(name|id|code|group)?"
)


def set_aside(header, values):
    """Part columns of splits from those that may have labels.

    Args:
        header: names of all columns, or empty.
        values: `{position of a column: its values}`.

    Returns:
        splits: those of `values` with splits or folds, by their names or because all values are
            names of splits.
        others: the rest, without the index that pandas wrote.
    """
    splits = {
        i: column
        for i, column in values.items()
        if (header and _SPLIT.fullmatch(_simplify(header[i]))) or _has_splits(column)
    }
    others = {
        i: column
        for i, column in values.items()
        if i not in splits and not (header and _INDEX.fullmatch(header[i]))
    }
    return splits, others


def _has_splits(column):
    """Return whether all values, some of which may be missing, are names of splits."""
    words = {value for value in column if value.lower() not in MISSING}
    return bool(words) and all(_find_value(word) for word in words)


def _find_value(value):
    """Return the split of a value, or None; `train station` is not one."""
    return find_split(value) if value.replace("_", "").replace("-", "").isalpha() else None


def read_splits(header, columns):
    """Read the columns of splits.

    Args:
        header: names of all columns, or empty.
        columns: from `set_aside`.

    Returns:
        splits: the split of each row, a list of str, where an empty str is no split; empty
            if no column has splits, only folds or the like.
        unused: name of the first column that is not obeyed, or an empty str.
    """
    splits, unused = [], ""
    for i, column in columns.items():
        name = header[i] if header else f"column {i + 1}"
        flag = find_split(name[2:].lstrip("_ ")) if name.lower().startswith("is") else None
        if not splits and _has_splits(column):
            found = [_find_value(value) or "" for value in column]
            splits = [split if split in SPLITS else "" for split in found]
        elif flag in ("validation", "test") and {v.lower() for v in column} <= _BOOLS.keys():
            before = splits or ["train"] * len(column)
            splits = [
                flag if _BOOLS[value.lower()] else split
                for value, split in zip(column, before, strict=True)
            ]
        else:
            unused = unused or name
    return splits, unused


def note_cases(labels):
    """Return notes about labels that differ only in case, a list of up to one str."""
    forms = {}
    for label in sorted(set(labels)):
        forms.setdefault(label.lower(), []).append(label)
    same = [" and ".join(each) for each in forms.values() if len(each) > 1]
    text = f"labels that differ only in case are several classes: {format_names(same)}"
    return [text] if same else []


def choose_known(header, values, known, train_column):
    """Return the column whose labels are the classes of train, or None."""
    if train_column:
        return next((i for i in values if header and header[i] == train_column), None)
    named = [i for i in values if header and _is_label(header[i])]
    there = {
        i: {_compose(value) for value in column if value.lower() not in MISSING}
        for i, column in values.items()
    }
    inside = [i for i in values if there[i] and there[i] <= set(map(_compose, known))]
    # Numbers such as 0 and 1 may be anything.
    words = [i for i in inside if not all(value.isdigit() for value in values[i] if value)]
    found = [i for i in inside if i in named] or words or named
    found = found or (inside if len(values) == 1 else [])
    return found[0] if found else None


def choose(path, header, values):
    """Return the column of labels by its name, or the only one next to the pictures, or None."""
    named = [i for i in values if header and _is_label(header[i])]
    if named and all(_group(values[i]) == _group(values[named[0]]) for i in named):
        # Names are better than numbers.
        return min(named, key=lambda i: all(value.isdigit() for value in values[i]))
    if not values:
        return None
    text = ", ".join(header[i] if header else f"column {i + 1}" for i in list(values)[:20])
    if not named and len(values) == 1:
        ((i, column),) = values.items()
        if len(set(column)) <= max(2, len(column) / 2):
            return i
        text = f"{text} with {len(set(column))} values in {len(column)} rows"
    raise ValueError(
        f"{path} must have one column of labels, which is called label, class, category, breed, "
        f"species or target. Received: {text}. In a copy of the folder, call the column label, "
        "and remove other columns of labels."
    )


def _is_label(name):
    """Return whether the name of a column is that of a column of labels."""
    return bool(_LABEL.fullmatch(_simplify(name)))


def _compose(name):
    return unicodedata.normalize("NFC", name)


def _simplify(name):
    """Return only the letters of a name, in lower case."""
    return re.sub(r"[^a-z]", "", name.lower())


def _group(column):
    """Return the number of the group of equal values that each row belongs to."""
    numbers = {}
    return [numbers.setdefault(value, len(numbers)) for value in column]
