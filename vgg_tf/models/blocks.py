"""Layers of a VGG network: input, trunk and head, under Keras' layer names."""

import copy
import itertools
from dataclasses import dataclass

import keras

from vgg_tf.models.initializers import Initialization, make_identity
from vgg_tf.models.lrn import LocalResponseNormalization
from vgg_tf.paper.architectures import Architecture, count_filters


@dataclass(frozen=True)
class Form:
    """The numbers of a network.

    Attributes:
        row: the `Architecture`.
        input_shape: `(height, width, channels)`; height and width may be None without a head.
        mean: `[channels]`, subtracted from the input, 0..255.
        std: `[channels]`, by which the input is divided; None for no division.
        width: multiplier of the number of channels.
        head_width: outputs of fc1 and fc2.
        classes: number of classes.
        dropout: fraction of the outputs of fc1 and fc2 set to zero in training.
        dense: the head is convolutions, for images of any size.
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
        starts: the `Initialization`.
        l2: weight decay.
        seed: int, or None.
    """

    def __init__(self, starts: Initialization, l2, seed):
        self.starts, self.l2 = starts, l2
        # JAX takes 32 bits.
        self.seeds = (
            itertools.repeat(None) if seed is None else itertools.count(seed * 1000 % 2**31)
        )

    def make_options(self, start):
        """Make the options of a layer whose kernel starts by this config of an initializer."""
        # A copy of the config, so that every layer gets an initializer, and a seed, of its own.
        config = copy.deepcopy(start)
        if "seed" in config["config"]:
            config["config"]["seed"] = next(self.seeds)
        return {
            "kernel_initializer": keras.initializers.get(config),
            "kernel_regularizer": keras.regularizers.L2(self.l2 / 2) if self.l2 else None,
        }


def make_input(form):
    """Return the input of a network, and the normalized input."""
    channels = form.input_shape[2]
    shape = (None, None, channels) if form.dense else form.input_shape
    # float32 by declaration: uint8 is accepted too, while Input(dtype="uint8") would truncate
    # floats in silence.
    inputs = keras.Input(shape, dtype="float32", name="image")
    normalize = keras.layers.Normalization(
        mean=[float(m) for m in form.mean],
        variance=[1.0] * channels if form.std is None else [float(s) ** 2 for s in form.std],
        dtype="float32",
        name="normalize",
    )
    return inputs, normalize(inputs)


def add_trunk(x, form, kernels):
    """Add the five blocks of convolutions, and return the last map."""
    row = form.row
    for i, (sides, filters) in enumerate(
        zip(row.kernels, count_filters(form.width), strict=True), start=1
    ):
        for j, side in enumerate(sides, start=1):
            options = kernels.make_options(kernels.starts.convolutions)
            # The convolution keeps its bias before batch normalization, as in torchvision's.
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
        # Floors odd sides, as PyTorch does; Caffe takes the ceiling.
        x = keras.layers.MaxPooling2D(2, strides=2, name=f"block{i}_pool")(x)
    return x


def add_head(x, form, kernels):
    """Add fc1, fc2 and predictions, and return the logits."""
    # The logits stay float32 under every policy.
    last = {**kernels.make_options(kernels.starts.predictions), "dtype": "float32"}

    def connect(x, units, side, **options):  # fully: to the window of `side`
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
    """Make kernels identities, see `initializers.make_identity`.

    The first layer and the last are not, nor is fc1 where it joins several positions.
    """
    height, width, _ = input_shape
    kept = {"block1_conv1", "predictions"}
    if height is None or max(height, width) >= 64:
        kept.add("fc1")
    for layer in model.layers:
        if hasattr(layer, "kernel") and layer.name not in kept:
            layer.kernel.assign(make_identity(layer.kernel.numpy()))
