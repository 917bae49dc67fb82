"""Schemas of vgg_tf's own files: their fields, with types and bounds. One error for damage.

A schema is a table of rules. Every rule has bounds, so that a damaged file cannot ask for more
memory or time than a real one. A file may have fields that its schema does not name.
"""

import contextlib
import json
import reprlib
from dataclasses import dataclass, field

from vgg_tf.runtime import files

MOST_BYTES = 2**28  # of a JSON file: the result of a shard of a million images has 10 MB
MOST_CLASSES = 100_000  # ImageNet-21k has 21,841
MOST_IMAGES = 10**9
MOST_SHARDS = 99_999  # names of shards have five digits


class DamagedFileError(ValueError):
    """A file of vgg_tf is truncated, damaged or impossible."""


@dataclass(frozen=True)
class Number:
    """An int from `low` to `high`, or a float with `whole=False`. NaN is in no range."""

    low: float = 0
    high: float = MOST_IMAGES
    whole: bool = True

    def check(self, value, name):
        """Raise a ValueError unless the value follows the rule; `name` is its place in the file."""
        right = type(value) is int or (type(value) is float and not self.whole)
        if not right or not self.low <= value <= self.high:
            kind = "an integer" if self.whole else "a number"
            span = f"{kind} from {self.low:g} to {self.high:g}"
            _refuse(name, f"{self.low:g}" if self.low == self.high else span, value)


@dataclass(frozen=True)
class Text:
    """A str of at most `most` characters, of `choices` if there are any."""

    most: int = 100_000
    choices: tuple[str, ...] = ()

    def check(self, value, name):
        """Check a value, as `Number.check` does."""
        if not isinstance(value, str) or len(value) > self.most:
            _refuse(name, f"a text of at most {self.most:,} characters", value)
        if self.choices and value not in self.choices:
            _refuse(name, f"one of {', '.join(self.choices)}", value)


@dataclass(frozen=True)
class Digits:
    """A str of an int from 0 to `high`: JSON has no other keys."""

    high: int

    def check(self, value, name):
        """Check a value, as `Number.check` does."""
        right = isinstance(value, str) and len(value) < 20 and value.isdecimal()
        if not right or int(value) > self.high:
            _refuse(name, f"an integer from 0 to {self.high:,} in quotes", value)


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def check(self, value, name):
        """Check a value, as `Number.check` does."""
        if not isinstance(value, bool):
            _refuse(name, "true or false", value)


@dataclass(frozen=True)
class Maybe:
    """Null, or a value of the rule `of`."""

    of: object

    def check(self, value, name):
        """Check a value, as `Number.check` does."""
        if value is not None:
            self.of.check(value, name)


@dataclass(frozen=True)
class Many:
    """A list of `least` to `most` values of the rule `of`."""

    of: object
    most: int = 10**7
    least: int = 0

    def check(self, value, name):
        """Check a value, as `Number.check` does."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            span = f"{self.most:,}" if self.least == self.most else f"{self.least} to {self.most:,}"
            _refuse(name, f"a list of {span} values", value)
        for i, one in enumerate(value):
            self.of.check(one, f"{name}[{i}]")


@dataclass(frozen=True)
class Named:
    """A dict of at most `most` values of the rule `of`, whose keys follow the rule `keys`."""

    of: object
    keys: object = field(default_factory=Text)
    most: int = 10**6

    def check(self, value, name):
        """Check a value, as `Number.check` does."""
        if not isinstance(value, dict) or len(value) > self.most:
            _refuse(name, f"an object of at most {self.most:,} fields", value)
        for key, one in value.items():
            self.keys.check(key, f"a key of {name}")
            self.of.check(one, f"{name}.{key}")


@dataclass(frozen=True)
class Fields:
    """A dict with all fields of `needed`, and maybe some of `more`; further ones are not checked.

    Attributes:
        needed: Dict from names to rules.
        more: Dict from names to rules of fields that old files do not have.
    """

    needed: dict
    more: dict = field(default_factory=dict)

    def check(self, value, name=""):
        """Check a value, as `Number.check` does."""
        if not isinstance(value, dict):
            _refuse(name, "a JSON object", value)
        if missing := [key for key in self.needed if key not in value]:
            raise ValueError(f"no {'.'.join(filter(None, (name, missing[0])))}")
        for key, rule in (self.needed | self.more).items():
            if key in value:
                rule.check(value[key], f"{name}.{key}" if name else key)

    def select(self, values):
        """Return the fields of a dict that the schema names."""
        return {key: values[key] for key in (self.needed | self.more) if key in values}


# Fields of several files.
CLASSES = Many(Text(), MOST_CLASSES)
OBJECT = Fields({})
CLASSES_OF = Fields({"classes": CLASSES})  # dataset.json, where only the names of classes are read


def _refuse(name, expected, value):
    shown = reprlib.repr(value).replace("\n", " ")
    raise ValueError(f"{name or 'it'} must be {expected}, not {shown}")


def parse(text, schema, path, called, remedy):
    """Return the values of a JSON text of vgg_tf.

    Args:
        text: str, or bytes in UTF-8.
        schema: The rule of the values.
        path: The file, for the message.
        called: What the file must be, such as `a plan of shards`.
        remedy: A sentence: what to do about a damaged file.

    Returns:
        dict.

    Raises:
        DamagedFileError: The text is not JSON, or does not follow its schema.
    """
    with naming(path, called, remedy):
        values = _load_json(text)
        schema.check(values, "")
    return values


def _load_json(text):
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"invalid JSON: {error}") from None


def read(path, schema, called, remedy, most=MOST_BYTES):
    """Read a JSON file of vgg_tf.

    Args:
        path: Path, local or remote.
        schema: As for `parse`.
        called: As for `parse`.
        remedy: As for `parse`.
        most: Largest size of the file, in bytes.

    Returns:
        dict.

    Raises:
        DamagedFileError: The file is not JSON, or does not follow its schema.
        OSError: The file cannot be read.
    """
    with naming(path, called, remedy):
        Number(0, most).check(files.read_size(path), "its size in bytes")
    return parse(files.read(path), schema, path, called, remedy)


@contextlib.contextmanager
def naming(path, called, remedy):
    """Convert a ValueError about the contents of a file to a DamagedFileError in one line.

    Args:
        path: As for `parse`.
        called: As for `parse`.
        remedy: As for `parse`.

    Yields:
        None.

    Raises:
        DamagedFileError: In place of a ValueError.
    """
    try:
        yield
    except ValueError as error:
        said = " ".join(str(error).split()).rstrip(".")[:300]
        raise DamagedFileError(f"{path} must be {called}. Received: {said}. {remedy}") from None
