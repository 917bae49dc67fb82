"""Settings of the random views of training images (section 3.1), and of mixed batches.

Importing this module imports neither TensorFlow nor NumPy.
"""

import math
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
        rand_augment: Magnitude of two random operations on the view, 0 to 10; 0 for none (see
            `rand_augment`).

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
    rand_augment: float = 0.0

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
        if not 0 <= self.rand_augment <= 10:
            raise ValueError(
                "rand_augment must be a magnitude from 0 to 10. Received: "
                f"{self.rand_augment}. Try 5."
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


@dataclass(frozen=True)
class Mix:
    """Settings of mixed batches; `mixing.mix_batches` mixes them.

    Examples:
        >>> bool(Mix()), bool(Mix(mixup=0.2))
        (False, True)

    Attributes:
        mixup: Both parameters of the Beta distribution of the share of an image that is mixed with
            another (Zhang et al. 2018); 0 for no mixup.
        cutmix: The same for the area around a rectangle from another image (Yun et al. 2019); 0 for
            no cutmix. With both methods each batch draws one.

    Raises:
        ValueError: A parameter is negative or not finite.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self):
        """Check the parameters."""
        for name, value in (("mixup", self.mixup), ("cutmix", self.cutmix)):
            if not 0 <= value < math.inf:
                raise ValueError(
                    f"{name} must be 0 or more, and finite. Received: {value}. Try 0.2 for mixup "
                    "and 1 for cutmix, or 0 for none."
                )

    def __bool__(self):
        """Return whether anything is mixed."""
        return bool(self.mixup or self.cutmix)
