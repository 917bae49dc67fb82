"""Averages of probabilities over views, scales and networks."""

import numpy as np

from vgg_tf.evaluation.posteriors import compute_posteriors, refuse_unreadable
from vgg_tf.runtime import files


def average_posteriors(lines, source, split, devices, batch_size):
    """Return the average probabilities of each line of a result.

    Each network sees each combination of scale and kind of views once, also where several lines
    need it.

    Args:
        lines: list of `(networks, protocols, told)`, as from `tables.plan_rows`.
        source: a `splits.Source`.
        split: name of one of its splits.
        devices: the `devices.Devices` that compute.
        batch_size: crops per batch; 0 chooses it from the size of the crops.

    Returns:
        List of float64 arrays `[n, classes]`, one for each line. They are averaged over views,
        then scales, then networks. The list is empty in all processes except the first one.

    Raises:
        ValueError: some images cannot be read. All others are computed and saved first.
    """
    needed = {}
    for networks, protocols, _ in lines:
        for network, protocol in zip(networks, protocols, strict=True):
            units = needed.setdefault(_make_key(network), (network, {}))[1]
            units.update(dict.fromkeys(protocol.units))
    seen, problems = {}, {}
    for key, (network, units) in needed.items():
        rows, bad = compute_posteriors(network, source, split, list(units), devices, batch_size)
        seen[key] = dict(zip(units, rows, strict=True)) if rows is not None else None
        problems |= bad
    refuse_unreadable(problems)
    if devices.process:
        return []
    return [_average(networks, protocols, seen) for networks, protocols, _ in lines]


def _average(networks, protocols, seen):
    of_each = [
        np.mean([seen[_make_key(network)][unit] for unit in protocol.units], 0, dtype=np.float64)
        for network, protocol in zip(networks, protocols, strict=True)
    ]
    return np.mean(of_each, 0)


def _make_key(network):
    return files.make_absolute(network.path)
