"""Training curves of several runs in one figure."""

import csv
import os

from vgg_tf.figures import charts
from vgg_tf.runtime import files


def draw_runs(runs, what):
    """Draw a column of the logs of some runs over their epochs.

    Args:
        runs: run folders.
        what: name of the column of log.csv.

    Returns:
        A matplotlib `Figure`.

    Raises:
        FileNotFoundError: a folder has no log.csv.
        ValueError: there are no runs, or a log without that column.
    """
    if not runs:
        raise ValueError("No run. Give run folders of python -m vgg_tf.train.")
    lines = {}
    for i, run in enumerate(runs):
        path = os.path.join(run, "log.csv")
        if not files.exists(path):
            raise FileNotFoundError(
                f"{run} has no log.csv: it is no run folder, or its first epoch is not done."
            )
        rows = [row for row in csv.DictReader(files.read_text(path).splitlines()) if row[what]]
        if not rows:
            raise ValueError(f"{path} has no {what}.")
        epochs = [int(row["epoch"]) for row in rows]
        lines[run] = (epochs, [float(row[what]) for row in rows], f"C{i % 10}-")
    units = "nats, with the L2 term" if what == "loss" else "%"
    words = what.replace("_", " ")
    return charts.draw_curves(lines, words, "epoch", f"{words} ({units})")
