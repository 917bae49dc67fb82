"""The same network, faster on a CPU under TensorFlow.

oneDNN, which TensorFlow convolves with on CPUs, loses time on small maps: it finds the kernel's
gradient at half the speed of matrix products or less, and the smallest maps more slowly as well;
with AVX2 only it finds the kernel's gradient of large maps slowly, too. So these become matrix
products here. Keras' batch normalisation goes over its arrays many times, TensorFlow's fused
operation once or twice. A layer here holds a layer of Keras and computes with its variables, so
that the network that is saved is Keras' own.
"""

import math

import keras
import tensorflow as tf

from vgg_tf.runtime.chips import has_amx, has_avx2_only

# Side in pixels up to which a map is a matrix product for each of its rows.
PRODUCTS = 4 if has_amx() else 2
WINDOWS = 4  # side up to which its kernel's gradient is a product for each of its taps
WIDE_WINDOWS, FILTERS = 28, 256  # the same for convolutions of so many filters and more
# Side from which it is one again, in float32 (chosen on two cores).
LARGE = 56 if has_avx2_only() else math.inf
CHANNELS = 64  # and for convolutions of so many channels and filters and more


def faster(model):
    """The same network, sharing all variables, with layers that are faster where it is going to
    run.

    Args:
        model: a `keras.Model`, a chain of layers.

    Returns:
        A `keras.Model` on TensorFlow with one CPU, to be trained or asked, but not to be saved;
        `model` itself elsewhere.
    """
    if not on_cpu():
        return model
    x = model.input
    for layer in model.layers[1:]:
        x = _faster(layer, x)(x)
    return keras.Model(model.input, x, name=model.name)


def on_cpu():
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
        min(height, width) >= LARGE
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
        if not training and max(x.shape[1:3]) > PRODUCTS:
            return self.layer(x)  # fused with its activation, which a gradient of our own prevents
        y = convolution(x, tf.convert_to_tensor(self.layer.kernel))
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


def convolution(x, kernel):
    """Convolution with zeros around the map, as `tf.nn.conv2d(x, kernel, 1, "SAME")`, with its
    gradients.

    Args:
        x: `[B, H, W, C]` of known H, W and C.
        kernel: `[3, 3, C, K]`.

    Returns:
        `[B, H, W, K]`.
    """
    products = max(x.shape[1:3]) <= PRODUCTS
    # As TensorFlow names gradients, for who profiles.
    scope = f"gradient_tape/{tf.get_current_name_scope()}/"

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradients(upstream):
            with tf.name_scope(scope):
                if products:
                    of_x = by_rows(upstream, turned(kernel))
                else:
                    of_x = tf.raw_ops.Conv2DBackpropInput(
                        input_sizes=tf.shape(x),
                        filter=kernel,
                        out_backprop=upstream,
                        strides=[1, 1, 1, 1],
                        padding="SAME",
                    )
                return of_x, gradient_of_kernel(x, upstream)

        return by_rows(x, kernel) if products else tf.nn.conv2d(x, kernel, 1, "SAME"), gradients

    return convolve(x, kernel)


def by_rows(x, kernel):
    """A product for each row of the outcome: the rows of the map that it sees, side by side,
    with the kernel's.
    """
    height, width, filters = x.shape[1], x.shape[2], kernel.shape[3]
    padded = tf.pad(x, [[0, 0], [0, 0], [1, 1], [0, 0]])
    columns = tf.concat([padded[:, :, j : j + width] for j in range(3)], -1)
    rows = []
    for i in range(height):
        first, end = max(0, i - 1), min(height, i + 2)
        seen = tf.concat([columns[:, row] for row in range(first, end)], -1)
        part = tf.reshape(kernel[first - i + 1 : end - i + 1], [-1, filters])
        product = tf.matmul(tf.reshape(seen, [-1, part.shape[0]]), part)
        rows.append(tf.reshape(product, [-1, width, filters]))
    return tf.stack(rows, 1)


def turned(kernel):
    """The kernel that carries a gradient back: turned by half a circle, filters and channels
    exchanged.
    """
    taps = tf.reshape(kernel, [9, *kernel.shape[2:]])
    backwards = tf.gather(taps, range(8, -1, -1))  # tf.reverse takes twenty times as long
    return tf.reshape(tf.transpose(backwards, [0, 2, 1]), [3, 3, kernel.shape[3], kernel.shape[2]])


def gradient_of_kernel(x, upstream):
    """A product for each tap of the kernel, `[3, 3, C, K]`: of maps, `[B, H, W, C]`, and the
    gradient at their outcome.
    """
    taps = (
        _by_offsets(x, upstream) if max(x.shape[1:3]) > WIDE_WINDOWS else _by_windows(x, upstream)
    )
    return tf.reshape(tf.stack(taps), [3, 3, x.shape[3], upstream.shape[3]])


def _by_windows(x, upstream):
    """Products of the window of the map that a tap sees and the window of the outcome that it
    goes into, copies both.
    """

    def windows(side, tap):
        ahead = tap - 1
        return slice(max(0, ahead), side + min(0, ahead)), slice(
            max(0, -ahead), side - max(0, ahead)
        )

    taps = []
    for i in range(3):
        rows, rows_out = windows(x.shape[1], i)
        for j in range(3):
            columns, columns_out = windows(x.shape[2], j)
            seen = tf.reshape(x[:, rows, columns], [-1, x.shape[3]])
            taken = tf.reshape(upstream[:, rows_out, columns_out], [-1, upstream.shape[3]])
            taps.append(tf.matmul(seen, taken, transpose_a=True))
    return taps


def _by_offsets(x, upstream):
    """Products of all positions of all maps in one long line and the same line shifted by a tap's
    offset, views both.

    A column and a row of zeros at the end of each map are what its last and the next one's first
    positions see beyond the edge. These zeros cost more than copies where maps are small.
    """
    width = x.shape[2] + 1
    seen, taken = (
        tf.reshape(tf.pad(maps, [[0, 0], [0, 1], [0, 1], [0, 0]]), [-1, maps.shape[3]])
        for maps in (x, upstream)
    )
    n = tf.shape(seen)[0]
    taps = []
    for i in range(3):
        for j in range(3):
            ahead = (i - 1) * width + j - 1
            ours, theirs = (
                seen[max(0, ahead) : n + min(0, ahead)],
                taken[max(0, -ahead) : n - max(0, ahead)],
            )
            taps.append(tf.matmul(ours, theirs, transpose_a=True))
    return taps
