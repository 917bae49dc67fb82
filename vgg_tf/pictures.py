"""Matplotlib figures from arrays; the only room that draws."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


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
