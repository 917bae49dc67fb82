"""Read all records of shards and list errors: `python -m tfrecords_tools.verify SHARDS`."""

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from vgg_tf.records.collection import Collection
from vgg_tf.records.integrity import verify
from vgg_tf.runtime import command_line, programs, quiet


@dataclass(frozen=True)
class Flags:
    """Check the checksums, counts, labels, images, boxes and names of shards.

    If there are errors, they are printed and the exit code is 1.

    Attributes:
        shards: Folder that tfrecords_tools.write wrote, local or gs://.
    """

    shards: Annotated[str, tyro.conf.Positional]


def main(arguments=None):
    """Parse the flags, check the shards and print the errors."""
    flags = command_line.parse_flags(Flags, arguments, "python -m tfrecords_tools.verify")
    quiet.quiet_tensorflow()
    findings = verify(flags.shards)
    collection = Collection.read(flags.shards)
    shards = sum(values["shards"] for values in collection.splits.values())
    n = sum(values["images"] for values in collection.splits.values())
    for finding in findings:
        print(finding)
    if findings:
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
