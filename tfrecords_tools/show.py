"""Show what is in a collection: `python -m tfrecords_tools.show SOURCE` prints examples and
draws a contact sheet.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from vgg_tf.data.examples import show
from vgg_tf.data.selection import Selection
from vgg_tf.runtime import command_line, programs


@dataclass(frozen=True)
class Flags:
    """Print examples of shards, or of any other source, and save a contact sheet with class
    names and boxes.
    """

    source: Annotated[str, tyro.conf.Positional]
    """A folder of shards of any writer, of class folders, of the ILSVRC competition; tfds:NAME;
    or digits.
    """
    out: Path = Path("contact_sheet.png")
    """The picture; its suffix says the format."""
    split: str = "train"
    """train, validation or test."""
    n: int = 24
    """How many images."""
    seed: int = 0
    """Which of them, where the images lie in files; of our shards, whose order is random, the
    first ones are shown.
    """
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)


def main(arguments=None):
    """Parse the flags, print the examples, draw them."""
    flags = command_line.parse_flags(Flags, arguments, "python -m tfrecords_tools.show")
    show(flags.source, flags.out, flags.split, flags.n, flags.seed, flags.selection)


if __name__ == "__main__":
    programs.run(main)
