"""Training curves of several runs in one figure."""

import csv
import math
import os

from vgg_tf.figures import charts
from vgg_tf.runtime import files, schemas
from vgg_tf.runtime.schemas import MOST_IMAGES

_REMEDY = "Delete it and continue the training, which writes it again."


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
        with schemas.naming(path, "a log.csv of vgg_tf", _REMEDY):
            columns, epochs, values = _read_column(path, what)
        if not values:
            raise ValueError(
                f"{path} must have values of {what}. Received: none. Choose one of "
                f"{', '.join(columns)}."
            )
        lines[run] = (epochs, values, f"C{i % 10}-")
    units = "nats, with the L2 term" if what == "loss" else "%"
    words = what.replace("_", " ")
    return charts.draw_curves(lines, words, "epoch", f"{words} ({units})")


def _read_column(path, what):
    """Return the columns of a log.csv, and the epochs and values of the rows that have `what`."""
    try:
        table = csv.DictReader(files.read_text(path).splitlines(), strict=True)
        rows = [row for row in table if row.get(what)]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    columns = table.fieldnames or []
    if "epoch" not in columns:
        raise ValueError("no column epoch")
    epochs = [int(row["epoch"]) if row["epoch"].isdecimal() else 0 for row in rows]
    if not all(1 <= epoch <= MOST_IMAGES for epoch in epochs):
        raise ValueError("epochs that are not integers from 1 on")
    values = [float(row[what]) for row in rows]
    if not all(map(math.isfinite, values)):
        raise ValueError(f"NaN or infinity in {what}")
    return columns, epochs, values
