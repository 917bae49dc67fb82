"""What a random view of a training image may be (section 3.1), as one value.

This module imports neither TensorFlow nor NumPy.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """How random views of images are made: `views.make_train_view` makes them.

    Views are hashable, so that graphs can be cached by view.

    Example:
        >>> View(crop=32, scale=(32, 36), shift=0.0).center_scale
        34

    Attributes:
        crop: side of the square crop, in pixels.
        scale: `(S_min, S_max)`. The smaller side of the image is rescaled to S, drawn uniformly
            from these integers, in pixels. An int S stands for `(S, S)`.
        flip: whether half of the views are mirrored left to right.
        shift: standard deviation of the amounts of `colors.rgb_shift`; 0 for no shift.
        covariance: `[3, 3]`, of the colors, in squared grey levels, for the shift. None is that of
            the shards the images come from, and ImageNet's for other images.
        padding: pixels the crop may reach beyond the rescaled image, which is mirrored there.
        cutout: side, in pixels, of a square around a random pixel of the view that gets the view's
            mean color; what reaches beyond the view is cut off (DeVries & Taylor 2017). 0 for none.

    Raises:
        ValueError: a number is out of range; the message gives the range.
    """

    crop: int = 224
    scale: tuple[int, int] = (256, 256)
    flip: bool = True
    shift: float = 0.1
    covariance: tuple | None = None
    padding: int = 0
    cutout: int = 0

    def __post_init__(self):
        """Check the numbers, and turn lists and arrays into tuples."""
        low, high = self.scale if isinstance(self.scale, tuple | list) else (self.scale, self.scale)
        if not self.crop <= low <= high:
            raise ValueError(
                f"scale must be S or (S_min, S_max), not below the crop's side of {self.crop} "
                f"pixels. Received: {self.scale}."
            )
        if not 0 <= self.padding < self.crop:
            raise ValueError(
                f"padding must be from 0 to below the crop's side of {self.crop} pixels. Received: "
                f"{self.padding}."
            )
        if self.cutout < 0 or self.shift < 0:
            raise ValueError(
                f"cutout and shift must be 0 or more. Received: {self.cutout} and {self.shift}."
            )
        covariance = None
        if self.shift and self.covariance is not None:
            covariance = tuple(tuple(map(float, row)) for row in self.covariance)
        object.__setattr__(self, "scale", (low, high))
        object.__setattr__(self, "covariance", covariance)

    @property
    def center_scale(self):
        """Q in pixels for center crops: the middle of `scale` (section 4.1)."""
        return sum(self.scale) // 2
