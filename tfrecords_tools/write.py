"""Write images as TFRecord shards: `python -m tfrecords_tools.write SOURCE OUT`.

Each image is decoded once, to find damaged ones and to measure colors and sizes. A shard gets its
final name when it is complete, so the same command continues an interrupted run.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import tyro

from vgg_tf.data.selection import Selection
from vgg_tf.records.copies import COPIES
from vgg_tf.runtime import command_line, programs
from vgg_tf.writing.write import keep_hold_out_rule, write


@dataclass(frozen=True)
class Flags:
    """Write images as TFRecord shards with 0-based labels, and a dataset.json.

    Attributes:
        source: Folder of class folders (alone or below train/, val/, test/), of Kaggle's ILSVRC
            competition, of pictures with Pascal VOC annotations, or of shards of any writer;
            tfds:NAME; or digits.
        out: Folder for the shards, local or gs://. A new one, or one from an interrupted run of the
            same command.
        shards: Number of shards of the training split; other splits in proportion. The default 0
            makes shards of about 150 MB.
        seed: Seed of the order of the images.
        check: Decode each image to find damaged ones. Without this, bytes are copied, and colors
            are measured on 128 images.
        runner: Program that writes: local is this process on all cores; beam is Apache Beam, for
            Dataflow, Flink or Spark.
        beam_args: Flags of Apache Beam in one string, such as "--runner=FlinkRunner". Dataflow
            needs --runner=DataflowRunner, --project, --region and --temp_location=gs://BUCKET/tmp.
        selection: Images to take from the source.
    """

    source: Annotated[str, tyro.conf.Positional]
    out: Annotated[str, tyro.conf.Positional]
    shards: int = 0
    seed: int = 0
    check: bool = True
    runner: Literal["local", "beam"] = "local"
    beam_args: str = ""
    selection: Annotated[Selection, tyro.conf.arg(name="")] = field(default_factory=Selection)


def main(arguments=None):
    """Parse the flags, write the shards and print a summary."""
    flags = command_line.parse_flags(Flags, arguments, "python -m tfrecords_tools.write")

    from vgg_tf.data import opening

    if flags.beam_args and flags.runner != "beam":
        raise ValueError(
            f"--beam-args requires --runner beam. Received: --runner {flags.runner}. Add --runner "
            "beam, or remove --beam-args."
        )
    selection = keep_hold_out_rule(flags.out, flags.selection)
    source = opening.open_source(
        flags.source, replace(selection, skip_bad=False), flags.selection.skip_bad
    )
    counts = ", ".join(f"{source.count_images(split):,} {split}" for split in source.splits)
    print(
        f"{flags.source}: {counts} images of {len(source.classes)} classes",
        *source.notes,
        sep="\n  ",
        flush=True,
    )
    run = None
    if flags.runner == "beam":
        from vgg_tf.writing import beam

        run = beam.make_runner(flags.beam_args)
    collection = write(
        source, flags.out, flags.shards, flags.seed, flags.check, flags.selection.skip_bad, run
    )
    shards = ", ".join(f"{values['shards']} {split}" for split, values in collection.splits.items())
    notes = collection.notes[len(source.notes) :]
    left_out = sum(note.startswith("left out: ") for note in notes)
    copies = [note for note in notes if note.startswith(COPIES)]
    for note in copies:
        print(f"  {note}")
    boxes = sum(values["boxes"] for values in collection.splits.values())
    n = sum(values["images"] for values in collection.splits.values())
    print(
        f"{flags.out}: {shards} shards, {programs.count(n, 'image')}, "
        f"{programs.count(boxes, 'box', 'boxes')}; {len(notes) - left_out - len(copies)} "
        f"changed and {left_out} left out, listed in dataset.json"
    )


if __name__ == "__main__":
    programs.run(main)
