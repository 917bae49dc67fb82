"""The command line of every program: flags in groups, help, version, suggestions."""

import dataclasses
import difflib
import platform
import sys
from typing import Annotated, get_args, get_origin, get_type_hints

import docstring_parser
import tyro

from vgg_tf.runtime.doctor import find_version

# Flags of other programs, and what they are called here.
OTHER_NAMES = {
    "--batch": "--batch-size",
    "--bs": "--batch-size",
    "--dataset": "--data",
    "--device": "--strategy",
    "--epoch": "--epochs",
    "--image-size": "--size",
    "--img-size": "--size",
    "--lr": "--learning-rate",
    "--model": "--arch",
    "--output": "--out",
    "--pretrained": "--inherit",
    "--val-split": "--hold-out",
    "--wd": "--l2",
    "--weight-decay": "--l2",
    "--weights": "--inherit",
}
PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "tensorflow-tpu", "jax")


def parse_flags(kind, words, prog, default=None, groups=None, hint=None):
    """Parse the words of a command line.

    Args:
        kind: a dataclass; each field is a flag. Fields that are dataclasses are flattened. The help
            of a flag is its entry in the section `Attributes` of the docstring of its class.
        words: list of str; None takes those of this process.
        prog: name of the program, such as `python -m vgg_tf.train`.
        default: an instance of `kind`, whose values are the defaults.
        groups: dict of a title to the names of the flags under it, in the order of the help. Flags
            of the title "" come first. None shows all flags in one group.
        hint: dict of the name of a flag to the words that its help shows for its default.

    Returns:
        An instance of `kind`.

    Raises:
        SystemExit: help or the version was asked for, or the words are not understood.
    """
    words = sys.argv[1:] if words is None else list(words)
    check_words(kind, words, prog)
    leaves = {leaf.name: leaf for leaf in list_leaves(kind, default)}
    form = _make_form(kind, leaves, groups or {"": list(leaves)}, hint or {})
    found = tyro.cli(form, args=words, prog=prog, config=(tyro.conf.OmitArgPrefixes,))
    values = {}
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        nested = dataclasses.is_dataclass(value) and field.name.startswith("group_")
        values |= vars(value) if nested else {field.name: value}
    return _assemble(kind, values, default)


def print_version(words):
    """Print the version and end the program, where the words ask for it.

    Args:
        words: list of str.

    Raises:
        SystemExit: `--version` is among the words.
    """
    if "--version" in words:
        print(format_version())
        raise SystemExit(0)


def format_version():
    """Return the versions of vgg_tf and of what it runs on, in one line."""
    names = [f"{name} {version}" for name in PACKAGES if (version := find_version(name))]
    own = find_version("vgg_tf") or "not installed"
    return f"vgg_tf {own} ({', '.join([*names, f'Python {platform.python_version()}'])})"


def check_network(word):
    """Raise a ValueError if a program that needs a network is called without one.

    Args:
        word: the network of the command line; empty without one.

    Raises:
        ValueError: the word is empty.
    """
    if not word:
        raise ValueError(
            f"A network is required. Received: {word!r}. Give a run folder of python -m "
            "vgg_tf.train, a weight file, or cifar10."
        )


def check_words(kind, words, prog):
    """Print the version where it is asked for, and refuse flags that do not exist.

    Args:
        kind: as for `parse_flags`, or a tuple of several.
        words: list of str.
        prog: name of the program.

    Raises:
        SystemExit: the version was printed; or, with exit code 2, a flag does not exist. One line
            suggests others.
    """
    print_version(words)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    leaves = [leaf for each in kinds for leaf in list_leaves(each, None)]
    flags = {"--" + leaf.name.replace("_", "-") for leaf in leaves}
    flags |= {"--no-" + leaf.name.replace("_", "-") for leaf in leaves if leaf.kind is bool}
    known = flags | {"--help", "--version", "--"}
    for word in words:
        flag = word.partition("=")[0].replace("_", "-")
        if not flag.startswith("--") or flag in known:
            continue
        other = OTHER_NAMES.get(flag)
        close = [other] if other in flags else difflib.get_close_matches(flag, flags, 3, 0.6)
        suggestion = f" Did you mean {' or '.join(close)}?" if close else ""
        message = f"error: {prog} has no flag {flag}.{suggestion} All flags: {prog} --help"
        print(message, file=sys.stderr)
        raise SystemExit(2)


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A flag: its name, its type with annotations, its help and its default."""

    name: str
    kind: object
    help: str
    default: object


def list_leaves(kind, default):
    """Yield the flags of a dataclass, those of its dataclasses among them.

    A field with the metadata `{"flag": False}` is not a flag. It keeps its default.
    """
    hints, texts = get_type_hints(kind, include_extras=True), _read_help(kind)
    for field in dataclasses.fields(kind):
        if not field.metadata.get("flag", True):
            continue
        hint, value = hints[field.name], _find_default(field, default)
        plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if dataclasses.is_dataclass(plain):
            yield from list_leaves(plain, value)
        else:
            yield Leaf(field.name, hint, texts.get(field.name, ""), value)


def _find_default(field, default):
    if default is not None:
        return getattr(default, field.name)
    if field.default is not dataclasses.MISSING:
        return field.default
    return tyro.MISSING if field.default_factory is dataclasses.MISSING else field.default_factory()


def _read_help(kind):
    """Return the help of each field, from the docstrings of a class and of those above it."""
    texts = {}
    for cls in reversed(kind.__mro__):
        if dataclasses.is_dataclass(cls) and cls.__doc__:
            for entry in docstring_parser.parse_from_object(cls).params:
                texts[entry.arg_name] = " ".join((entry.description or "").split())
    return texts


def _make_form(kind, leaves, groups, hint):
    """Make the dataclass that tyro reads: a nested one for each group."""
    rest = [name for name in leaves if not any(name in names for names in groups.values())]
    if rest:
        raise ValueError(f"flags without a group: {', '.join(rest)}")
    fields = []
    for title, names in groups.items():
        own = [_make_field(leaves[name], hint) for name in names]
        if not title:
            fields += own
            continue
        group = dataclasses.make_dataclass("Group", own, frozen=True)
        group.__doc__ = ""
        made = Annotated[group, tyro.conf.arg(name=title)]
        name = f"group_{len(fields)}"
        fields.append((name, made, dataclasses.field(default_factory=group)))
    form = dataclasses.make_dataclass(kind.__name__, fields, frozen=True)
    text = docstring_parser.parse_from_object(kind)
    parts = (text.short_description, text.long_description)
    between = "\n\n" if text.blank_after_short_description else " "
    form.__doc__ = between.join(" ".join(part.split()) for part in parts if part)
    return form


def _make_field(leaf, hint):
    options = {"help": leaf.help}
    if leaf.default in ("", (), None, tyro.MISSING):
        options["help_behavior_hint"] = ""
    if leaf.name in hint:
        options["help_behavior_hint"] = hint[leaf.name]
    kind = Annotated[leaf.kind, tyro.conf.arg(**options)]
    return leaf.name, kind, dataclasses.field(default=leaf.default)


def _assemble(kind, values, default):
    """Make an instance of a dataclass, and of the dataclasses in it, from values by name."""
    own = {}
    for field in dataclasses.fields(kind):
        if field.name in values:
            own[field.name] = values[field.name]
        else:
            value = _find_default(field, default)
            nested = dataclasses.is_dataclass(value) and field.metadata.get("flag", True)
            own[field.name] = _assemble(type(value), values, value) if nested else value
    return kind(**own)
