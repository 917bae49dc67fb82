"""Print and draw examples of a dataset: `python -m tfrecords_tools.show SOURCE [--what]`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from vgg_tf.data.examples import show
from vgg_tf.data.selection import Selection
from vgg_tf.runtime import command_line, programs


@dataclass(frozen=True)
class Flags:
    """Print examples of any source, and save a contact sheet with class names and boxes.

    With --what it prints what the source is taken for instead.

    Attributes:
        source: Folder of shards of any writer, of class folders or of the ILSVRC competition;
            tfds:NAME; or digits.
        out: File of the contact sheet; the suffix selects the format.
        split: Split to show: train, validation or test.
        n: Number of images.
        seed: Seed that selects images in files. Shards of vgg_tf are in random order already, and
            their first images are shown.
        what: Print the layout, the splits, the classes, formats, sizes, copies and what is left
            out. No examples are drawn.
        duplicates: With --what, look for copies among more than 50,000 images, too.
        selection: Images to take from the source.
    """

    source: Annotated[str, tyro.conf.Positional]
    out: Path = Path("contact_sheet.png")
    split: str = "train"
    n: int = 24
    seed: int = 0
    what: bool = False
    duplicates: bool = False
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)


def main(arguments=None):
    """Parse the flags, print the examples and draw them."""
    flags = command_line.parse_flags(Flags, arguments, "python -m tfrecords_tools.show")
    if flags.what or flags.duplicates:
        from vgg_tf.data.describing import describe
        from vgg_tf.data.opening import open_source

        print(describe(open_source(flags.source, flags.selection), flags.duplicates))
        return
    show(flags.source, flags.out, flags.split, flags.n, flags.seed, flags.selection)


if __name__ == "__main__":
    programs.run(main)
