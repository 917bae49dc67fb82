"""Weights of a network in memory, without the network."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from vgg_tf.paper.architectures import find_width
from vgg_tf.paper.recipe_checks import LARGEST_SIDE
from vgg_tf.runtime import schemas
from vgg_tf.runtime.schemas import Fields, Many, Maybe, Number

# What `writing.write_weights` stores in a file.
METADATA = Fields(
    {"mean": Many(Number(-1e6, 1e6, whole=False), 1000, 1)},
    {
        "std": Maybe(Many(Number(1e-6, 1e6, whole=False), 1000, 1)),
        "classes": Maybe(schemas.CLASSES),
        "map_sides": Maybe(Many(Number(1, LARGEST_SIDE), 2, 2)),
        "test_scale": Maybe(Number(0, LARGEST_SIDE)),
    },
)


@dataclass(frozen=True)
class Weights:
    """Weights of a network, without the network.

    Attributes:
        layers: Dict from layer to a dict from variable to float32 array, in Keras' layout. The
            variables are `kernel` (`[h, w, in, out]` or `[in, out]`) and `bias`, or `gamma`,
            `beta`, `moving_mean` and `moving_variance`. The first kernel takes RGB. A-LRN's
            `block1_lrn` has no variables.
        form: Format of the source, such as `a .keras file`.
        mean: Mean of the training input, one value per channel, RGB 0..255. None if unknown.
        std: Standard deviation of the training input, one value per channel. None means 1.
        classes: Names of the classes, or None if unknown.
        test_scale: Test scale Q of their training run, in pixels. 0 if unknown.
        map_sides: Height and width of the feature map that fc1 reads. None if unknown, or without
            a head.
        source: File, folder or model that the weights come from, for messages.
        notes: What the user should know, one str per note.
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
        """The `width` of `build_vgg` that gives these numbers of filters.

        It is None if a stage is missing.

        Raises:
            ValueError: No width gives these numbers.
        """
        first = [self.layers.get(f"block{stage}_conv1") for stage in range(1, 6)]
        return find_width([values["kernel"].shape[-1] for values in first]) if all(first) else None

    def fingerprint(self):
        """Return a hex digest of the weights and of the mean and std of the input."""
        digest = hashlib.blake2b(repr((self.mean, self.std)).encode(), digest_size=8)
        for name, values in sorted(self.layers.items()):
            for variable, array in values.items():
                digest.update(f"{name}/{variable}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def add_notes(self, *notes):
        """Return a copy of the weights with additional notes."""
        return replace(self, notes=(*self.notes, *notes))

    def add_metadata(self, about):
        """Return a copy of the weights with metadata that follows `METADATA`.

        Args:
            about: Dict of metadata.

        Returns:
            `Weights`.

        Raises:
            ValueError: Mean or std are of another number of channels than the first kernel.
        """
        first = self.layers.get("block1_conv1", {}).get("kernel")
        channels = len(about["mean"]) if first is None else first.shape[-2]
        if {len(about["mean"]), len(about.get("std") or about["mean"])} != {channels}:
            raise ValueError(f"mean and std of other than {channels} channels")
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


def check_statistics(mean, std, where):
    """Raise a ValueError about a mean or std that no images can have.

    Args:
        mean: Sequence of one value per channel, or None.
        std: Sequence of one value per channel, or None.
        where: What they belong to, for the message.

    Raises:
        ValueError: A number is missing or not finite, or a std is not above 0.
    """
    for name, values, least in (("mean", mean, -np.inf), ("std", std, 0)):
        if values is None:
            continue
        try:
            right = all(np.isfinite(value) and value > least for value in values) and len(values)
        except TypeError:  # no numbers
            right = False
        if not right:
            above = ", above 0" if name == "std" else ""
            raise ValueError(
                f"{where} must have a {name} of finite numbers{above}. Received: {values}. Give "
                "another file, or write the weights again."
            )


def convert_to_float32(arrays, name):
    """Convert the arrays of a layer to float32.

    Args:
        arrays: Dict of arrays.
        name: Name of the layer, for messages.

    Returns:
        Dict of contiguous float32 arrays with the same keys.

    Raises:
        ValueError: An array has integers.
    """
    if whole := [
        str(array.dtype) for array in arrays.values() if np.issubdtype(array.dtype, np.integer)
    ]:
        raise ValueError(
            f"{name} must have floating-point numbers. Received: {whole[0]}. Give weights that are "
            "not quantized."
        )
    return {key: np.ascontiguousarray(array, dtype=np.float32) for key, array in arrays.items()}


def note_unused(names):
    """Return a tuple with a note about unused arrays; empty if there are none."""
    return (f"not used: {', '.join(names)}",) if names else ()
