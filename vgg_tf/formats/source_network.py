"""The network to export, with a fixed size and raw pixels, and its comparison with a file.

A format is a module with `write(network, path, ...)` and `read(path)`. The latter returns a
function from uint8 `[n, h, w, 3]`, RGB, to probabilities, float `[n, classes]`, that uses the
format's own runtime.
"""

import hashlib
import json
import time
from dataclasses import dataclass

import keras
import numpy as np

from vgg_tf.images import rescaling
from vgg_tf.models.chain import list_layers
from vgg_tf.models.conversion import convert_head
from vgg_tf.runtime.scopes import set_precision

STRIDE = 32
TINY = 1e-30  # lower bound of probabilities before the logarithm


@dataclass(frozen=True)
class Network:
    """A network to export.

    Attributes:
        model: A Keras model in float32, from raw RGB, 0 to 255, `[n, height, width, 3]`, to
            probabilities `[n, classes]`.
        height: Height of its input in pixels.
        width: Width of its input in pixels.
        scale: Smaller side in pixels to which a picture is rescaled before the center is cut out.
        classes: Names.
        arch: Name of the architecture.
        name: Name of the network for the user.
    """

    model: object
    height: int
    width: int
    scale: int
    classes: tuple[str, ...]
    arch: str
    name: str

    @property
    def layers(self):
        """The layers of the network, in order."""
        return list_layers(self.model)

    def contents(self):
        """Return the number of layers with kernels, and all weights.

        Returns:
            layers: int.
            arrays: List of arrays, without the normalization of the input.
        """
        arrays = [
            array
            for layer in self.layers
            if layer.name != "normalize"
            for array in layer.get_weights()
        ]
        return sum(array.ndim > 1 for array in arrays), arrays

    def describe(self):
        """Return the metadata of exported files, as values for JSON."""
        layers, arrays = self.contents()
        return {
            "name": self.name,
            "architecture": self.arch,
            "input": "uint8 RGB 0..255",
            "height": self.height,
            "width": self.width,
            "scale": self.scale,
            "classes": list(self.classes),
            "weights": compute_digest(arrays),
            "layers": layers,
        }

    def about(self):
        """Return the metadata as JSON text."""
        return json.dumps(self.describe())

    def view(self, picture):
        """Return the view of a picture that the network takes: its center after rescaling.

        Args:
            picture: uint8 `[h, w, 3]`, RGB.

        Returns:
            uint8 `[height, width, 3]`.
        """
        whole = rescaling.rescale(picture, self.scale).numpy()
        top, left = (whole.shape[0] - self.height) // 2, (whole.shape[1] - self.width) // 2
        return whole[top : top + self.height, left : left + self.width]


def compute_digest(arrays):
    """Return a hex digest of weights that does not depend on their order and layout.

    Args:
        arrays: List of arrays. The digest uses the sorted numbers of each.

    Returns:
        str of 16 hex digits.
    """
    # 0.0 and -0.0 are equal, so sorting leaves them in any order. Adding 0.0 makes both 0.0.
    # Weights in half precision have many of them.
    of_each = (
        hashlib.blake2b(np.sort(np.float32(array) + 0.0, None).tobytes(), digest_size=8).digest()
        for array in arrays
    )
    return hashlib.blake2b(b"".join(sorted(of_each)), digest_size=8).hexdigest()


def prepare_network(trained, size=None):
    """Return a trained network for pictures of one size, ready for export.

    Args:
        trained: A `checkpoint.Checkpoint`, trained in any precision.
        size: `(height, width)` in pixels; None is the crop of its training. At larger sizes the
            network is convolutional, and its logits are averaged over all positions.

    Returns:
        A `Network` in float32.

    Raises:
        ValueError: The size is smaller than the crop.
    """
    crop = trained.crop
    height, width = size or (crop, crop)
    if min(height, width) < crop:
        raise ValueError(
            f"--size must be at least {crop}x{crop}, the training crop of {trained.path}. "
            f"Received: --size {height}x{width}. Try --size {crop}x{crop}."
        )
    with set_precision("float32"):
        model = trained.build()
        inputs = x = keras.Input((height, width, 3), dtype="float32", name="image")
        for layer in list_layers(model if (height, width) == (crop, crop) else convert_head(model)):
            x = layer(x)
        if (height, width) != (crop, crop):
            x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
            x = keras.layers.Softmax(name="softmax")(x)
    (Q,) = trained.scales("one")
    scale = max(round(Q * max(height, width) / crop), height, width)
    classes = trained.classes or tuple(f"class {i}" for i in range(trained.number))
    return Network(
        keras.Model(inputs, x, name=trained.arch),
        height,
        width,
        scale,
        tuple(classes),
        trained.arch,
        trained.name,
    )


def compare(network, run, pixels):
    """Return how the probabilities of a file differ from those of the network.

    Args:
        network: A `Network`.
        run: Function from uint8 `[n, h, w, 3]`, RGB, to probabilities.
        pixels: uint8 `[n, height, width, 3]`.

    Returns:
        dict: `log_posterior`, the largest difference of a log probability where the network's
            probability is above 1e-6; `posterior`, the largest difference of a
            probability; `top1_agreement`, the fraction of pictures with the same
            class; `ms_an_image`, the milliseconds per image in the fastest of three passes; `n`,
            the number of pictures.

    Raises:
        ValueError: The file returns another shape.
    """
    expected = np.float64(network.model.predict_on_batch(np.float32(pixels)))
    found, seconds = None, []
    for _ in range(3):
        start = time.perf_counter()
        found = np.float64(np.concatenate([run(pixels[i : i + 1]) for i in range(len(pixels))]))
        seconds.append(time.perf_counter() - start)
    if found.shape != expected.shape:
        raise ValueError(
            f"The exported file must return probabilities of shape {expected.shape}. Received: "
            f"{found.shape}. Choose another --format."
        )
    some = expected > 1e-6
    logs = np.abs(np.log(np.maximum(found, TINY)) - np.log(np.maximum(expected, TINY)))[some]
    return {
        "log_posterior": float(logs.max()),
        "posterior": float(np.abs(found - expected).max()),
        "top1_agreement": float((found.argmax(1) == expected.argmax(1)).mean()),
        "ms_an_image": 1000 * min(seconds) / len(pixels),
        "n": len(pixels),
    }
