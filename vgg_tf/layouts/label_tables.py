"""Labels in tables next to a folder of pictures, such as those of Kaggle."""

import os
import re
import unicodedata
from dataclasses import dataclass, field

from vgg_tf.images import formats
from vgg_tf.layouts import label_columns, text_tables
from vgg_tf.layouts.split_words import find_split

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
MAX_TEXTS = 20  # more text files in a folder are one per picture
# Tables that show how to hand in predictions.
_SAMPLE = re.compile(r"submission|(?<![a-z])(samples?|sub)(?![a-z])")
LEAST = 0.9  # share of the pictures that a table must name


@dataclass(frozen=True)
class LabelTable:
    """Labels of the pictures in one folder.

    Attributes:
        path: path of the table.
        column: name of the column of the labels; empty without a header.
        labels: `{name of a picture: its label}`.
        count: number of rows without the header.
        rows: positions of the rows with pictures of the folder.
        unused: name of a column of splits or folds that is not obeyed, or empty.
        splits: `{name of a picture: its split}` of a column of splits that is obeyed, or empty.
    """

    path: str
    column: str
    labels: dict[str, str]
    count: int
    rows: list[int]
    unused: str = ""
    splits: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Group:
    """Pictures of several folders, with what `Tables` asks of a folder."""

    path: str
    name: str
    pictures: list[str]


class Tables:
    """The tables of a source, each of which is read once.

    Attributes:
        near: remarks about tables that name too few pictures.
        with_splits: paths of tables next to class folders that have a column of splits, as keys.
        constant: remarks about tables of val or test with a single label.
    """

    def __init__(self):
        """Begin without tables."""
        self._rows = {}
        self._used = {}  # for each path the numbers of the rows that have labels of a split
        self.near, self.constant, self.with_splits = [], [], {}

    def find(self, folder, places, split, known=(), column=""):
        """Find the table that has the labels of the pictures in a folder.

        Args:
            folder: `trees.Folder`; only the pictures in it itself are meant.
            places: list of `trees.Folder` where a table may be.
            split: split of the pictures. Tables with the name of another split are not read.
            known: classes of train; empty for train itself.
            column: name of the column of train's labels, or empty.

        Returns:
            A `LabelTable`, or None.

        Raises:
            ValueError: tables disagree, or it is not clear which column has the labels; the message
                names them.
        """
        return self._find(folder, places, split, (known, column), True)

    def find_among(self, top, folders, places, split):
        """Find the table that has labels of the pictures in several folders.

        Args:
            top: `trees.Folder` that has the folders.
            folders: list of `trees.Folder`; only the pictures in them themselves are meant.
            places: list of `trees.Folder` where a table may be, with the folders.
            split: split of the pictures.

        Returns:
            A `LabelTable` whose pictures are named `folder/picture`, or None.

        Raises:
            ValueError: as for `find`.
        """
        pictures = [f"{each.name}/{name}" for each in folders for name in each.pictures]
        below = "/".join([top.path, *(each.name for each in folders)])
        group = _Group(below, top.name, pictures)
        return self._find(group, [*folders, *places], split, ((), ""), False)

    def _find(self, folder, places, split, train, mark):
        """Return what `find` does; `mark` says whether the labels are used."""
        (known, column), keys = train, _make_keys(folder.pictures)
        fits, problems = [], []
        elsewhere = {each.name.lower() for place in places for each in place.folders}
        elsewhere -= set(folder.path.lower().split("/"))
        for path in _list_tables(places, split):
            if path not in self._rows:
                self._rows[path] = text_tables.read(path)
            rows, ragged = self._rows[path]
            if not rows:
                continue
            columns = _match_columns(rows, keys, split, elsewhere)
            for row in self._used.get(path, ()) if known else ():
                for matches in columns:
                    matches[row] = None  # train/1.jpg, not the 1.jpg of another split
            covered = max(len(set(column) - {None}) for column in columns)
            if covered < LEAST * len(folder.pictures):
                if mark:
                    self._note_near(path, covered, folder, rows)
                continue
            try:
                if ragged:
                    text_tables.refuse_ragged(path, ragged, len(rows[0]))
                fits.append(_read_labels(path, rows, columns, known, column))
                if not mark and (fits[-1].splits or fits[-1].unused):
                    self.with_splits[path] = None
                if mark and not known and not fits[-1].labels:
                    self.near.append(f"{os.path.basename(path)} has no column of labels")
            except ValueError as error:
                problems.append(error)
        fits = [table for table in fits if table.labels]
        if known:
            fits = [table for table in fits if not self._is_constant(table, train)]
        if not fits and problems:
            raise problems[0]
        _check_agreement(folder, fits)
        table = max(fits, key=lambda table: len(table.labels), default=None)
        if table and not known and mark:
            self._used[table.path] = table.rows
        return table

    def _note_near(self, path, covered, folder, rows):
        """Remember that a table does not name the pictures of a folder."""
        text = f"{os.path.basename(path)} names {covered} of {len(folder.pictures)} images in "
        text += f"{folder.name}/"
        if not covered:
            text += f"; its first value is {rows[min(1, len(rows) - 1)][0][:80]!r}"
        self.near.append(text)

    def _is_constant(self, table, train):
        """Return whether a table only fills the column of labels, which then is remembered."""
        values = set(table.labels.values())
        if len(values) != 1 or len(table.labels) < 2 or len(train[0]) < 2:
            return False
        if table.path in self._used:
            return False
        self.constant.append(
            f"{os.path.basename(table.path)} has only the label {values.pop()}, so it is not used"
        )
        return True


