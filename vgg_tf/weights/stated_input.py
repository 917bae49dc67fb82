"""Flags for what the user says of the input of weights, which wins over their file."""

from dataclasses import dataclass
from typing import Literal

Channels = Literal["auto", "rgb", "bgr"]


@dataclass(frozen=True)
class StatedInput:
    """The input that weights from elsewhere were trained with, if their file does not say so.

    Attributes:
        mean: Mean of the input that the weights were trained with: three numbers for RGB, or one,
            on 0..255, such as 123.68,116.779,103.939. The default is what the file of the weights
            says.
        std: Standard deviation by which that input was divided, likewise; 255 for pixels of 0..1.
        channels: Order of the channels of that input; auto is what the file says.
    """

    mean: str = ""
    std: str = ""
    channels: Channels = "auto"

    def __bool__(self):
        return self != StatedInput()

    def parse(self):
        """Return the keywords of `reading.read_weights`.

        Returns:
            Dict of mean and std, each a tuple of floats or None, and channels.

        Raises:
            ValueError: A flag has something else than numbers.
        """
        mean, std = _parse("--mean", self.mean), _parse("--std", self.std)
        return {"mean": mean, "std": std, "channels": self.channels}


def _parse(flag, text):
    try:
        return tuple(float(word) for word in text.split(",")) if text else None
    except ValueError:
        raise ValueError(
            f"{flag} must be three numbers for RGB, or one, separated by commas. Received: {text}. "
            f"Try {flag} {'123.68,116.779,103.939' if flag == '--mean' else '255'}."
        ) from None
