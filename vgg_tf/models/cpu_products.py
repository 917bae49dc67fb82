"""Convolutions with kernels of 3 x 3 and their gradients, as matrix products."""

import functools

import tensorflow as tf

from vgg_tf.runtime.chips import has_amx

WIDE_WINDOWS = 28  # largest side for which the kernel's gradient copies windows


@functools.cache
def find_products_side():
    """Return the largest side of maps that use a matrix product for each row, in pixels."""
    return 4 if has_amx() else 2


def convolve(x, kernel):
    """Return `tf.nn.conv2d(x, kernel, 1, "SAME")`, with faster gradients.

    Args:
        x: `[B, H, W, C]`, floating, with static H, W and C.
        kernel: `[3, 3, C, K]`, of the same dtype.

    Returns:
        `[B, H, W, K]`, of the same dtype.
    """
    products = max(x.shape[1:3]) <= find_products_side()
    # TensorFlow's own name of gradients, so that profiles can be compared.
    scope = f"gradient_tape/{tf.get_current_name_scope()}/"

    @tf.custom_gradient
    def apply(x, kernel):
        def gradients(upstream):
            with tf.name_scope(scope):
                if products:
                    of_x = multiply_rows(upstream, turn(kernel))
                else:
                    of_x = tf.raw_ops.Conv2DBackpropInput(
                        input_sizes=tf.shape(x),
                        filter=kernel,
                        out_backprop=upstream,
                        strides=[1, 1, 1, 1],
                        padding="SAME",
                    )
                return of_x, compute_kernel_gradient(x, upstream)

        return multiply_rows(x, kernel) if products else tf.nn.conv2d(
            x, kernel, 1, "SAME"
        ), gradients

    return apply(x, kernel)


def multiply_rows(x, kernel):
    """Return the convolution, as one matrix product for each row of the output."""
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


def turn(kernel):
    """Return the kernel of the input's gradient, rotated by 180 degrees, `[3, 3, K, C]`."""
    taps = tf.reshape(kernel, [9, *kernel.shape[2:]])
    backwards = tf.gather(taps, range(8, -1, -1))  # tf.reverse takes twenty times as long
    return tf.reshape(tf.transpose(backwards, [0, 2, 1]), [3, 3, kernel.shape[3], kernel.shape[2]])


def compute_kernel_gradient(x, upstream):
    """Return the gradient of the kernel, as one matrix product for each tap.

    Args:
        x: `[B, H, W, C]`, the input of the convolution.
        upstream: `[B, H, W, K]`, the gradient of its output.

    Returns:
        `[3, 3, C, K]`.
    """
    taps = (
        _by_offsets(x, upstream) if max(x.shape[1:3]) > WIDE_WINDOWS else _by_windows(x, upstream)
    )
    return tf.reshape(tf.stack(taps), [3, 3, x.shape[3], upstream.shape[3]])


def _by_windows(x, upstream):
    """Return the gradients of the taps, from copies of each tap's input and output windows."""

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
    """Return the gradients of the taps, from slices of all positions in one long row."""
    # A row and a column of zeros at the end of each map are the padding of this map and of the next
    # one. On small maps these zeros cost more than the copies of `_by_windows`.
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
