"""The same network, faster on a CPU under TensorFlow.

oneDNN, which TensorFlow convolves with on CPUs, loses time on small maps: it finds the kernel's
gradient at half the speed of matrix products or less, and the smallest maps more slowly as well;
with AVX2 only it finds the kernel's gradient of large maps slowly, too. So these become matrix
products here. Keras' batch normalisation goes over its arrays many times, TensorFlow's fused
operation once or twice. A layer here holds a layer of Keras and computes with its variables, so
that the network that is saved is Keras' own.
"""

import functools
import math

import keras
import tensorflow as tf

from vgg_tf.models.cpu_products import WIDE_WINDOWS, convolve, find_products_side
from vgg_tf.runtime.chips import has_avx2_only

WINDOWS = 4  # side up to which its kernel's gradient is a product for each of its taps
FILTERS = 256  # from so many filters on, WIDE_WINDOWS is that side
CHANNELS = 64  # and for convolutions of so many channels and filters and more


@functools.cache
def find_large_side():
    """Return the side from which the kernel's gradient is a product again, in float32."""
    return 56 if has_avx2_only() else math.inf  # chosen on two cores


def make_faster(model):
    """The same network, sharing all variables, with layers that are faster where it is going to
    run.

    Args:
        model: a `keras.Model`, a chain of layers.

    Returns:
        A `keras.Model` on TensorFlow with one CPU, to be trained or asked, but not to be saved;
        `model` itself elsewhere.
    """
    if not is_on_cpu():
        return model
    x = model.input
    for layer in model.layers[1:]:
        x = _faster(layer, x)(x)
    return keras.Model(model.input, x, name=model.name)


def is_on_cpu():
    """Tell whether TensorFlow computes on a CPU alone, and not under one of its strategies."""
    if keras.config.backend() != "tensorflow":
        return False
    return not (
        tf.distribute.has_strategy()
        or tf.config.list_logical_devices("GPU")
        or tf.config.list_logical_devices("TPU")
    )


def _faster(layer, x):
    """The layer that computes what this one makes of `x`."""
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
    """A `keras.layers.Conv2D` with kernels of 3 x 3 on maps of known size."""

    def __init__(self, layer):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer

    def call(self, x, training=False):
        """Maps `[B, H, W, C]` to `[B, H, W, filters]`."""
        if not training and max(x.shape[1:3]) > find_products_side():
            return self.layer(x)  # fused with its activation, which a gradient of our own prevents
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
        """Maps `[B, H, W, C]`, normalised by the moments of the batch in training, else by the
        moving ones.
        """
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
            biased = variance * ((n - 1) / n)  # as Keras has it
            for moving, now in ((layer.moving_mean, mean), (layer.moving_variance, biased)):
                moving.assign(moving * layer.momentum + now * (1 - layer.momentum))
        return y
