"""Parameters and floating point operations of each layer, from Table 1 and without Keras."""

from vgg_tf.figures.markdown import make_markdown_table
from vgg_tf.paper.architectures import ARCHITECTURES, HEAD_WIDTH, count_filters, find_architecture


def list_costs(arch, size=224, classes=1000, width=1.0, head_width=HEAD_WIDTH):
    """Yield the layers of a network, with their numbers of parameters and operations.

    Args:
        arch: Name of the architecture.
        size: Side of the crop, in pixels.
        classes: Number of classes.
        width: Multiplier of the number of filters.
        head_width: Number of outputs of fc1 and fc2.

    Yields:
        dict with the keys `name`, `shape`, `parameters` and `flops`. `shape` is that of the output,
        `(h, w, channels)` or `(n,)`. `parameters` includes those of batch normalization, without
        its moments. `flops` counts two operations for each multiply-add of the kernels.
    """
    row, channels, side = find_architecture(arch), 3, size
    for stage, (kernels, filters) in enumerate(
        zip(row.kernels, count_filters(width), strict=True), 1
    ):
        for j, kernel in enumerate(kernels, 1):
            weights = kernel * kernel * channels * filters
            parameters = weights + filters + 2 * filters * row.batch_norm
            yield {
                "name": f"block{stage}_conv{j}",
                "shape": (side, side, filters),
                "parameters": parameters,
                "flops": 2 * weights * side * side,
            }
            channels = filters
        side //= 2
        yield {
            "name": f"block{stage}_pool",
            "shape": (side, side, channels),
            "parameters": 0,
            "flops": 0,
        }
    inputs = side * side * channels
    for name, outputs in (("fc1", head_width), ("fc2", head_width), ("predictions", classes)):
        weights = inputs * outputs
        yield {
            "name": name,
            "shape": (outputs,),
            "parameters": weights + outputs,
            "flops": 2 * weights,
        }
        inputs = outputs


def make_table(size=224, classes=1000, width=1.0, head_width=HEAD_WIDTH):
    """Return a table of all architectures in Markdown.

    Its columns are the layers with weights, the parameters, the head's share of them, and the GFLOP
    of an image.

    Args:
        size: Side of the crop, in pixels.
        classes: Number of classes.
        width: Multiplier of the number of filters.
        head_width: Number of outputs of fc1 and fc2.

    Returns:
        str.
    """
    header = ["network", "column", "layers with weights", "parameters, million"]
    cells = []
    for name, row in ARCHITECTURES.items():
        rows = list(list_costs(name, size, classes, width, head_width))
        parameters, flops = (sum(each[key] for each in rows) for key in ("parameters", "flops"))
        head = sum(each["parameters"] for each in rows[-3:])
        millions, share = f"{parameters / 1e6:.1f}", f"{head / parameters:.0%}"
        cells.append([name, row.column, row.weight_layers, millions, share, f"{flops / 1e9:.2f}"])
    return make_markdown_table([*header, "of them in the head", "GFLOP an image"], cells)
