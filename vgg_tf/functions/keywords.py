"""Keyword arguments of functions as words of the command line, which have one meaning and check."""

import contextlib
import difflib
import os
from collections.abc import Sequence
from typing import Annotated, get_args, get_origin

from vgg_tf.runtime.command_line import list_leaves

Path = str | os.PathLike[str]
Paths = Path | Sequence[Path]


def make_words(kind, called, keywords, positional=()):
    """Return the words of the command line that mean the same as keyword arguments.

    Args:
        kind: Dataclass of the flags.
        called: Name of the function, for messages.
        keywords: Dict from the name of a flag, with underscores, to its value. None is the default.
        positional: Path, or sequence of paths, of the positional arguments.

    Returns:
        List of str.

    Raises:
        TypeError: The program has no flag of this name.
    """
    leaves = {leaf.name: leaf for leaf in list_leaves(kind, None)}
    words = []
    for name, value in keywords.items():
        if name not in leaves:
            close = difflib.get_close_matches(name, leaves, 3, 0.6)
            raise TypeError(
                f"{called}() must get arguments of its program. Received: {name}. "
                f"{f'Did you mean {close[0]}?' if close else 'Its help lists them.'}"
            )
        if value is not None:
            words += _make_word(leaves[name], value)
    return [*words, *map(str, list_paths(positional))]


def list_paths(paths):
    """Return a path, or a sequence of paths, as a list."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def _make_word(leaf, value):
    flag = leaf.name.replace("_", "-")
    kind = get_args(leaf.kind)[0] if get_origin(leaf.kind) is Annotated else leaf.kind
    if isinstance(value, bool):
        if kind is bool:
            return [f"--{'' if value else 'no-'}{flag}"]
        value = "on" if value else "off"
    if isinstance(value, list | tuple):
        if get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis:
            return [f"--{flag}", *map(str, value)]
        value = ",".join(map(str, value))
    return [f"--{flag}={value}"]


@contextlib.contextmanager
def raising(called):
    """Raise an error in place of the end of the program, where flags are not understood.

    Args:
        called: Name of the function.

    Yields:
        None.

    Raises:
        ValueError: The flags are not understood. The message about them has been printed.
    """
    try:
        yield
    except SystemExit as end:
        raise ValueError(
            f"{called}() must get values that its program takes. Received: those of the message "
            f"above ({end.code}). Correct them."
        ) from None
