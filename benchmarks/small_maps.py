"""Measure VGG's convolutions on the CPU: TensorFlow versus matrix products.

    python benchmarks/small_maps.py [float32|bfloat16] [BATCH] [--sides 2,4]

Each convolution is measured in three passes: the output, the gradient of the input, and the
gradient of the kernel. The numbers are CPU time of one thread in ms, the minimum of 5. This table
and measurements of whole steps are the source of the constants in `vgg_tf.models.cpu_layers` and
`cpu_products`.
"""

import argparse
import os
import time

from vgg_tf.runtime import quiet

SHAPES = [  # side, channels, filters; at 32 pixels, then at 224
    (2, 512, 512),
    (4, 256, 512),
    (4, 512, 512),
    (8, 128, 256),
    (8, 256, 256),
    (16, 128, 128),
    (14, 512, 512),
    (28, 256, 512),
    (28, 512, 512),
    (56, 256, 256),
]
SAME = {"strides": [1, 1, 1, 1], "padding": "SAME"}


def main(arguments=None):
    """Print a line for each shape."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dtype", nargs="?", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("batch", nargs="?", type=int, default=128, help="images per batch")
    parser.add_argument(
        "--sides",
        default="2,4,8,16,14,28,56",
        help="sides of the maps in pixels",
    )
    flags = parser.parse_args(arguments)
    sides = [int(side) for side in flags.sides.split(",")]
    quiet.quiet_tensorflow()
    print(
        f"{flags.dtype}, batch {flags.batch} (a quarter of it from 14 pixels on), ms: "
        "TensorFlow / matrix products"
    )
    print(f"{'side channels filters':24}{'output':>16}{'input gradient':>16}{'kernel grad.':>16}")
    passes = _list_passes()
    for shape in SHAPES:
        if shape[0] in sides:
            arrays = _make_arrays(*shape, flags.batch, flags.dtype)
            times = [[_measure_ms(form, *arrays) for form in forms] for forms in passes]
            cells = [" / ".join(f"{ms:.1f}" for ms in pair) for pair in times]
            label = "{:4} {:8} {:7}".format(*shape)
            print(f"{label:24}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def _list_passes():
    """Return the three passes, each by TensorFlow and as a matrix product.

    Returns:
        list of pairs of functions of the input map, the kernel and the output gradient.
    """
    import tensorflow as tf

    from vgg_tf.models import cpu_products

    return [
        (
            lambda x, k, u: tf.nn.conv2d(x, k, 1, "SAME"),
            lambda x, k, u: cpu_products.multiply_rows(x, k),
        ),
        (
            lambda x, k, u: tf.raw_ops.Conv2DBackpropInput(
                input_sizes=x.shape, filter=k, out_backprop=u, **SAME
            ),
            lambda x, k, u: cpu_products.multiply_rows(u, cpu_products.turn(k)),
        ),
        (
            lambda x, k, u: tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=k.shape, out_backprop=u, **SAME
            ),
            lambda x, k, u: cpu_products.compute_kernel_gradient(x, u),
        ),
    ]


def _make_arrays(side, channels, filters, batch, dtype):
    """Return a random input map, kernel and output gradient."""
    import tensorflow as tf

    n = max(1, batch // 4) if side % 7 == 0 else batch
    shapes = (n, side, side, channels), (3, 3, channels, filters), (n, side, side, filters)
    return [tf.cast(tf.random.normal(shape), dtype) for shape in shapes]


def _measure_ms(form, *arrays):
    """Return the minimum of 5 CPU times in ms, after two warm-up calls."""
    import tensorflow as tf

    compiled = tf.function(form, autograph=False)
    times = []
    for _ in range(7):
        start = time.process_time()
        compiled(*arrays)
        times.append(time.process_time() - start)
    return 1e3 * min(times[2:])


if __name__ == "__main__":
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    main()
