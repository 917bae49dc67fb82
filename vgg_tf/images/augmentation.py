"""Settings of the random views of training images (section 3.1), as one value.

Importing this module imports neither TensorFlow nor NumPy.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """Settings of the random views of an image; `views.make_train_view` makes the views.

    Views are hashable, so graphs can be cached by view.

    Examples:
        >>> View(crop=32, scale=(32, 36), shift=0.0).center_scale
        34

    Attributes:
        crop: Side of the square crop, in pixels.
        scale: `(S_min, S_max)`, in pixels, both at least `crop`. The smaller side of the image is
            rescaled to S, drawn uniformly from the integers of this range. An int S means `(S, S)`.
        flip: If True, half of the views are mirrored left to right.
        shift: Standard deviation of the amounts of `colors.rgb_shift`, 0 or more; 0 for no shift.
        covariance: `[3, 3]`, covariance of the colors for the shift, in squared gray levels. None
            is the covariance of the shards that the images come from, and ImageNet's for other
            images.
        padding: Pixels by which the crop may extend beyond the rescaled image, 0 to `crop - 1`. The
            image is mirrored there.
        cutout: Side of the cutout square, in pixels (DeVries & Taylor 2017); 0 for none. A square
            around a random pixel of the view gets the view's mean color. It is clipped to the view.

    Raises:
        ValueError: A number is out of range; the message gives the range.
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
                f"scale must be S or (S_min, S_max) with {self.crop} (the crop's side) <= S_min <= "
                f"S_max. Received: {self.scale}. Use a larger scale or a smaller crop."
            )
        if not 0 <= self.padding < self.crop:
            raise ValueError(
                f"padding must be from 0 to below the crop's side of {self.crop} pixels. Received: "
                f"{self.padding}. Try {self.crop // 8}."
            )
        if self.cutout < 0 or self.shift < 0:
            raise ValueError(
                "cutout and shift must be 0 or more. Received: "
                f"cutout={self.cutout}, shift={self.shift}. Set 0 to turn either off."
            )
        covariance = None
        if self.shift and self.covariance is not None:
            import numpy as np  # --help needs this module, and no NumPy

            # A tensor has no iterator while Dataset.map traces a function.
            covariance = tuple(map(tuple, np.asarray(self.covariance, np.float64).tolist()))
        object.__setattr__(self, "scale", (low, high))
        object.__setattr__(self, "covariance", covariance)

    @property
    def center_scale(self):
        """The scale Q of center crops, in pixels: the middle of `scale` (section 4.1)."""
        return sum(self.scale) // 2
