"""Write a collection of images as sharded TFRecords: `python -m tfrecords_tools.write SOURCE OUT`.

Each image is decoded once, to find damaged ones and to measure colours and sizes. A shard gets its
name when it is whole, so that an interrupted run is continued by the same command.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from vgg_tf.data.selection import Selection
from vgg_tf.data.writing import write
from vgg_tf.runtime import command_line, programs


@dataclass(frozen=True)
class Flags:
    """Write images as sharded TFRecords, 0-based labels, with a dataset.json beside them."""

    source: Annotated[str, tyro.conf.Positional]
    """A folder of class folders (by itself or below train/, val/, test/), of Kaggle's ILSVRC
    competition, of pictures with Pascal-VOC annotations, or of shards of any writer; tfds:NAME;
    or digits.
    """
    out: Annotated[str, tyro.conf.Positional]
    """Folder for the shards, here or gs://: a new one, or one that the same command has begun."""
    shards: int = 0
    """Shards of the training split, the others in proportion; 0 makes them about 150 MB."""
    seed: int = 0
    """Seed of the order of the images."""
    check: bool = True
    """Decode each image. Without, bytes are copied, and colours are measured on a sample of 128."""
    skip_bad: bool = False
    """Leave out what cannot be read, and list it; without, it is listed and nothing counts as
    done.
    """
    runner: Literal["local", "beam"] = "local"
    """Who writes: this process, on all cores, or Apache Beam, which hands over to Dataflow,
    Flink or Spark.
    """
    beam_args: str = ""
    """Beam's own flags in one word: --beam-args="--runner=DataflowRunner --project=P --region=R
    --temp_location=gs://B/tmp".
    """
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)


def main(arguments=None):
    """Parse the flags, write, and say what was written."""
    flags = command_line.parse_flags(Flags, arguments, "python -m tfrecords_tools.write")

    from vgg_tf.data import opening

    if flags.beam_args and flags.runner != "beam":
        raise ValueError("--beam-args are for --runner beam. Add that, or leave them away.")
    source = opening.open_source(flags.source, flags.selection, flags.skip_bad)
    counts = ", ".join(f"{len(images):,} {split}" for split, images in source.splits.items())
    print(
        f"{flags.source}: {counts} images of {len(source.classes)} classes",
        *source.notes,
        sep="\n  ",
        flush=True,
    )
    run = None
    if flags.runner == "beam":
        from vgg_tf.records import beam

        run = beam.make_runner(flags.beam_args)
    collection = write(
        source, flags.out, flags.shards, flags.seed, flags.check, flags.skip_bad, run
    )
    shards = ", ".join(f"{values['shards']} {split}" for split, values in collection.splits.items())
    told = collection.notes[len(source.notes) :]
    left_out = sum(note.startswith("left out: ") for note in told)
    boxes = sum(values["boxes"] for values in collection.splits.values())
    n = sum(values["images"] for values in collection.splits.values())
    print(
        f"{flags.out}: {shards} shards, {n:,} images, {boxes:,} boxes; {len(told) - left_out} "
        f"changed and {left_out} left out, listed in dataset.json"
    )


if __name__ == "__main__":
    programs.run(main)
