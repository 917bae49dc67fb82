"""Posteriors averaged over views, scales and networks."""

import numpy as np

from vgg_tf.evaluation.posteriors import compute_posteriors, refuse_unreadable
from vgg_tf.runtime import files


def average_posteriors(lines, source, split, devices, batch_size):
    """Test networks by protocols, each unit of each network once.

    Args:
        lines: of `(networks, protocols, told)`, as of `tables.plan_rows`.
        source: the `splits.Source`.
        split: a name of its splits.
        devices: the `devices.Devices`.
        batch_size: crops that go through the network at a time; 0: by the size of the crops.

    Returns:
        list of the posteriors of each line, float64 `[n, classes]`: averaged over views, then
        scales, then networks. Empty but in the first process.

    Raises:
        ValueError: images that cannot be read; all others are done and saved then.
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
