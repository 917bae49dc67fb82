"""Test protocols (section 3.2): scales, crops, whole images. Data, no Keras.

The image is rescaled so that its smaller side is Q. A view is a crop of the training's size, or the
whole image, which the network takes as convolutions. Every view but the center crop is also seen
flipped.

| protocol | views at each scale |
| --- | --- |
| center | the center crop |
| ten-crop | four corners and the center, also flipped (Krizhevsky 2012) |
| padded-ten-crop | the same of the image with a mirrored border: 2 pixels for a crop of 32 |
| multi-crop | a grid of 5 x 5 crops from edge to edge, also flipped: 50 |
| dense | the whole image, also flipped; logits averaged over positions, then the softmax |
| multi-crop+dense | the mean of the two |

The border, which is not the paper's, is for small images, and for networks that were trained on
crops that reach beyond the image (`padding` of a recipe): objects keep the size that they had in
training, which a larger Q changes.
"""

from dataclasses import dataclass
from typing import Literal

GRID = 5
PROTOCOLS = {
    "center": ("center",),
    "ten-crop": ("ten-crop",),
    "padded-ten-crop": ("padded-ten-crop",),
    "multi-crop": ("multi-crop",),
    "dense": ("dense",),
    "multi-crop+dense": ("multi-crop", "dense"),
}
BORDER = 16  # a border is the crop's side divided by this
# Pixels between two positions of the dense form; sides are grouped to multiples of it where shapes
# are static.
STRIDE = 32


def choose_scales(scale, crop=224, several=False):
    """Q of section 4: for a fixed S that S, for a jittered one the middle.

    Args:
        scale: S, or `(S_min, S_max)`, of the training, in pixels.
        crop: the training's crop, in pixels; the paper's 32 pixels around a fixed S are in
            proportion to it.
        several: the three of section 4.2, S - 32, S and S + 32, or S_min, the middle and S_max;
            none below the crop.

    Returns:
        tuple of pixels.
    """
    low, high = scale if isinstance(scale, tuple | list) else (scale, scale)
    middle = (low + high) // 2
    if not several:
        return (middle,)
    step = max(1, round(STRIDE * crop / 224))
    three = (low, middle, high) if low < high else (max(crop, low - step), low, low + step)
    return tuple(dict.fromkeys(three))  # at S of the crop's side there are two


def place_crops(height, width, crop, view):
    """Upper left corners of the crops of a view, in pixels.

    Args:
        height, width: of the rescaled image, with its border where it has one.
        crop: side of the crops.
        view: `center`, `ten-crop`, `padded-ten-crop` or `multi-crop`.

    Returns:
        list of `(top, left)`: all crops lie within; those of the grid at `i (side - crop) / 4`,
        rounded down.
    """
    down, right = height - crop, width - crop
    if view == "multi-crop":
        steps = range(GRID)
        return [(down * i // (GRID - 1), right * j // (GRID - 1)) for i in steps for j in steps]
    centre = [(down // 2, right // 2)]
    return centre if view == "center" else [(0, 0), (0, right), (down, 0), (down, right), *centre]


@dataclass(frozen=True)
class Protocol:
    """How an image is tested.

    Attributes:
        name: a key of `PROTOCOLS`.
        scales: Q, each in pixels.
        crop: side of the network's crop, in pixels.
    """

    name: str
    scales: tuple[int, ...]
    crop: int = 224

    def __post_init__(self):
        if self.name not in PROTOCOLS:
            raise ValueError(f"No protocol {self.name!r}. Known: {', '.join(PROTOCOLS)}.")
        if not self.scales or min(self.scales) < self.crop:
            raise ValueError(
                f"Scales are Q of at least the crop's {self.crop} pixels. Received: {self.scales}."
            )

    @property
    def units(self):
        """What is averaged: pairs of a scale and a kind of views, each of which is worth as
        much.
        """
        return [(scale, kind) for scale in self.scales for kind in PROTOCOLS[self.name]]

    @property
    def views(self):
        """Number of views of an image, on all scales; a whole image and its flip are two."""
        of_kind = {
            "center": 1,
            "ten-crop": 10,
            "padded-ten-crop": 10,
            "multi-crop": 2 * GRID**2,
            "dense": 2,
        }
        return sum(of_kind[kind] for _, kind in self.units)


ProtocolName = Literal[
    "center", "ten-crop", "padded-ten-crop", "multi-crop", "dense", "multi-crop+dense"
]
