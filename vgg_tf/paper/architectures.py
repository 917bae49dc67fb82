"""Table 1 of the paper as data, without Keras: the layers of each network.

Examples:
    >>> ARCHITECTURES["vgg16"].weight_layers
    16
    >>> IMAGENET_MEAN  # RGB 0..255
    (123.68, 116.779, 103.939)
"""

from dataclasses import dataclass

STAGE_WIDTHS = (64, 128, 256, 512, 512)  # doubled after each pooling up to 512 (section 2.1)
HEAD_WIDTH = 4096  # fc1 and fc2

# Statistics of the ILSVRC-2012 training set, RGB 0..255. The first is the mean pixel of the
# released Caffe networks, in RGB order. The others are those of torchvision's networks.
IMAGENET_MEAN: tuple[float, float, float] = (123.68, 116.779, 103.939)
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
        name: Name of the architecture, such as `vgg16_bn`.
        column: Letter of its column in the paper, such as `D`.
        kernels: Kernel sides of the convolutions in each of the five stages, in pixels.
        batch_norm: If True, batch normalization is between each convolution and its ReLU. The paper
            does not have it; torchvision's `_bn` networks do.
        lrn: If True, local response normalization follows the first stage's convolution (A-LRN).
    """

    name: str
    column: str
    kernels: tuple[tuple[int, ...], ...]
    batch_norm: bool = False
    lrn: bool = False

    @property
    def weight_layers(self):
        """Number of layers with weights, including the head's three: the number in the name."""
        return sum(len(stage) for stage in self.kernels) + 3


def _table():
    for (name, kernels), column in zip(_KERNELS.items(), "ABCDE", strict=True):
        yield Architecture(name, column, kernels)
        if name == "vgg11":
            yield Architecture("vgg11_lrn", "A-LRN", kernels, lrn=True)
        yield Architecture(name + "_bn", column, kernels, batch_norm=True)


ARCHITECTURES: dict[str, Architecture] = {row.name: row for row in _table()}


def count_filters(width):
    """Return the number of filters of each of the five stages, at this multiple of the paper's."""
    return tuple(max(1, round(stage_width * width)) for stage_width in STAGE_WIDTHS)


def find_width(filters):
    """Return a width for which `count_filters` returns these numbers.

    If one factor gives exactly these numbers without rounding, it is the width.

    Args:
        filters: Numbers of filters of the five stages.

    Returns:
        float, the multiplier of the paper's numbers of filters.

    Raises:
        ValueError: No width gives these numbers.
    """
    # 512 times the width differs by at most a half from the last number. Within this range, another
    # stage's number changes only where 512 times the width equals the last number. So it is enough
    # to try this width, one below it and one above it.
    last = 4 * filters[-1]
    found = next(
        (n / 2048 for n in (last, last - 1, last + 1) if count_filters(n / 2048) == tuple(filters)),
        None,
    )
    if found is None:
        given, paper = (", ".join(map(str, numbers)) for numbers in (filters, STAGE_WIDTHS))
        raise ValueError(
            f"The numbers of filters must be {paper} times one width. Received: {given}. "
            "Use inherit_weights to copy the layers that fit."
        )
    return found


def find_architecture(name):
    """Return the architecture of this name.

    Args:
        name: A key of `ARCHITECTURES`.

    Returns:
        The `Architecture`.

    Raises:
        ValueError: The name is unknown; the message lists the known ones.
    """
    if name not in ARCHITECTURES:
        raise ValueError(
            f"Unknown architecture {name!r}. Expected one of: {', '.join(ARCHITECTURES)}."
        )
    return ARCHITECTURES[name]
