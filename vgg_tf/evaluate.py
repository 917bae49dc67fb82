"""Test trained networks as in section 3.2: `python -m vgg_tf.evaluate RUN [RUN ...]`."""

from vgg_tf.functions.testing import parse_evaluate, run_evaluation
from vgg_tf.runtime import processes


def main(arguments=None):
    """Test the networks, write the report and print the result.

    Args:
        arguments: list of words; None takes the command line.
    """
    if found := run_evaluation(parse_evaluate(arguments), arguments):
        print(found)


if __name__ == "__main__":
    processes.run("vgg_tf.evaluate", main)
