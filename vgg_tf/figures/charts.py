"""Charts of data, training runs and tests: curves, confusion, calibration, ROC, class counts."""

import numpy as np

from vgg_tf.figures.drawing import COLORS, Drawing, add_legend, make_line


def draw_curves(lines, title, xlabel, ylabel):
    """Draw several trainings into one picture.

    Args:
        lines: label to `(x, y, style)`; the style is matplotlib's, such as `C0--`.
        title: over the figure.
        xlabel, ylabel: of the axes, with their units.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Drawing(8, 4.5)
    axes = figure.subplots()
    drawn = {
        label: axes.plot(x, y, style, marker="o", markersize=3)[0]
        for label, (x, y, style) in lines.items()
    }
    axes.set(
        title=make_line(title, 80),
        xlabel=make_line(xlabel, 80),
        ylabel=make_line(ylabel, 40),
        ylim=(0, None),
    )
    axes.xaxis.get_major_locator().set_params(integer=True)
    add_legend(figure, drawn, 90, row=90, loc="outside lower center")
    axes.grid(alpha=0.3)
    return figure


def draw_history(rows, title):
    """Draw loss and errors over the epochs, the learning rate below.

    Args:
        rows: of `log.csv`, dicts.
        title: over the figure.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Drawing(10, 6)
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
    errors.set(ylabel="error (%)", ylim=(0, None), title=make_line(title))
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


def draw_confusion(counts, classes):
    """Draw how often each class is taken for each, as shares of the images of the class.

    Args:
        counts: `[true, predicted]`.
        classes: names; written beside the matrix up to 50 of them, numbers into it up to 20.

    Returns:
        A matplotlib `Figure`.
    """
    n = len(classes)
    side = max(4.5, min(12, 0.35 * n + 2))
    figure = Drawing(side + 1, side)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the images of a class", shrink=0.8)
    axes.set(xlabel="predicted", ylabel="class")
    if n <= 50:
        names = [make_line(name, 20) for name in classes]
        axes.set_xticks(range(n), names, rotation=90, fontsize=8)
        axes.set_yticks(range(n), names, fontsize=8)
    if n <= 20:
        for i, j in zip(*np.nonzero(counts), strict=True):
            axes.text(
                j,
                i,
                counts[i, j],
                ha="center",
                va="center",
                fontsize=7,
                color="white" if shares[i, j] > 0.5 else "black",
            )
    return figure


def draw_class_errors(rows):
    """Draw the top-1 error of the classes with its 95 % interval, of the worst 40 of many.

    Args:
        rows: `per_class` of `metrics.compute_metrics`.

    Returns:
        A matplotlib `Figure`.
    """
    known = [row for row in rows if row["n"]]
    worst = sorted(known, key=lambda row: -row["top1_error"])[:40]
    figure = Drawing(8, 1.2 + 0.22 * len(worst))
    axes = figure.subplots()
    errors = np.array([row["top1_error"] for row in worst])
    low, high = np.array([row["top1_interval"] for row in worst]).T
    at = range(len(worst))
    axes.barh(at, errors, color="C0", alpha=0.6)
    axes.errorbar(
        errors,
        at,
        xerr=np.maximum([errors - low, high - errors], 0),
        fmt="none",
        ecolor="0.3",
        elinewidth=1,
    )
    axes.set_yticks(
        at, [f"{make_line(row['class'], 24)} ({row['n']})" for row in worst], fontsize=8
    )
    axes.invert_yaxis()
    axes.margins(y=0.01)
    more = f", the worst {len(worst)} of {len(known)} classes" if len(known) > len(worst) else ""
    axes.set(xlabel=f"top-1 error (%), with its 95 % interval{more}", xlim=(0, None))
    axes.grid(axis="x", alpha=0.3)
    return figure


def draw_calibration(found):
    """Draw how often the most likely class is right, against how likely it was said to be.

    Args:
        found: what `metrics.measure_calibration` says.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Drawing(5.5, 6)
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    confidence, accuracy, n = (
        np.array([row[key] for row in found["bins"]]) for key in ("confidence", "accuracy", "n")
    )
    curve.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="as often as said")
    curve.plot(
        confidence,
        accuracy,
        marker="o",
        markersize=4,
        label=f"this test, expected error {found['ece']:.4f}",
    )
    curve.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    curve.legend(frameon=False)
    counts.bar(confidence, n, width=0.03, color="C0", alpha=0.6)
    counts.set(xlabel="posterior of the most likely class", ylabel="images", yscale="log")
    for axes in (curve, counts):
        axes.grid(alpha=0.3)
    return figure


def draw_roc(curves):
    """Draw ROC curves.

    Args:
        curves: label to `(false, true positive rate)`.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Drawing(8, 5)
    axes = figure.subplots()
    drawn = {
        label: axes.plot(false, true, linewidth=1.2)[0] for label, (false, true) in curves.items()
    }
    axes.set(
        xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1), ylim=(0, 1.01)
    )
    if curves:
        add_legend(
            axes,
            drawn,
            title="area, the smallest first",
            loc="center left",
            bbox_to_anchor=(1, 0.5),
        )
    axes.grid(alpha=0.3)
    return figure


def draw_counts(classes, splits, title):
    """Images of each class, split by split.

    Args:
        classes: names.
        splits: name to counts, int `[classes]`.
        title: over the figure.

    Returns:
        A matplotlib `Figure`; of more than 60 classes those with the most and the fewest images.
    """
    total = np.sum(list(splits.values()), 0)
    order = np.argsort(-total, kind="stable")
    if len(order) > 60:
        order = np.concatenate([order[:30], order[-30:]])
        title += f", the 30 largest and the 30 smallest of {len(classes)} classes"
    figure = Drawing(8, 1.6 + 0.22 * len(order), title)
    axes = figure.subplots()
    left, drawn = np.zeros(len(order)), {}
    for (name, values), colour in zip(splits.items(), COLORS.values(), strict=False):
        some = np.asarray(values)[order]
        drawn[f"{name}, {sum(values):,} images"] = axes.barh(
            range(len(order)), some, left=left, color=colour
        )
        left += some
    axes.set_yticks(range(len(order)), [make_line(classes[i], 28) for i in order], fontsize=8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set(xlabel="images")
    axes.grid(axis="x", alpha=0.3)
    add_legend(figure, drawn, row=90, loc="outside lower center")
    return figure


def draw_confused_pairs(pairs, title):
    """The pairs of classes that are taken for each other most often: rows of `confused` of
    `metrics.compute_metrics`.
    """
    figure = Drawing(8, 1.6 + 0.3 * max(1, len(pairs)), title)
    axes = figure.subplots()
    axes.barh(range(len(pairs)), [100 * pair["share"] for pair in pairs], color=COLORS["conv"])
    names = [
        f"{make_line(pair['true'], 24)} taken for {make_line(pair['predicted'], 24)} ({pair['n']})"
        for pair in pairs
    ]
    axes.set_yticks(range(len(pairs)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="share of the images of the class (%)")
    axes.grid(axis="x", alpha=0.3)
    return figure
