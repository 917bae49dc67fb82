"""Show what is in a collection: `python -m tfrecords_tools.show SOURCE` prints examples and draws a contact sheet."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from vgg_tf.data.examples import examples
from vgg_tf.data.selection import Selection
from vgg_tf.runtime import programs, quiet


@dataclass(frozen=True)
class Flags:
    """Print examples of shards, or of any other source, and save a contact sheet with class names and boxes."""

    source: Annotated[str, tyro.conf.Positional]
    """A folder of shards of any writer, of class folders, of the ILSVRC competition; tfds:NAME; or digits."""
    out: Path = Path("contact_sheet.png")
    """The picture; its suffix says the format."""
    split: str = "train"
    """train, validation or test."""
    n: int = 24
    """How many images."""
    seed: int = 0
    """Which of them, where the images lie in files; of our shards, whose order is random, the first ones are shown."""
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)


def main(arguments=None):
    """Parse the flags, print the examples, draw them."""
    flags = tyro.cli(Flags, args=arguments, prog="python -m tfrecords_tools.show")
    if flags.n < 1 or flags.seed < 0:
        raise ValueError(f"n is at least 1, seed 0 or more. Received: {flags.n}, {flags.seed}.")
    from vgg_tf.figures import drawing, sheets

    drawing.check_suffix(flags.out)
    quiet.quiet_tensorflow()

    from vgg_tf.images.decoding import decode_named

    shown, pixels = [], []
    for example in examples(flags.source, flags.split, flags.n, flags.seed, flags.selection):
        image = decode_named(example.encoded, example.name)
        h, w, _ = image.shape
        boxes = f", {len(example.boxes.names)} boxes" if example.boxes.names else ""
        print(f"{example.where}: {example.class_name} ({example.label}), {w} x {h}, {len(example.encoded):,} bytes{boxes}")
        shown.append(example)
        pixels.append(image)
    titles = [example.class_name for example in shown]
    sheet = sheets.contact_sheet(pixels, titles, [example.boxes for example in shown], f"{flags.source}, {flags.split}")
    drawing.save(sheet, flags.out, dpi=150)
    print(f"{len(shown)} images on {flags.out}")


if __name__ == "__main__":
    programs.run(main)
