"""Training curves of several runs in one figure."""

import csv
import os

from vgg_tf.figures import charts
from vgg_tf.runtime import files


def draw_runs(runs, what):
    """Draw one column of log.csv over the epochs, one curve per run.

    Args:
        runs: List of run folders, local or remote.
        what: Name of the column, such as `validation_error`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        FileNotFoundError: A folder has no log.csv.
        ValueError: There are no runs, or a log has no values in that column.
    """
    if not runs:
        raise ValueError(f"Expected at least one run folder. Received: {runs}. Give run folders.")
    lines = {}
    for i, run in enumerate(runs):
        path = os.path.join(run, "log.csv")
        if not files.exists(path):
            raise FileNotFoundError(
                f"{run} must contain log.csv, which training writes after the first epoch. "
                "Received: no log.csv. Give a folder of python -m vgg_tf.train."
            )
        table = csv.DictReader(files.read_text(path).splitlines())
        if not (rows := [row for row in table if row.get(what)]):
            raise ValueError(
                f"{path} must have values of {what}. Received: none. Choose one of "
                f"{', '.join(table.fieldnames or ())}."
            )
        epochs = [int(row["epoch"]) for row in rows]
        lines[run] = (epochs, [float(row[what]) for row in rows], f"C{i % 10}-")
    units = "nats, with the L2 term" if what == "loss" else "%"
    words = what.replace("_", " ")
    return charts.draw_curves(lines, words, "epoch", f"{words} ({units})")