def _list_tables(places, split):
    """Return the paths of the files that may be tables of a split."""
    found = []
    for place in places:
        texts = sum(name.lower().endswith(".txt") for name in place.others)
        for name in place.others:
            stem, suffix = os.path.splitext(name.lower())
            if suffix not in SUFFIXES or (suffix == ".txt" and texts > MAX_TEXTS):
                continue
            of_split = find_split(os.path.splitext(name)[0])
            if not _SAMPLE.search(stem) and of_split in (None, split):
                found.append(f"{place.path}/{name}")
    return list(dict.fromkeys(found))


def _make_keys(pictures):
    """Return `{name or stem in lower case: picture}`; None for what is not unique.

    Pictures `folder/name` are also found by their names, if these are unique.
    """
    keys = {}
    for bare in (True, False) if any("/" in name for name in pictures) else (False,):
        for whole in (False, True):
            found = {}
            for name in pictures:
                key = unicodedata.normalize("NFC", name).lower()
                key = key.rpartition("/")[2] if bare else key
                key = key if whole else os.path.splitext(key)[0]
                found[key] = None if key in found else name
            keys |= found
    return keys


def _match_columns(rows, keys, split, elsewhere):
    """Return for each column the picture that each row names, or None.

    Args:
        rows: lists of str of the same length.
        keys: from `_make_keys`.
        split: split of the pictures.
        elsewhere: names of other folders. A path with one of them is another picture.

    Returns:
        A list for each column.
    """

    def match(value):
        value = value if value.isascii() else unicodedata.normalize("NFC", value)
        *folders, name = value.replace("\\", "/").lower().split("/")
        stem = os.path.splitext(name)[0] if name not in keys and "." in name else name
        if stem != name and not (stem in keys and formats.has_image_suffix(name)):
            stem = name
        if any(
            folder in elsewhere or find_split(folder) not in (None, split)
            for folder in folders[-2:]
        ):
            return None  # test/1.jpg is not train/1.jpg
        below = f"{folders[-1]}/" if folders else ""
        return (below and (keys.get(f"{below}{name}") or keys.get(f"{below}{stem}"))) or (
            keys.get(name) or keys.get(stem)
        )

    matched = {value: match(value) for row in rows for value in row}
    return [[matched[value] for value in column] for column in zip(*rows, strict=True)]


def _read_labels(path, rows, columns, known, train_column):
    """Return the `LabelTable` of a table that names the pictures; it may be without labels."""
    counts = [len(set(column) - {None}) for column in columns]
    key = counts.index(max(counts))
    header = rows[0] if columns[key][0] is None else []
    body = range(bool(header), len(rows))
    values = {
        i: [rows[row][i] for row in body] for i, n in enumerate(counts) if n < LEAST * counts[key]
    }
    of_splits, values = label_columns.set_aside(header, values)
    label = (
        label_columns.choose_known(header, values, known, train_column)
        if known
        else label_columns.choose(path, header, values)
    )
    split_of, unused = label_columns.read_splits(header, of_splits)
    if label is None:
        return LabelTable(path, "", {}, len(body), [], unused, {"": ""} if split_of else {})
    labels, used, splits = {}, [], {}
    for at, row in enumerate(body):
        picture, value = columns[key][row], rows[row][label]
        if picture is None:
            continue
        used.append(row)
        if value.lower() in label_columns.MISSING:
            continue
        if split_of:
            splits[picture] = split_of[at]
        if labels.setdefault(picture, value) != value:
            raise ValueError(
                f"{path} must have one label for each picture. Received: {labels[picture]} and "
                f"{value} for {picture}. Remove all rows of a picture but one."
            )
    return LabelTable(
        path, header[label] if header else "", labels, len(body), used, unused, splits
    )


def _check_agreement(folder, tables):
    """Raise a ValueError if two tables have different labels for a picture."""
    for table in tables[1:]:
        for picture in sorted(tables[0].labels.keys() & table.labels.keys()):
            if (one := tables[0].labels[picture]) != (other := table.labels[picture]):
                raise ValueError(
                    f"All tables must have the same labels for {folder.path}. Received: {one} in "
                    f"{tables[0].path} and {other} in {table.path} for {picture}. Move one table "
                    "to another folder."
                )
