"""Test protocols (section 3.2) as data, without Keras: scales, crops, whole images.

The image is rescaled so that its smaller side is Q. A view is a crop of the training's size, or the
whole image. Whole images need a network in dense form. Every view except the center crop is also
tested flipped, where the training flipped images.

| protocol | views at each scale |
| --- | --- |
| center | the center crop |
| ten-crop | four corners and the center, also flipped (Krizhevsky 2012) |
| padded-ten-crop | the same ten crops of the image with a mirrored border |
| multi-crop | a grid of 5 x 5 crops from edge to edge, also flipped: 50 |
| dense | the whole image, also flipped; logits averaged over positions, then the softmax |
| multi-crop+dense | the mean of the two |

The border has 2 pixels for a crop of 32. The paper does not have it. It is for small images, and
for networks whose training crops extended beyond the image (`padding` of a recipe). With the border
objects keep the size that they had in training; a larger Q would change it.
"""

from dataclasses import dataclass
from typing import Literal

from vgg_tf.paper.recipe_checks import LARGEST_SIDE

GRID = 5
PROTOCOLS = {
    "center": ("center",),
    "ten-crop": ("ten-crop",),
    "padded-ten-crop": ("padded-ten-crop",),
    "multi-crop": ("multi-crop",),
    "dense": ("dense",),
    "multi-crop+dense": ("multi-crop", "dense"),
}
BORDER = 16  # the border has the crop's side divided by this
# Pixels between two positions of the dense form. Where shapes are static, sides are rounded to
# multiples of it.
STRIDE = 32


def choose_scales(scale, crop=224, several=False):
    """Return the test scales Q of section 4, for a training scale.

    One scale (section 4.1) is S itself for a fixed S, and the middle of a range. Three scales
    (section 4.2) are S - 32, S and S + 32 for a fixed S. For a range they are S_min, the middle and
    S_max.

    Args:
        scale: Training scale S, or `(S_min, S_max)`, in pixels.
        crop: Side of the training crop, in pixels. The paper's 32 pixels are for 224, and in
            proportion for others. No scale is below the crop.
        several: If True, return three scales, else one.

    Returns:
        Tuple of int, in pixels, in ascending order.
    """
    low, high = scale if isinstance(scale, tuple | list) else (scale, scale)
    middle = (low + high) // 2
    if not several:
        return (middle,)
    step = max(1, round(STRIDE * crop / 224))
    three = (low, middle, high) if low < high else (max(crop, low - step), low, low + step)
    return tuple(dict.fromkeys(three))  # two are equal where S is the crop's side


def place_crops(height, width, crop, view):
    """Return the upper left corners of the crops of a kind of view.

    Args:
        height: Height of the rescaled image, including its border, in pixels.
        width: Width of the rescaled image, including its border, in pixels.
        crop: Side of the crops, in pixels.
        view: `center`, `ten-crop`, `padded-ten-crop` or `multi-crop`.

    Returns:
        List of `(top, left)`, in pixels. All crops are inside the image. The corners of the grid
        are at `i * (side - crop) / 4`, rounded down.
    """
    down, right = height - crop, width - crop
    if view == "multi-crop":
        steps = range(GRID)
        return [(down * i // (GRID - 1), right * j // (GRID - 1)) for i in steps for j in steps]
    center = [(down // 2, right // 2)]
    return center if view == "center" else [(0, 0), (0, right), (down, 0), (down, right), *center]


@dataclass(frozen=True)
class Protocol:
    """The views of an image in a test.

    Attributes:
        name: A key of `PROTOCOLS`.
        scales: Test scales Q, in pixels, each at least `crop`.
        crop: Side of the network's crop, in pixels.
        flip: Whether views are also tested flipped.

    Raises:
        ValueError: The name is unknown, or a scale is below the crop.
    """

    name: str
    scales: tuple[int, ...]
    crop: int = 224
    flip: bool = True

    def __post_init__(self):
        if self.name not in PROTOCOLS:
            raise ValueError(
                f"Unknown protocol {self.name!r}. Expected one of: {', '.join(PROTOCOLS)}."
            )
        if max(self.scales, default=0) > LARGEST_SIDE:
            raise ValueError(
                f"Test scales must be at most {LARGEST_SIDE} pixels. Received: {self.scales}. Try "
                f"{(max(self.crop, 256),)}."
            )
        if not self.scales or min(self.scales) < self.crop:
            raise ValueError(
                f"Test scales must be at least the crop's side of {self.crop} pixels. Received: "
                f"{self.scales}. Try {(self.crop,)}."
            )

    @property
    def units(self):
        """Pairs of a scale and a kind of view, which are averaged with equal weights."""
        return [(scale, kind) for scale in self.scales for kind in PROTOCOLS[self.name]]

    @property
    def views(self):
        """Number of views of an image over all scales; a whole image and its flip are two views."""
        places = {"center": 1, "multi-crop": GRID**2, "dense": 1}
        sides = 2 if self.flip else 1
        return sum(
            places.get(kind, 5) * (1 if kind == "center" else sides) for _, kind in self.units
        )


ProtocolName = Literal[
    "center", "ten-crop", "padded-ten-crop", "multi-crop", "dense", "multi-crop+dense"
]
