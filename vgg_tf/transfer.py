"""Descriptors on new data (appendix B): `python -m vgg_tf.transfer SOURCE --weights RUN`."""

from vgg_tf.functions.description import parse_transfer, run_transfer
from vgg_tf.runtime import programs


def main(arguments=None):
    """Compute the descriptors, train and test the SVMs, write the report and print the result.

    Args:
        arguments: list of words; None takes the command line.
    """
    print(run_transfer(parse_transfer(arguments)))


if __name__ == "__main__":
    programs.run(main)
