"""Charts of data, training runs and tests: curves, confusion, calibration, ROC, class counts."""

import numpy as np

from vgg_tf.figures.drawing import COLORS, Drawing, add_legend, make_line


def draw_curves(lines, title, xlabel, ylabel):
    """Draw several training runs into one figure.

    Args:
        lines: Label to `(x, y, style)`. The style is matplotlib's, such as `C0--`.
        title: Title of the figure.
        xlabel: Label of the x axis, with its unit.
        ylabel: Label of the y axis, with its unit.

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
    """Draw loss, errors and learning rate over the epochs.

    Args:
        rows: Rows of `log.csv`, dicts.
        title: Title of the figure.

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

    curve(errors, "train_error", "training, top-1 (with augmentation, dropout if any)", color="C0")
    curve(errors, "validation_error", "validation, top-1", color="C1")
    curve(errors, "validation_top5_error", "validation, top-5", color="C1", linestyle=":")
    errors.set(ylabel="error (%)", ylim=(0, None), title=make_line(title))
    curve(losses, "loss", "training (with the L2 term)", color="C0")
    curve(losses, "validation_loss", "validation (without the L2 term)", color="C1")
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
    """Draw a confusion matrix, as fractions of the images of each class.

    Args:
        counts: int `[true, predicted]`.
        classes: Names. Up to 50 of them are drawn next to the matrix, and counts for up to 20.

    Returns:
        A matplotlib `Figure`.
    """
    n = len(classes)
    side = max(4.5, min(12, 0.35 * n + 2))
    figure = Drawing(side + 1, side)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="fraction of the images of a class", shrink=0.8)
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
    """Draw the top-1 error of each class with its 95 % interval.

    Args:
        rows: `per_class` of `metrics.compute_metrics`. Of more than 40 classes, those with the
            highest errors are drawn.

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
    """Draw the accuracy of the predictions against their confidence.

    Args:
        found: Result of `metrics.measure_calibration`.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Drawing(5.5, 6)
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    confidence, accuracy, n = (
        np.array([row[key] for row in found["bins"]]) for key in ("confidence", "accuracy", "n")
    )
    curve.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="perfect calibration")
    curve.plot(
        confidence,
        accuracy,
        marker="o",
        markersize=4,
        label=f"this test, expected calibration error {found['ece']:.4f}",
    )
    curve.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    curve.legend(frameon=False)
    counts.bar(confidence, n, width=0.03, color="C0", alpha=0.6)
    counts.set(xlabel="confidence (highest probability)", ylabel="images", yscale="log")
    for axes in (curve, counts):
        axes.grid(alpha=0.3)
    return figure


def draw_roc(curves):
    """Draw ROC curves.

    Args:
        curves: Label to a pair of arrays, false and true positive rates, 0 to 1.

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
            title="area under the curve, smallest first",
            loc="center left",
            bbox_to_anchor=(1, 0.5),
        )
    axes.grid(alpha=0.3)
    return figure


def draw_counts(classes, splits, title):
    """Draw the number of images of each class and split.

    Args:
        classes: Names.
        splits: Name to counts, int `[classes]`.
        title: Title of the figure.

    Returns:
        A matplotlib `Figure`. Of more than 60 classes, the 30 largest and the 30 smallest are
            drawn.
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
    """Draw the pairs of classes that are confused most often.

    Args:
        pairs: Rows of `confused` of `metrics.compute_metrics`.
        title: Title of the figure.

    Returns:
        A matplotlib `Figure`.
    """
    figure = Drawing(8, 1.6 + 0.3 * max(1, len(pairs)), title)
    axes = figure.subplots()
    axes.barh(range(len(pairs)), [100 * pair["share"] for pair in pairs], color=COLORS["conv"])
    names = [
        f"{make_line(pair['true'], 24)} as {make_line(pair['predicted'], 24)} ({pair['n']})"
        for pair in pairs
    ]
    axes.set_yticks(range(len(pairs)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="images of the class with this prediction (%)")
    axes.grid(axis="x", alpha=0.3)
    return figure
