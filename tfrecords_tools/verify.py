"""Read all records of shards and list errors: `python -m tfrecords_tools.verify SHARDS`."""

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from vgg_tf.records.collection import Collection
from vgg_tf.records.integrity import examine
from vgg_tf.runtime import command_line, files, programs, quiet


@dataclass(frozen=True)
class Flags:
    """Check the checksums, counts, labels, images, boxes and names of shards.

    If there are errors, they are printed and the exit code is 1. Copies of images are counted. They
    are not errors.

    Attributes:
        shards: Folder that tfrecords_tools.write wrote, local or gs://.
        report: File for the list of all errors. Without it, if there are more than 20, they are
            written to SHARDS-errors.txt, next to the folder.
    """

    shards: Annotated[str, tyro.conf.Positional]
    report: str = ""


def main(arguments=None):
    """Parse the flags, check the shards and print the errors."""
    flags = command_line.parse_flags(Flags, arguments, "python -m tfrecords_tools.verify")
    quiet.quiet_tensorflow()
    findings, copies = examine(flags.shards)
    collection = Collection.read(flags.shards)
    shards = sum(values["shards"] for values in collection.splits.values())
    n = sum(values["images"] for values in collection.splits.values())
    lines = list(map(str, findings))
    if flags.report:
        files.write_whole(flags.report, "".join(f"{line}\n" for line in lines).encode())
    for note in copies.describe():
        print(note)
    if lines:
        report = flags.report or f"{flags.shards.rstrip('/')}-errors.txt"
        print(programs.format_list(lines, report).replace("\n  ", "\n"))
        damaged = programs.count(len({finding.file for finding in findings}), "file")
        print(
            f"{programs.count(len(findings), 'error')} in {damaged}. "
            "Delete these shards and run the command that wrote them again."
        )
        sys.exit(1)
    print(
        f"{flags.shards}: {programs.count(shards, 'shard')}, {programs.count(n, 'record')}, no "
        "errors"
    )


if __name__ == "__main__":
    programs.run(main)
