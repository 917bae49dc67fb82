"""Figures of networks, feature maps, kernels and heatmaps, from arrays."""

import numpy as np
from matplotlib.patches import Polygon, Rectangle

from vgg_tf.figures.drawing import COLORS, Drawing, add_legend, make_line

HEAT = "inferno"  # perceptually uniform, also for color-blind readers
SHOWN = 64  # maximum number of maps or kernels in a figure


def draw_heat(image, maps, title):
    """Draw an image, and next to it each heatmap over the image.

    Args:
        image: uint8 `[h, w, 3]`.
        maps: Title to float `[h', w']`, 0 to 1. Each map is stretched over the image.
        title: Title of the figure.

    Returns:
        A matplotlib `Figure`.
    """
    columns = min(4, len(maps) + 1)
    rows = -(-(len(maps) + 1) // columns)
    figure, grid = _grid(rows, columns, 2.6, title)
    h, w, _ = image.shape
    grid[0].imshow(image)
    grid[0].set_title("image", fontsize=8)
    shown = None
    for axes, (name, values) in zip(grid[1:], maps.items(), strict=False):
        axes.imshow(image.mean(2), cmap="gray", vmin=0, vmax=255)
        extent = (-0.5, w - 0.5, h - 0.5, -0.5)
        shown = axes.imshow(
            values, cmap=HEAT, vmin=0, vmax=1, alpha=0.6, extent=extent, interpolation="bilinear"
        )
        axes.set_title(make_line(name, 36), fontsize=8)
    if shown is not None:
        figure.colorbar(
            shown,
            ax=list(grid),
            label="evidence for the class, relative to the maximum",
            shrink=0.7,
        )
    return figure


def draw_maps(values, title):
    """Draw feature maps in a grid, those with the largest mean first.

    Args:
        values: float `[h, w, channels]`. All maps have the same color scale.
        title: Title of the figure.

    Returns:
        A matplotlib `Figure`.
    """
    order = np.argsort(-values.mean((0, 1)), kind="stable")[:SHOWN]
    columns = min(8, len(order))
    figure, grid = _grid(-(-len(order) // columns), columns, 1.2, title)
    for axes, channel in zip(grid, order, strict=False):
        shown = axes.imshow(
            values[..., channel], cmap="viridis", vmin=min(0, values.min()), vmax=values.max() or 1
        )
        axes.set_title(f"channel {channel}", fontsize=6, pad=2)
    figure.colorbar(shown, ax=list(grid), label="activation", shrink=0.7)
    return figure


def draw_kernels(pictures, title):
    """Draw the kernels of the first layer as pictures.

    Args:
        pictures: float `[n, h, w, 3]` or `[n, h, w, 1]`, 0 to 1. Gray is a weight of 0.
        title: Title of the figure.

    Returns:
        A matplotlib `Figure`.
    """
    some = pictures[:SHOWN]
    columns = min(8, len(some))
    figure, grid = _grid(-(-len(some) // columns), columns, 0.9, title)
    for i, (axes, picture) in enumerate(zip(grid, some, strict=False)):
        axes.imshow(
            picture if picture.shape[-1] == 3 else picture[..., :1].repeat(3, -1),
            interpolation="nearest",
        )
        axes.set_title(str(i), fontsize=6, pad=2)
    return figure


def draw_field(image, corners, name):
    """Draw the receptive field of a unit on an image.

    Args:
        image: uint8 `[h, w, 3]`.
        corners: xmin, ymin, xmax and ymax in pixels. They may be outside the image.
        name: Name of the unit's layer.

    Returns:
        A matplotlib `Figure`.
    """
    figure, (axes,) = _grid(1, 1, 4, f"receptive field of a unit of {name}")
    h, w, _ = image.shape
    axes.imshow(image)
    xmin, ymin, xmax, ymax = corners
    for colour, thick in (("black", 3), ("yellow", 1.2)):
        box = Rectangle(
            (xmin - 0.5, ymin - 0.5),
            xmax - xmin,
            ymax - ymin,
            fill=False,
            edgecolor=colour,
            linewidth=thick,
        )
        axes.add_patch(box)
    axes.set(xlim=(min(0, xmin) - 1, max(w, xmax) + 1), ylim=(max(h, ymax) + 1, min(0, ymin) - 1))
    axes.set_title(
        f"{xmax - xmin} x {ymax - ymin} pixels; the image has {w} x {h}, the rest is padding",
        fontsize=8,
    )
    return figure


def draw_architecture(rows, title):
    """Draw a network to scale.

    Each map is a block: the height is its side in pixels, the width the logarithm of its channels.

    Args:
        rows: Rows of `costs.list_costs`.
        title: Title of the figure.

    Returns:
        A matplotlib `Figure`.
    """
    millions, flops = (sum(row[key] for row in rows) for key in ("parameters", "flops"))
    said = f"{title}: {millions / 1e6:.1f} million parameters, {flops / 1e9:.2f} GFLOP an image"
    figure = Drawing(max(8, 0.62 * len(rows)), 5, said)
    axes = figure.subplots()
    size, x = rows[0]["shape"][0], 0.0
    for row in rows:
        shape = row["shape"]
        kind = "fc" if len(shape) == 1 else "pool" if "pool" in row["name"] else "conv"
        side = shape[0] / size
        wide = 0.06 * np.log2(shape[-1])
        tall = side if len(shape) == 3 else wide
        back = 0.1 * (side if len(shape) == 3 else 1)
        left, right, low, high = x, x + wide, -tall / 2, tall / 2
        faces = (
            [(left, low), (right, low), (right, high), (left, high)],
            [(left, high), (right, high), (right + back, high + back), (left + back, high + back)],
            [(right, low), (right + back, low + back), (right + back, high + back), (right, high)],
        )
        for face, alpha in zip(faces, (0.95, 0.6, 0.75), strict=True):
            axes.add_patch(
                Polygon(face, facecolor=COLORS[kind], alpha=alpha, edgecolor="white", linewidth=0.4)
            )
        words = f"{make_line(row['name'], 24)}\n{' x '.join(map(str, shape))}"
        axes.text(x + wide / 2, -0.62, words, rotation=90, ha="center", va="top", fontsize=7)
        x += wide + 0.12
    axes.set(xlim=(-0.1, x + 0.3), ylim=(-1.25, 0.75))
    axes.set_axis_off()
    names = {
        "conv": "convolution 3 x 3 (1 x 1), ReLU",
        "pool": "max pooling 2 x 2",
        "fc": "fully connected",
    }
    blocks = {name: Rectangle((0, 0), 1, 1, color=COLORS[kind]) for kind, name in names.items()}
    add_legend(figure, blocks, row=110, loc="outside lower center", fontsize=8)
    return figure


def _grid(rows, columns, inches, title):
    """Return a figure with a grid of axes without ticks, and the axes in one row."""
    figure = Drawing(0.6 + inches * columns, 0.7 + (inches + 0.2) * rows, title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    return figure, grid
