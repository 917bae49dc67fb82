"""Matplotlib figures from arrays; the only room that draws."""

import os

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def check_suffix(path):
    """Raise a ValueError if the suffix of a path is no format that figures can be saved in."""
    known = FigureCanvasAgg.get_supported_filetypes()
    if os.path.splitext(path)[1][1:].lower() not in known:
        raise ValueError(f"a picture's name ends in {', '.join(f'.{name}' for name in sorted(known))}. Received: {path}.")


def contact_sheet(images, titles, boxes, title):
    """Draw images in a grid, each with its title and its boxes.

    Args:
        images: sequence of uint8 `[h, w, 3]`, of any sizes.
        titles: of each; a long one is cut.
        boxes: of each, an `annotations.Boxes`.
        title: over the figure.

    Returns:
        A matplotlib `Figure`.
    """
    columns = min(len(images), max(1, round((len(images) * 1.5) ** 0.5)))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1 + 1.8 * columns, 0.6 + 1.9 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=9, parse_math=False)  # a $ is a $
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, name, (corners, names) in zip(grid, images, titles, boxes, strict=False):
        h, w, _ = image.shape
        axes.imshow(image)
        axes.set_title(name if len(name) <= 24 else name[:23] + "\N{HORIZONTAL ELLIPSIS}", fontsize=7, parse_math=False)
        for (xmin, ymin, xmax, ymax), label in zip(corners, names, strict=True):
            # In pixel edges, which imshow puts at halves; black under yellow shows on any ground.
            corner, width, height = (xmin * w - 0.5, ymin * h - 0.5), (xmax - xmin) * w, (ymax - ymin) * h
            for colour, line in (("black", 2.5), ("yellow", 1)):
                axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=line))
            if label and label not in name:
                axes.text(*corner, label, fontsize=5, color="yellow", va="bottom", parse_math=False)
    return figure


def curves(lines, title, xlabel, ylabel):
    """Draw several trainings into one picture.

    Args:
        lines: label to `(x, y, style)`; the style is matplotlib's, such as `C0--`.
        title: over the figure.
        xlabel, ylabel: of the axes, with their units.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for label, (x, y, style) in lines.items():
        axes.plot(x, y, style, label=label, marker="o", markersize=3)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, ylim=(0, None))
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    axes.grid(alpha=0.3)
    return figure


def history(rows, title):
    """Draw loss and errors over the epochs, the learning rate below.

    Args:
        rows: of `log.csv`, dicts.
        title: over the figure.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    errors, losses, rates = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 1))
    epochs = [row["epoch"] for row in rows]
    marker = "o" if len(rows) < 30 else ""

    def curve(axes, key, label, **style):
        values = [row[key] for row in rows]
        if None not in values:
            axes.plot(epochs, values, label=label, marker=marker, markersize=3, **style)

    curve(errors, "train_error", "training, top-1 (with dropout, random views)", color="C0")
    curve(errors, "validation_error", "validation, top-1", color="C1")
    curve(errors, "validation_top5_error", "validation, top-5", color="C1", linestyle=":")
    errors.set(ylabel="error (%)", ylim=(0, None), title=title)
    curve(losses, "loss", "training, with the L2 term", color="C0")
    curve(losses, "validation_loss", "validation, without", color="C1")
    losses.set(ylabel="loss (nats)", yscale="log")
    curve(rates, "learning_rate", None, color="C2")
    rates.set(ylabel="learning rate\n(first step)", xlabel="epoch", yscale="log")
    rates.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    for axes in (errors, losses):
        axes.legend(frameon=False)
    for axes in (errors, losses, rates):
        axes.grid(alpha=0.3)
    return figure
