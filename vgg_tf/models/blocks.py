"""Layers of a VGG network, with Keras' layer names: input, trunk and head."""

import copy
import itertools
from dataclasses import dataclass

import keras

from vgg_tf.models.initializers import Initialization, make_identity
from vgg_tf.models.lrn import LocalResponseNormalization
from vgg_tf.paper.architectures import Architecture, count_filters


@dataclass(frozen=True)
class Form:
    """The architecture and the sizes of a network.

    Attributes:
        row: The `Architecture`.
        input_shape: `(height, width, channels)`. Without a head, height and width may be None.
        mean: `[channels]`, mean of the input, on 0..255.
        std: `[channels]`, standard deviation of the input, in gray levels; None for no division.
        width: Multiplier of the number of filters.
        head_width: Number of outputs of fc1 and fc2.
        classes: Number of classes.
        dropout: Fraction of the outputs of fc1 and fc2 set to zero in training.
        dense: If True, the head consists of convolutions and takes images of any size.
    """

    row: Architecture
    input_shape: tuple
    mean: tuple
    std: tuple | None
    width: float
    head_width: int
    classes: int
    dropout: float
    dense: bool


class Kernels:
    """Initializers, seeds and weight decay of the kernels of a network.

    Args:
        starts: The `Initialization`.
        l2: Weight decay.
        seed: Int, seed of the network, or None for random seeds.
    """

    def __init__(self, starts: Initialization, l2, seed):
        self.starts, self.l2 = starts, l2
        # Seeds must fit into 32 bits for JAX.
        self.seeds = (
            itertools.repeat(None) if seed is None else itertools.count(seed * 1000 % 2**31)
        )

    def make_options(self, start):
        """Return the keywords of a layer whose kernel has this initializer config."""
        # A copy, because every layer needs its own initializer and seed.
        config = copy.deepcopy(start)
        if "seed" in config["config"]:
            config["config"]["seed"] = next(self.seeds)
        return {
            "kernel_initializer": keras.initializers.get(config),
            "kernel_regularizer": keras.regularizers.L2(self.l2 / 2) if self.l2 else None,
        }


def make_input(form):
    """Return the input of a network, and the normalized input, as Keras tensors."""
    channels = form.input_shape[2]
    shape = (None, None, channels) if form.dense else form.input_shape
    # A float32 input also accepts uint8. Input(dtype="uint8") would silently truncate floats.
    inputs = keras.Input(shape, dtype="float32", name="image")
    normalize = keras.layers.Normalization(
        mean=[float(m) for m in form.mean],
        variance=[1.0] * channels if form.std is None else [float(s) ** 2 for s in form.std],
        dtype="float32",
        name="normalize",
    )
    return inputs, normalize(inputs)


def add_trunk(x, form, kernels):
    """Add the five blocks of convolutions, and return their feature map."""
    row = form.row
    for i, (sides, filters) in enumerate(
        zip(row.kernels, count_filters(form.width), strict=True), start=1
    ):
        for j, side in enumerate(sides, start=1):
            options = kernels.make_options(kernels.starts.convolutions)
            # The convolution has a bias before batch normalization, as in torchvision.
            x = keras.layers.Conv2D(
                filters,
                side,
                padding="same",
                activation=None if row.batch_norm else "relu",
                name=f"block{i}_conv{j}",
                **options,
            )(x)
            if row.batch_norm:
                x = keras.layers.BatchNormalization(
                    momentum=0.9, epsilon=1e-5, name=f"block{i}_bn{j}"
                )(x)
                x = keras.layers.ReLU(name=f"block{i}_relu{j}")(x)
        if row.lrn and i == 1:
            x = LocalResponseNormalization(name="block1_lrn")(x)
        # Odd sides are rounded down, as in PyTorch; Caffe rounds up.
        x = keras.layers.MaxPooling2D(2, strides=2, name=f"block{i}_pool")(x)
    return x


def add_head(x, form, kernels):
    """Add fc1, fc2 and predictions, and return the logits."""
    # Logits are float32 under every dtype policy.
    last = {**kernels.make_options(kernels.starts.predictions), "dtype": "float32"}

    def connect(x, units, side, **options):  # fully, to a window of `side`
        layer = (
            keras.layers.Conv2D(units, side, **options)
            if form.dense
            else keras.layers.Dense(units, **options)
        )
        return layer(x)

    height, width, _ = form.input_shape
    x = x if form.dense else keras.layers.Flatten(name="flatten")(x)
    for layer, side in (("fc1", (height // 32, width // 32)), ("fc2", 1)):
        options = kernels.make_options(kernels.starts.connected)
        x = connect(x, form.head_width, side, activation="relu", name=layer, **options)
        x = keras.layers.Dropout(form.dropout, seed=next(kernels.seeds), name=f"{layer}_dropout")(x)
    return connect(x, form.classes, 1, name="predictions", **last)


def start_as_identity(model, input_shape):
    """Set kernels to identities by `initializers.make_identity`.

    The first and the last layer keep their kernels. So does fc1, if it has several positions as
    input.
    """
    height, width, _ = input_shape
    kept = {"block1_conv1", "predictions"}
    if height is None or max(height, width) >= 64:
        kept.add("fc1")
    for layer in model.layers:
        if hasattr(layer, "kernel") and layer.name not in kept:
            layer.kernel.assign(make_identity(layer.kernel.numpy()))
