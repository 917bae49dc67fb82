"""Trainings with several seeds: the flag, and the interval of their mean."""

from scipy import stats


def add_seeds(parser):
    """Add `--seeds` to an `argparse.ArgumentParser`."""
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, at least 2")


def check_seeds(parser, flags):
    """End the program with an error if there is only one seed, which gives no interval."""
    if flags.seeds < 2:
        parser.error(f"--seeds must be at least 2, for the interval. Received: {flags.seeds}.")


def compute_reach(values):
    """Return half the length of the 95 % interval of a mean (Student's t).

    Args:
        values: float `[..., seeds]`, one value for each seed, at least 2.

    Returns:
        float `[...]`.
    """
    seeds = values.shape[-1]
    return stats.t.ppf(0.975, seeds - 1) * values.std(-1, ddof=1) / seeds**0.5


def format_mean(values):
    """Return the mean of float `[seeds]` and half the length of its interval, as text."""
    return f"{values.mean():.2f} +- {compute_reach(values):.2f}"
