"""Convolutions with kernels of 3 x 3 as matrix products, with their gradients."""

import functools

import tensorflow as tf

from vgg_tf.runtime.chips import has_amx

WIDE_WINDOWS = 28  # side up to which windows are copied for a kernel's gradient


@functools.cache
def find_products_side():
    """Return the side in pixels up to which a map is a matrix product for each of its rows."""
    return 4 if has_amx() else 2


def convolve(x, kernel):
    """Convolution with zeros around the map, as `tf.nn.conv2d(x, kernel, 1, "SAME")`, with its
    gradients.

    Args:
        x: `[B, H, W, C]` of known H, W and C.
        kernel: `[3, 3, C, K]`.

    Returns:
        `[B, H, W, K]`.
    """
    products = max(x.shape[1:3]) <= find_products_side()
    # As TensorFlow names gradients, for who profiles.
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


def turn(kernel):
    """The kernel that carries a gradient back: turn by half a circle, filters and channels
    exchanged.
    """
    taps = tf.reshape(kernel, [9, *kernel.shape[2:]])
    backwards = tf.gather(taps, range(8, -1, -1))  # tf.reverse takes twenty times as long
    return tf.reshape(tf.transpose(backwards, [0, 2, 1]), [3, 3, kernel.shape[3], kernel.shape[2]])


def compute_kernel_gradient(x, upstream):
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
