"""Look before a long training: `python -m vgg_tf.preflight --init` tells which initialisers a network survives."""

import sys
from dataclasses import dataclass

import tyro

from vgg_tf import programs
from vgg_tf.architectures import TORCHVISION_STD, architecture

_SHOWN = ("normalize", "block1", "block2", "block3", "block4", "block5", "fc1", "fc2")


@dataclass(frozen=True)
class Flags:
    """Checks that take a minute and may save days."""

    init: bool = False
    """Send eight views of two photographs through the network from each initialiser, and tell how the signal fares."""
    arch: str = "vgg16"
    """vgg11, vgg11_lrn, vgg13, vgg16c, vgg16, vgg19; with _bn for batch normalisation."""
    size: int = 224
    """Side of the crops, in pixels."""
    classes: int = 1000
    """Number of classes."""
    seed: int = 0
    """Seed of the weights."""


def main(arguments=None):
    """Run the checks that were asked for."""
    flags = tyro.cli(Flags, args=arguments, prog="python -m vgg_tf.preflight")
    architecture(flags.arch)
    if not flags.init:
        sys.exit("Nothing to check. Give --init.")
    if not 32 <= flags.size <= 427:
        raise ValueError(f"--size is from 32 to 427 pixels, the height of the photographs. Received: {flags.size}.")
    programs.quiet_tensorflow()

    from vgg_tf.initializers import INITIALIZERS
    from vgg_tf.network import build_vgg
    from vgg_tf.probe import photographs, probe

    pixels = photographs(flags.size)
    print(f"{flags.arch}, {flags.size} pixels, {flags.classes} classes: root mean square after the last layer of each block,")
    print("standard deviation of the logits, first loss (nats)\n")
    for std, words in ((None, "input 0..255 minus the mean"), (TORCHVISION_STD, "input divided by its std as well")):
        print(f"{words}\n{'':12}" + "".join(f"{name:>10}" for name in ("input", *_SHOWN[1:], "logits", "loss")) + "  verdict")
        for name in (*INITIALIZERS, "auto"):
            shape = (flags.size, flags.size, 3)
            model = build_vgg(
                flags.arch, input_shape=shape, classes=flags.classes, initializer=name, std=std, seed=flags.seed, l2=0
            )
            found = probe(model, pixels)
            last = {key.split("_")[0]: scale for key, scale in found.scales.items()}
            numbers = [*(last[key] for key in _SHOWN), found.logits, found.loss]
            print(
                f"{name:12}" + "".join(f"{number:10.3g}" for number in numbers) + f"  {found.verdict.split(':')[0]}", flush=True
            )
        print()
    print("\n".join(f"{name:12}{row.source}" for name, row in INITIALIZERS.items()))


if __name__ == "__main__":
    programs.run(main)
