"""Export a network: `python -m vgg_tf.export RUN_OR_FILE --format all`.

Each file is read back and compared with the network before it is put in place.
"""

from vgg_tf.functions.exporting import parse_export, run_export
from vgg_tf.runtime import programs


def main(arguments=None):
    """Write the files, and print how they differ from the network.

    Args:
        arguments: Command line without the program's name; None for `sys.argv`.
    """
    found = run_export(parse_export(arguments))
    if found.files:
        print(found)


if __name__ == "__main__":
    programs.run(main)
