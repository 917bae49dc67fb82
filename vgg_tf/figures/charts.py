"""Matplotlib figures from arrays. Every figure of the project is a `Drawing`, and every name in it goes through `line`."""

import contextlib
import os
import unicodedata
import warnings

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vgg_tf.runtime import files

_UNDRAWABLE = {"Cc", "Cs", "Zl", "Zp"}  # Unicode's categories of control characters, lone surrogates and separators of lines


def line(words, letters=100):
    r"""Return any text as one line that matplotlib draws character by character.

    A `$` begins no formula. Control characters, ends of lines and the undecodable bytes of file names cannot be drawn: they
    become escapes such as `\n`. A long text loses its middle, because paths often differ at their ends only.

    Args:
        words: the text, such as the name of a class, a file or a run.
        letters: length at most.

    Returns:
        str, for each text of a figure: titles, labels of axes and ticks. For legends see `legend`.

    Example:
        >>> print(line("cost_$5_vs_$6"))
        cost_\$5_vs_\$6
        >>> print(line("one, two, three", 8))
        one,…ree
    """
    words = "".join(repr(c)[1:-1] if unicodedata.category(c) in _UNDRAWABLE else c for c in words)
    if len(words) > letters:
        words = f"{words[: letters // 2]}\N{HORIZONTAL ELLIPSIS}{words[len(words) - (letters - 1) // 2 :]}"
    return words.replace("$", r"\$")


class Drawing(Figure):
    """A figure that Agg draws.

    A character that the font lacks is drawn as a box, without a warning for each. For such names list other fonts in your
    matplotlibrc: `font.family: DejaVu Sans, Noto Sans CJK JP`.

    Args:
        width, height: in inches.
        title: over the figure; as much of it as fits on one line. Empty: none.
    """

    def __init__(self, width, height, title=""):
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)
        if title:
            self.suptitle(line(title, round(14 * width)), fontsize=9)

    def draw(self, renderer):
        """Draw all of it."""
        with _boxes_for_missing_glyphs():
            super().draw(renderer)

    def get_tightbbox(self, *arguments, **options):
        """Return the box around all of it, in inches."""
        with _boxes_for_missing_glyphs():
            return super().get_tightbbox(*arguments, **options)


@contextlib.contextmanager
def _boxes_for_missing_glyphs():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from|Matplotlib currently does not support", UserWarning)
        yield


def legend(place, artists, letters=40, row=0, **options):
    """Add a legend to axes or a figure, with an entry for each artist.

    Matplotlib's own legend omits labels that are empty or begin with `_`.

    Args:
        place: the axes or the figure.
        artists: name to artist.
        letters: of a name, at most.
        row: letters that fit side by side, for up to 3 columns; 0: one column.
        options: of matplotlib's `legend`.
    """
    names = [line(name, letters) for name in artists]
    columns = max(1, min(3, row // max(1, *map(len, names), 1)))
    made = place.legend(list(artists.values()), [str(i) for i in range(len(names))], ncols=columns, frameon=False, **options)
    for text, name in zip(made.get_texts(), names, strict=True):
        text.set_text(name)


def save(figure, path, dpi=120):
    """Write a figure into a file, whole or not at all.

    Args:
        figure: the matplotlib `Figure`.
        path: of the file; its suffix is the format.
        dpi: pixels an inch.

    Raises:
        ValueError: matplotlib cannot draw it.
        OSError: the file cannot be written.
    """
    with files.writing(path) as temporary:
        try:
            figure.savefig(temporary, dpi=dpi)
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"{path} could not be drawn ({type(error).__name__}: {error}).") from error


def check_suffix(path):
    """Raise a ValueError if the suffix of a path is no format that figures can be saved in."""
    known = FigureCanvasAgg.get_supported_filetypes()
    if os.path.splitext(path)[1][1:].lower() not in known:
        raise ValueError(f"a picture's name ends in {', '.join(f'.{name}' for name in sorted(known))}. Received: {path}.")


def contact_sheet(images, titles, boxes, title, columns=None):
    """Draw images in a grid, each with its title and its boxes.

    Args:
        images: sequence of uint8 `[h, w, 3]`, of any sizes.
        titles: of each; a tuple is one of several lines.
        boxes: of each, an `annotations.Boxes`.
        title: over the figure.
        columns: images in a row; None for a sheet in landscape.

    Returns:
        A matplotlib `Figure`.
    """
    columns = columns or min(len(images), max(1, round((len(images) * 1.5) ** 0.5)))
    rows = -(-len(images) // columns)
    figure = Drawing(1 + 1.8 * columns, 0.6 + 1.9 * rows, title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, name, (corners, names) in zip(grid, images, titles, boxes, strict=False):
        h, w, _ = image.shape
        lines = (name,) if isinstance(name, str) else name
        axes.imshow(image)
        axes.set_title("\n".join(line(words, 24) for words in lines), fontsize=7)
        for (xmin, ymin, xmax, ymax), label in zip(corners, names, strict=True):
            # In pixel edges, which imshow puts at halves; black under yellow shows on any ground.
            corner, width, height = (xmin * w - 0.5, ymin * h - 0.5), (xmax - xmin) * w, (ymax - ymin) * h
            for colour, thickness in (("black", 2.5), ("yellow", 1)):
                axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=thickness))
            if label and not any(label in words for words in lines):
                axes.text(*corner, line(label, 40), fontsize=5, color="yellow", va="bottom")
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
    figure = Drawing(8, 4.5)
    axes = figure.subplots()
    drawn = {label: axes.plot(x, y, style, marker="o", markersize=3)[0] for label, (x, y, style) in lines.items()}
    axes.set(title=line(title, 80), xlabel=line(xlabel, 80), ylabel=line(ylabel, 40), ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    legend(figure, drawn, 90, row=90, loc="outside lower center")
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
    errors.set(ylabel="error (%)", ylim=(0, None), title=line(title))
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
    figure = Drawing(side + 1, side)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the images of a class", shrink=0.8)
    axes.set(xlabel="predicted", ylabel="class")
    if n <= 50:
        names = [line(name, 20) for name in classes]
        axes.set_xticks(range(n), names, rotation=90, fontsize=8)
        axes.set_yticks(range(n), names, fontsize=8)
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
    figure = Drawing(8, 1.2 + 0.22 * len(worst))
    axes = figure.subplots()
    errors = np.array([row["top1_error"] for row in worst])
    low, high = np.array([row["top1_interval"] for row in worst]).T
    at = range(len(worst))
    axes.barh(at, errors, color="C0", alpha=0.6)
    axes.errorbar(errors, at, xerr=np.maximum([errors - low, high - errors], 0), fmt="none", ecolor="0.3", elinewidth=1)
    axes.set_yticks(at, [f"{line(row['class'], 24)} ({row['n']})" for row in worst], fontsize=8)
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
    figure = Drawing(5.5, 6)
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
    figure = Drawing(8, 5)
    axes = figure.subplots()
    drawn = {label: axes.plot(false, true, linewidth=1.2)[0] for label, (false, true) in curves.items()}
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1), ylim=(0, 1.01))
    if curves:
        legend(axes, drawn, title="area, the smallest first", loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(alpha=0.3)
    return figure
