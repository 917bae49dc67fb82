"""Layers that make a network faster on a CPU under TensorFlow.

TensorFlow convolves with oneDNN on CPUs, which is slow on small maps. It computes the kernel's
gradient at half the speed of matrix products or less, and is also slow for the outputs of the
smallest maps. On CPUs with AVX2 only, the kernel's gradient of large maps is slow, too. These cases
become matrix products here. Keras' batch normalization makes many passes over its arrays,
TensorFlow's fused operation one or two. Each layer here wraps a Keras layer and uses its variables,
so that saved networks contain only Keras' own layers.
"""

import functools
import math

import keras
import tensorflow as tf

from vgg_tf.models.cpu_products import WIDE_WINDOWS, convolve, find_products_side
from vgg_tf.runtime.chips import has_avx2_only

WINDOWS = 4  # largest side of a map for which matrix products are used
FILTERS = 256  # with at least this number of filters the largest side is WIDE_WINDOWS
CHANNELS = 64  # large maps need at least this number of channels and filters


@functools.cache
def find_large_side():
    """Return the side, in pixels, of the smallest of the large maps that use matrix products."""
    return 56 if has_avx2_only() else math.inf  # measured on two cores


def make_faster(model):
    """Return the network with faster layers, if it runs on a CPU under TensorFlow.

    Args:
        model: A `keras.Model`, a chain of layers.

    Returns:
        A `keras.Model` that shares all variables with `model`. Train it or predict with it, but
        save `model`. On other devices and backends it is `model` itself.
    """
    if not is_on_cpu():
        return model
    x = model.input
    for layer in model.layers[1:]:
        x = _faster(layer, x)(x)
    return keras.Model(model.input, x, name=model.name)


def is_on_cpu():
    """Return whether Keras runs on TensorFlow, on one CPU only and without a strategy."""
    if keras.config.backend() != "tensorflow":
        return False
    return not (
        tf.distribute.has_strategy()
        or tf.config.list_logical_devices("GPU")
        or tf.config.list_logical_devices("TPU")
    )


def _faster(layer, x):
    """Return the faster layer for this one and its input, or this one if there is none."""
    if (
        type(layer) is keras.layers.BatchNormalization
        and len(x.shape) == 4
        and layer.axis in (-1, 3)
    ):
        return FusedBatchNormalization(layer)
    if type(layer) is keras.layers.Conv2D and _gains_by_products(layer, x):
        return ProductConvolution(layer)
    return layer


def _gains_by_products(layer, x):
    plain = (
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        layer.padding,
        layer.groups,
        layer.data_format,
    )
    if (
        plain != ((3, 3), (1, 1), (1, 1), "same", 1, "channels_last")
        or layer.lora_enabled
        or None in x.shape[1:]
    ):
        return False
    height, width, channels = x.shape[1:]
    if (
        min(height, width) >= find_large_side()
        and min(channels, layer.filters) >= CHANNELS
        and layer.compute_dtype == "float32"
    ):
        return True
    return max(height, width) <= (WIDE_WINDOWS if layer.filters >= FILTERS else WINDOWS)


class ProductConvolution(keras.layers.Layer):
    """A `keras.layers.Conv2D` with kernels of 3 x 3, on maps of a static size."""

    def __init__(self, layer):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer

    def call(self, x, training=False):
        """Return the outputs `[B, H, W, filters]` for maps `[B, H, W, C]`."""
        if not training and max(x.shape[1:3]) > find_products_side():
            # TensorFlow fuses it with its activation, unless it has a custom gradient.
            return self.layer(x)
        y = convolve(x, tf.convert_to_tensor(self.layer.kernel))
        if self.layer.use_bias:
            y = keras.ops.add(y, self.layer.bias)
        return self.layer.activation(y)


class FusedBatchNormalization(keras.layers.Layer):
    """A `keras.layers.BatchNormalization` over the channels of maps."""

    def __init__(self, layer):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer

    def call(self, x, training=False):
        """Return normalized maps: by the batch's moments in training, else by the moving ones."""
        layer, channels = self.layer, x.shape[-1]
        of_batch = bool(training and layer.trainable)
        scale = layer.gamma if layer.scale else tf.ones(channels)
        offset = layer.beta if layer.center else tf.zeros(channels)
        moments = (
            (tf.constant([]), tf.constant([]))
            if of_batch
            else (layer.moving_mean, layer.moving_variance)
        )
        scale, offset, mean, variance = (
            tf.cast(tf.convert_to_tensor(v), tf.float32) for v in (scale, offset, *moments)
        )
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=scale,
            offset=offset,
            mean=mean,
            variance=variance,
            epsilon=layer.epsilon,
            is_training=of_batch,
        )
        if of_batch:
            n = tf.cast(tf.size(x) // channels, tf.float32)
            biased = variance * ((n - 1) / n)  # Keras' moving variance is biased
            for moving, now in ((layer.moving_mean, mean), (layer.moving_variance, biased)):
                moving.assign(moving * layer.momentum + now * (1 - layer.momentum))
        return y
