"""The table of bounds: a line for each network and topology."""

from vgg_tf.figures.markdown import make_markdown_table
from vgg_tf.forecast.bounds import GIB, KAGGLE_HOURS

# Heading and cell of each column. Without a step that fits, the findings are dashes.
_FACTS = {
    "network": lambda row: row.arch,
    "topology": lambda row: row.topology,
    "devices": lambda row: f"{row.asked.devices}",
    "GiB a device": lambda row: f"{row.asked.available / GIB:.2f}",
    "needed a device at {batch:,} images a step": lambda row: row.asked.verdict,
    "the same for center crops": lambda row: row.crops.verdict,
    "the same for dense tests": lambda row: f"{row.dense.verdict}, {row.dense.batch:,} images",
}
_FINDINGS = {
    "most images a step compiled that fit": lambda row: f"{row.largest.batch:,}",
    "GFLOP an image, by XLA": lambda row: f"{row.gflop:.1f}",
    "ms a step (bound, not measured)": lambda row: (
        f"{1e3 * max(row.step.compute_times(row.chip)):.0f}"
        + ("" if row.asked.fits else f" for {row.step.batch:,}")
    ),
    "images/s (bound, not measured)": lambda row: f"{row.speed:,.0f}",
    "host cores for it, {per_core:,.0f} images/s each": lambda row: (
        f"{row.host.count_cores(row.speed):,}"
    ),
    "hours of {epochs} epochs (bound, not measured)": lambda row: f"{row.hours:.1f}",
    "weeks of Kaggle's {hours} hours (bound, not measured)": lambda row: (
        "-" if row.weeks is None else f"{row.weeks:.2f}"
    ),
    "center crops/s (bound, not measured)": lambda row: _format_speed(row.crops, row.chip),
    "dense images/s (bound, not measured)": lambda row: _format_speed(row.dense, row.chip),
}


def _format_speed(step, chip):
    return f"{step.compute_speed(chip):,.0f}" if step.fits else "-"


def format_table(rows):
    """Return a Markdown table with a line for each network and topology.

    Args:
        rows: list of `Bounds` of the same batch and epochs.

    Returns:
        str.
    """
    first = rows[0]
    words = {"batch": first.asked.batch, "epochs": first.epochs}
    words |= {"hours": KAGGLE_HOURS, "per_core": first.host.per_core}
    header = [heading.format(**words) for heading in (*_FACTS, *_FINDINGS)]
    cells = []
    for row in rows:
        found = [cell(row) if row.step else "-" for cell in _FINDINGS.values()]
        cells.append([*(cell(row) for cell in _FACTS.values()), *found])
    return make_markdown_table(header, cells)
