"""Weights in memory, without the network they belong to."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from vgg_tf.paper.architectures import find_width


@dataclass(frozen=True)
class Weights:
    """Weights without their network.

    Attributes:
        layers: float32 arrays by layer and variable, in Keras' layout: `kernel` is `[h, w, in,
            out]` or `[in, out]`, the first one for RGB; `bias`; `gamma`, `beta`, `moving_mean`,
            `moving_variance`. A-LRN's `block1_lrn` has none.
        form: what they were read from, in words.
        mean: mean of the input they were trained on, RGB 0..255, one number a channel. None: not
            known.
        std: standard deviation of that input, one number a channel. None: 1.
        classes: names of the classes, or None.
        test_scale: Q in pixels that their training tested at; 0: not known.
        map_sides: height and width of the map that fc1 reads. None: not known, or no head.
        source: the file, folder or model, for messages.
        notes: what the user should know.
    """

    layers: dict[str, dict[str, np.ndarray]]
    form: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    classes: tuple[str, ...] | None = None
    test_scale: int = 0
    map_sides: tuple[int, int] | None = None
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def width(self):
        """The width that `build_vgg` makes these numbers of filters with.

        None where a stage is missing.

        Raises:
            ValueError: no width makes them.
        """
        first = [self.layers.get(f"block{stage}_conv1") for stage in range(1, 6)]
        return find_width([values["kernel"].shape[-1] for values in first]) if all(first) else None

    def fingerprint(self):
        """Return a hex digest of the weights and of the mean and std of their input."""
        digest = hashlib.blake2b(repr((self.mean, self.std)).encode(), digest_size=8)
        for name, values in sorted(self.layers.items()):
            for variable, array in values.items():
                digest.update(f"{name}/{variable}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def add_notes(self, *notes):
        """Return the weights with these notes as well."""
        return replace(self, notes=(*self.notes, *notes))

    def add_metadata(self, about):
        """Return the weights with the metadata that `writing.write_weights` stored with them."""
        std, classes, sides = (
            about.get(key) and tuple(about[key]) for key in ("std", "classes", "map_sides")
        )
        return replace(
            self,
            mean=tuple(about["mean"]),
            std=std,
            classes=classes,
            test_scale=about.get("test_scale") or 0,
            map_sides=sides,
        )


def convert_to_float32(arrays, name):
    """Return the arrays of a dict as float32; `name` is what they are called in messages.

    Raises:
        ValueError: an array holds integers.
    """
    if whole := [
        str(array.dtype) for array in arrays.values() if np.issubdtype(array.dtype, np.integer)
    ]:
        raise ValueError(
            f"{name} holds whole numbers ({whole[0]}): quantised weights cannot be read."
        )
    return {key: np.ascontiguousarray(array, dtype=np.float32) for key, array in arrays.items()}


def note_unused(names):
    """Return a tuple with a note about arrays that were not read; empty where there are none."""
    return (f"left in the file: {', '.join(names)}",) if names else ()
