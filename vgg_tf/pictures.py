"""Matplotlib figures from arrays; the only room that draws."""

import os

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def check_suffix(path):
    """Raise a ValueError if the suffix of a path is no format that figures can be saved in."""
    known = FigureCanvasAgg.get_supported_filetypes()
    if os.path.splitext(path)[1][1:].lower() not in known:
        raise ValueError(f"a picture's name ends in {', '.join(f'.{name}' for name in sorted(known))}. Received: {path}.")


def contact_sheet(images, titles, boxes, title, columns=None):
    """Draw images in a grid, each with its title and its boxes.

    Args:
        images: sequence of uint8 `[h, w, 3]`, of any sizes.
        titles: of each; long lines are cut.
        boxes: of each, an `annotations.Boxes`.
        title: over the figure.
        columns: images in a row; None for a sheet in landscape.

    Returns:
        A matplotlib `Figure`.
    """
    columns = columns or min(len(images), max(1, round((len(images) * 1.5) ** 0.5)))
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
        axes.set_title("\n".join(_cut(line, 24) for line in name.splitlines()), fontsize=7, parse_math=False)
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
    axes.xaxis.get_major_locator().set_params(integer=True)
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

    curve(errors, "train_error", "training, top-1 (random views, dropout if any)", color="C0")
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


def confusion(counts, classes):
    """Draw how often each class is taken for each, as shares of the images of the class.

    Args:
        counts: `[true, predicted]`.
        classes: names; written beside the matrix up to 50 of them, numbers into it up to 20.

    Returns:
        A matplotlib `Figure`.
    """
    n = len(classes)
    side = max(4.5, min(12, 0.35 * n + 2))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the images of a class", shrink=0.8)
    axes.set(xlabel="predicted", ylabel="class")
    if n <= 50:
        names = [_cut(name, 20) for name in classes]
        axes.set_xticks(range(n), names, rotation=90, fontsize=8, parse_math=False)
        axes.set_yticks(range(n), names, fontsize=8, parse_math=False)
    if n <= 20:
        for i, j in zip(*np.nonzero(counts), strict=True):
            axes.text(
                j, i, counts[i, j], ha="center", va="center", fontsize=7, color="white" if shares[i, j] > 0.5 else "black"
            )
    return figure


def class_errors(rows):
    """Draw the top-1 error of the classes with its 95 % interval, of the worst 40 of many.

    Args:
        rows: `per_class` of `scores.score`.

    Returns:
        A matplotlib `Figure`.
    """
    known = [row for row in rows if row["n"]]
    worst = sorted(known, key=lambda row: -row["top1_error"])[:40]
    figure = Figure(figsize=(8, 1.2 + 0.22 * len(worst)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    errors = np.array([row["top1_error"] for row in worst])
    low, high = np.array([row["top1_interval"] for row in worst]).T
    at = range(len(worst))
    axes.barh(at, errors, color="C0", alpha=0.6)
    axes.errorbar(errors, at, xerr=np.maximum([errors - low, high - errors], 0), fmt="none", ecolor="0.3", elinewidth=1)
    axes.set_yticks(at, [f"{_cut(row['class'], 24)} ({row['n']})" for row in worst], fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    more = f", the worst {len(worst)} of {len(known)} classes" if len(known) > len(worst) else ""
    axes.set(xlabel=f"top-1 error (%), with its 95 % interval{more}", xlim=(0, None))
    axes.grid(axis="x", alpha=0.3)
    return figure


def calibration(found):
    """Draw how often the most likely class is right, against how likely it was said to be.

    Args:
        found: what `scores.calibration` says.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Figure(figsize=(5.5, 6), layout="constrained")
    FigureCanvasAgg(figure)
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    confidence, accuracy, n = (np.array([row[key] for row in found["bins"]]) for key in ("confidence", "accuracy", "n"))
    curve.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="as often as said")
    curve.plot(confidence, accuracy, marker="o", markersize=4, label=f"this test, expected error {found['ece']:.4f}")
    curve.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    curve.legend(frameon=False)
    counts.bar(confidence, n, width=0.03, color="C0", alpha=0.6)
    counts.set(xlabel="posterior of the most likely class", ylabel="images", yscale="log")
    for axes in (curve, counts):
        axes.grid(alpha=0.3)
    return figure


def roc(curves):
    """Draw ROC curves.

    Args:
        curves: label to `(false, true positive rate)`.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for label, (false, true) in curves.items():
        axes.plot(false, true, label=_cut(label, 40), linewidth=1.2)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1), ylim=(0, 1.01))
    if curves:
        legend = axes.legend(title="area, the smallest first", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    axes.grid(alpha=0.3)
    return figure


def _cut(name, letters):
    return name if len(name) <= letters else name[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}"
