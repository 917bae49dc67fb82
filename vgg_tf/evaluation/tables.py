"""Tables 3 to 6 of the paper: what is tested for each of them, and the paper's numbers beside ours.

Top-1 and top-5 error on ILSVRC-2012's validation images, in % (section 4).
"""

from vgg_tf.evaluation.evaluator import Protocol, evaluation_scales
from vgg_tf.paper.architectures import architecture

FIXED, LARGE, JITTER = (256, 256), (384, 384), (256, 512)
PAPER = {
    3: {  # one scale
        ("A", FIXED): (29.6, 10.4), ("A-LRN", FIXED): (29.7, 10.5), ("B", FIXED): (28.7, 9.9),
        ("C", FIXED): (28.1, 9.4), ("C", LARGE): (28.1, 9.3), ("C", JITTER): (27.3, 8.8),
        ("D", FIXED): (27.0, 8.8), ("D", LARGE): (26.8, 8.7), ("D", JITTER): (25.6, 8.1),
        ("E", FIXED): (27.3, 9.0), ("E", LARGE): (26.9, 8.7), ("E", JITTER): (25.5, 8.0),
    },
    4: {  # three scales
        ("B", FIXED): (28.2, 9.6), ("C", FIXED): (27.7, 9.2), ("C", LARGE): (27.8, 9.2), ("C", JITTER): (26.3, 8.2),
        ("D", FIXED): (26.6, 8.6), ("D", LARGE): (26.5, 8.6), ("D", JITTER): (24.8, 7.5),
        ("E", FIXED): (26.9, 8.7), ("E", LARGE): (26.7, 8.6), ("E", JITTER): (24.8, 7.5),
    },
    5: {  # three scales, by protocol
        ("D", JITTER): {"dense": (24.8, 7.5), "multi-crop": (24.6, 7.5), "multi-crop+dense": (24.4, 7.2)},
        ("E", JITTER): {"dense": (24.8, 7.5), "multi-crop": (24.6, 7.4), "multi-crop+dense": (24.4, 7.1)},
    },
    6: {  # several networks
        frozenset({("D", JITTER), ("E", JITTER)}): {
            "dense": (24.0, 7.1), "multi-crop": (23.9, 7.2), "multi-crop+dense": (23.7, 6.8),
        },
        frozenset({("D", FIXED), ("D", LARGE), ("D", JITTER), ("C", FIXED), ("C", LARGE), ("E", FIXED), ("E", LARGE)}): {
            "dense": (24.7, 7.5),
        },
    },
}  # fmt: skip
PRESETS = tuple(f"paper-table{number}" for number in PAPER)
TECHNIQUES = ("dense", "multi-crop", "multi-crop+dense")


def rows(preset, networks):
    """What is to be tested for a table.

    Args:
        preset: a name of `PRESETS`.
        networks: sequence of `trained.Trained`.

    Returns:
        A list of `(networks, [their Protocol], the paper's top-1 and top-5 error or None)`: in the first three tables a
        network each, in the last all together.

    Raises:
        ValueError: Table 6, which is of several networks, for one.
    """
    number = int(preset[-1])
    several = number != 3
    protocols = {
        name: [Protocol(name, evaluation_scales(_scale(network), network.crop, several), network.crop) for network in networks]
        for name in (TECHNIQUES if number > 4 else ("dense",))
    }
    if number == 6:
        if len(networks) < 2:
            raise ValueError("Table 6 is of several networks together. Give two runs or more.")
        told = PAPER[6].get(frozenset(map(_key, networks)), {}) if len(networks) == len(set(map(_key, networks))) else {}
        return [(list(networks), protocols[name], told.get(name)) for name in TECHNIQUES]
    found = []
    for i, network in enumerate(networks):
        for name, of_each in protocols.items():
            told = PAPER[number].get(_key(network))
            found.append(([network], [of_each[i]], told.get(name) if isinstance(told, dict) else told))
    return found


def _scale(network):
    low, high = network.scale
    return low if low == high else network.scale


def _key(network):
    """Column of Table 1 and S, as the paper's tables name a network; None for those that it has not."""
    row = architecture(network.arch)
    return None if row.batch_norm or network.crop != 224 else (row.column, tuple(network.scale))


def table(lines):
    """A table in Markdown.

    Args:
        lines: of `(networks, protocols, told, found)`, the first three of `rows`, `found` what `scores.score` says.
    """
    header = ["network", "S", "Q", "protocol", "top-1 error (%)", "top-5 error (%)", "the paper's top-1", "top-5"]
    cells = [header, ["---"] * len(header)]
    for networks, protocols, told, found in lines:
        cells.append([
            " and ".join(f"{architecture(network.arch).column} ({network.name})" for network in networks),
            _each("-".join(map(str, dict.fromkeys(network.scale))) for network in networks),
            _each(", ".join(map(str, protocol.scales)) for protocol in protocols),
            protocols[0].name,
*(_error(found, name) for name in ("top1", "top5")),
            *(map(str, told) if told else ("-", "-")),
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _error(found, name):
    """In %, with its interval."""
    low, high = found[f"{name}_interval"]
    return f"{found[f'{name}_error']:.2f} ({low:.2f} to {high:.2f})"


def _each(words):
    """Of each network; once where all are the same."""
    return "; ".join(dict.fromkeys(words))
