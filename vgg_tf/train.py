"""Train a VGG network: `python -m vgg_tf.train --arch vgg16 --data FOLDER`.

Without data it trains on handwritten digits.
"""

from vgg_tf.forecast.trial import profile
from vgg_tf.functions.training import run_training
from vgg_tf.runtime import processes
from vgg_tf.training.flags import parse


def main(arguments=None):
    """Train, test the best network, and print the result."""
    flags, source = parse(arguments, check_inherit=True)
    if flags.profile:
        print(profile(flags, source, flags.folder))
        return
    run_training(flags, source, arguments)


if __name__ == "__main__":
    processes.run("vgg_tf.train", main)
