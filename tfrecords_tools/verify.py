"""Verify shards: `python -m tfrecords_tools.verify SHARDS` reads every record, decodes every
image, and lists what is wrong.
"""

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from vgg_tf.records.collection import Collection
from vgg_tf.records.integrity import verify
from vgg_tf.runtime import command_line, programs, quiet


@dataclass(frozen=True)
class Flags:
    """Read shards through: checksums, counts, labels, images, boxes, names. Exit code 1, and a
    list, if anything is wrong.
    """

    shards: Annotated[str, tyro.conf.Positional]
    """Folder that tfrecords_tools.write has written, here or gs://."""


def main(arguments=None):
    """Parse the flags, verify, print what is wrong."""
    flags = command_line.parse_flags(Flags, arguments, "python -m tfrecords_tools.verify")
    quiet.quiet_tensorflow()
    findings = verify(flags.shards)
    collection = Collection.read(flags.shards)
    shards = sum(values["shards"] for values in collection.splits.values())
    n = sum(values["images"] for values in collection.splits.values())
    for finding in findings:
        print(finding)
    if findings:
        print(
            f"{len(findings)} findings in {len({finding.file for finding in findings})} files. "
            "Delete the shards named: the command that wrote them restores them."
        )
        sys.exit(1)
    print(f"{flags.shards}: {shards} shards, {n:,} records, all is well")


if __name__ == "__main__":
    programs.run(main)
