"""Locate objects (appendix A): `python -m vgg_tf.localize train|evaluate|predict`."""

import sys
from dataclasses import make_dataclass

import tyro

from vgg_tf.functions import boxes
from vgg_tf.localization import session
from vgg_tf.localization.flags import COMMANDS, PROG
from vgg_tf.runtime import command_line, programs


def main(arguments=None):
    """Run the command that the first word names.

    Args:
        arguments: list of words; None takes the command line.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    command_line.print_version(words)
    name, *rest = words or [""]
    if name == "train":
        begun, flags = session.parse(rest)
        print(session.format_result(vars(boxes.run_training(begun, flags))))
    elif name in COMMANDS:
        flags = command_line.parse_flags(COMMANDS[name], rest, f"{PROG} {name}")
        if name == "evaluate":
            print(boxes.run_test(flags))
        else:
            _print_boxes(boxes.run_prediction(flags))
    else:
        # Without their flags, which take a third of a second, and which COMMAND --help shows.
        plain = {name: make_dataclass(kind.__name__, ()) for name, kind in COMMANDS.items()}
        for name, kind in plain.items():
            kind.__doc__ = COMMANDS[name].__doc__.partition("Attributes:")[0]
        tyro.extras.subcommand_cli_from_dict(plain, args=words, prog=PROG)


def _print_boxes(found):
    """Print the number of pictures; list those that could not be read, with exit code 1."""
    count = programs.count(len(found.pictures) + len(found.problems), "picture")
    print(f"{programs.count(len(found.pictures), 'picture')}; {found.folder}")
    if bad := found.problems:
        listed = "\n  ".join(bad)
        sys.exit(f"error: {len(bad)} of {count} could not be read:\n  {listed}")


if __name__ == "__main__":
    programs.run(main)
