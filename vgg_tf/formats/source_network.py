"""A network of one size that takes raw pixels, ready for export, and the comparison of a file with
it.

A format is a module with `write(network, path, ...)` and `read(path)`, which gives a function of
uint8 `[n, h, w, 3]`, RGB 0..255, to float `[n, classes]`, posteriors, by the format's own runtime.
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
TINY = 1e-30  # the smallest posterior whose logarithm is compared


@dataclass(frozen=True)
class Network:
    """A network to ship.

    Attributes:
        model: a Keras model in float32, `[n, height, width, 3]`, raw RGB 0..255, to posteriors `[n,
            classes]`.
        height, width: of its input, in pixels.
        scale: smaller side that a picture is rescaled to before the centre is cut out, in pixels.
        classes: names.
        arch: of the architecture.
        name: of the network, for people.
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
        """The chain of its layers."""
        return list_layers(self.model)

    def contents(self):
        """Number of layers with kernels, and all weights."""
        arrays = [
            array
            for layer in self.layers
            if layer.name != "normalize"
            for array in layer.get_weights()
        ]
        return sum(array.ndim > 1 for array in arrays), arrays

    def describe(self):
        """What a file says about itself, as values for JSON."""
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
        """The description as JSON."""
        return json.dumps(self.describe())

    def view(self, picture):
        """What the network sees of a picture, uint8 `[h, w, 3]`: its centre after rescaling,
        uint8 `[height, width, 3]`.
        """
        whole = rescaling.rescale(picture, self.scale).numpy()
        top, left = (whole.shape[0] - self.height) // 2, (whole.shape[1] - self.width) // 2
        return whole[top : top + self.height, left : left + self.width]


def compute_digest(arrays):
    """Hex digest of weights, whatever their order and layout: of the sorted numbers of each."""
    # 0.0 and -0.0, which half-precision weights have many of, are equal: sorting leaves them in any
    # order.
    of_each = (
        hashlib.blake2b(np.sort(np.float32(array) + 0.0, None).tobytes(), digest_size=8).digest()
        for array in arrays
    )
    return hashlib.blake2b(b"".join(sorted(of_each)), digest_size=8).hexdigest()


def prepare_network(trained, size=None):
    """The network of a run or of weights, for pictures of one size.

    Args:
        trained: a `checkpoint.Checkpoint`, in whatever precision it was trained.
        size: `(height, width)` in pixels; None is the crop of its training. Larger ones go through
            the network as convolutions, whose scores are averaged over all positions.

    Returns:
        A `Network` in float32.

    Raises:
        ValueError: a size below the crop.
    """
    crop = trained.crop
    height, width = size or (crop, crop)
    if min(height, width) < crop:
        raise ValueError(
            f"{trained.path} was trained on crops of {crop} pixels: both sides are at least "
            f"that. Received: {height}x{width}."
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
    """Read back: how a file's posteriors differ from the network's.

    Args:
        network: the `Network`.
        run: function of uint8 `[n, h, w, 3]` to posteriors.
        pixels: uint8 `[n, height, width, 3]`.

    Returns:
        dict: `log_posterior`, the largest difference of a log posterior above 1e-6; `posterior`,
        that of a posterior; `top1_agreement`, share of the pictures; `ms_an_image`, of the fastest
        of three passes; `n`.
    """
    expected = np.float64(network.model.predict_on_batch(np.float32(pixels)))
    found, seconds = None, []
    for _ in range(3):
        start = time.perf_counter()
        found = np.float64(np.concatenate([run(pixels[i : i + 1]) for i in range(len(pixels))]))
        seconds.append(time.perf_counter() - start)
    if found.shape != expected.shape:
        raise ValueError(f"The file gives {found.shape}, the network {expected.shape}.")
    some = expected > 1e-6
    logs = np.abs(np.log(np.maximum(found, TINY)) - np.log(np.maximum(expected, TINY)))[some]
    return {
        "log_posterior": float(logs.max()),
        "posterior": float(np.abs(found - expected).max()),
        "top1_agreement": float((found.argmax(1) == expected.argmax(1)).mean()),
        "ms_an_image": 1000 * min(seconds) / len(pixels),
        "n": len(pixels),
    }
