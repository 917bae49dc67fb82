"""Table 1 of the paper as data: what the networks are made of, without Keras."""

from dataclasses import dataclass

STAGE_WIDTHS = (64, 128, 256, 512, 512)  # doubled after each pooling up to 512 (section 2.1)
HEAD_WIDTH = 4096  # fc1 and fc2

# Statistics of the ILSVRC-2012 training set, RGB 0..255: the released Caffe nets' mean pixel, in
# RGB order; and what torchvision's networks are trained with.
IMAGENET_MEAN = (123.68, 116.779, 103.939)
TORCHVISION_MEAN = tuple(255 * v for v in (0.485, 0.456, 0.406))
TORCHVISION_STD = tuple(255 * v for v in (0.229, 0.224, 0.225))

# Kernel sides of the convolutions in the five stages. Configuration C has a 1x1 convolution at the
# end of stages 3 to 5.
_KERNELS = {
    "vgg11": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "vgg13": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "vgg16c": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "vgg16": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "vgg19": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}


@dataclass(frozen=True)
class Architecture:
    """One column of Table 1.

    Attributes:
        name: the name users type, `vgg16_bn`.
        column: the paper's letter, `D`.
        kernels: kernel sides (pixels) of the convolutions of each of the five stages.
        batch_norm: batch normalisation between each convolution and its ReLU (not in the paper;
            torchvision's `_bn`).
        lrn: local response normalisation after the first stage's convolution (A-LRN).
    """

    name: str
    column: str
    kernels: tuple[tuple[int, ...], ...]
    batch_norm: bool = False
    lrn: bool = False

    @property
    def weight_layers(self):
        """Number of layers with weights, the three of the head included: the number in the name."""
        return sum(len(stage) for stage in self.kernels) + 3


def _table():
    for (name, kernels), column in zip(_KERNELS.items(), "ABCDE", strict=True):
        yield Architecture(name, column, kernels)
        if name == "vgg11":
            yield Architecture("vgg11_lrn", "A-LRN", kernels, lrn=True)
        yield Architecture(name + "_bn", column, kernels, batch_norm=True)


ARCHITECTURES = {row.name: row for row in _table()}


def count_filters(width):
    """Numbers of filters of the convolutions of the five stages, at this multiple of the
    paper's.
    """
    return tuple(max(1, round(stage_width * width)) for stage_width in STAGE_WIDTHS)


def find_width(filters):
    """A width that `filters_of` makes these numbers of; exactly the one that they are multiplied by
    where it is one number.

    Args:
        filters: numbers of filters of the five stages.

    Raises:
        ValueError: no width gives them.
    """
    # 512 times the width is within a half of the last number. In between, another stage's number
    # can change at the last number itself only: this one, one below and one above it are all that
    # there is to try.
    last = 4 * filters[-1]
    found = next(
        (n / 2048 for n in (last, last - 1, last + 1) if count_filters(n / 2048) == tuple(filters)),
        None,
    )
    if found is None:
        told, paper = (", ".join(map(str, numbers)) for numbers in (filters, STAGE_WIDTHS))
        raise ValueError(
            f"No width gives {told} filters, as these weights have: build_vgg multiplies "
            f"{paper} by one number. Take what fits with inherit_weights."
        )
    return found


def find_architecture(name):
    """Look up a row of the table by its name.

    Raises:
        ValueError: there is none of that name; the message lists the known ones.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"No architecture {name!r}. Known: {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name]
