"""What a network costs: parameters and floating point operations, by the table alone. No Keras
here.
"""

from vgg_tf.figures.markdown import make_markdown_table
from vgg_tf.paper.architectures import ARCHITECTURES, HEAD_WIDTH, count_filters, find_architecture


def list_costs(arch, size=224, classes=1000, width=1.0, head_width=HEAD_WIDTH):
    """The layers of a network with what they cost.

    Args:
        arch: its name.
        size: side of the crop, in pixels.
        classes, width, head_width: as for `build_vgg`.

    Yields:
        dict: `name`; `shape` of its map or numbers, `(h, w, channels)` or `(n,)`; `parameters`,
        those of its batch normalisation included, moments not; `flops`, two for each multiplication
        and addition of kernels.
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
    """All architectures in Markdown: layers with weights, parameters, GFLOP of an image, share
    of the head's parameters.
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
