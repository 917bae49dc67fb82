"""Tables 3 to 6 of the paper: what is tested for each, and the paper's numbers next to ours."""

from vgg_tf.figures.markdown import make_markdown_table
from vgg_tf.paper.architectures import find_architecture
from vgg_tf.paper.protocols import Protocol, choose_scales
from vgg_tf.paper.results import PAPER, TECHNIQUES


def plan_rows(preset, networks):
    """What is to be tested for a table.

    Args:
        preset: a name of `PRESETS`.
        networks: sequence of `checkpoint.Checkpoint`.

    Returns:
        A list of `(networks, [their Protocol], the paper's top-1 and top-5 error or None)`: in the
        first three tables a network each, in the last all together.

    Raises:
        ValueError: Table 6, which is of several networks, for one.
    """
    number = int(preset[-1])
    several = number != 3
    protocols = {
        name: [
            Protocol(name, choose_scales(_get_scale(network), network.crop, several), network.crop)
            for network in networks
        ]
        for name in (TECHNIQUES if number > 4 else ("dense",))
    }
    if number == 6:
        if len(networks) < 2:
            raise ValueError("Table 6 is of several networks together. Give two runs or more.")
        told = (
            PAPER[6].get(frozenset(map(_make_key, networks)), {})
            if len(networks) == len(set(map(_make_key, networks)))
            else {}
        )
        return [(list(networks), protocols[name], told.get(name)) for name in TECHNIQUES]
    found = []
    for i, network in enumerate(networks):
        for name, of_each in protocols.items():
            told = PAPER[number].get(_make_key(network))
            found.append(
                ([network], [of_each[i]], told.get(name) if isinstance(told, dict) else told)
            )
    return found


def _get_scale(network):
    low, high = network.scale
    return low if low == high else network.scale


def _make_key(network):
    """Column of Table 1 and S, as the paper's tables name a network; None for those that it has
    not.
    """
    row = find_architecture(network.arch)
    return None if row.batch_norm or network.crop != 224 else (row.column, tuple(network.scale))


def format_table(lines):
    """A table in Markdown.

    Args:
        lines: of `(networks, protocols, told, found)`, the first three of `rows`, `found` what
            `metrics.compute_metrics` says.
    """
    header = [
        "network",
        "S",
        "Q",
        "protocol",
        "top-1 error (%)",
        "top-5 error (%)",
        "the paper's top-1",
        "top-5",
    ]
    cells = []
    for networks, protocols, told, found in lines:
        cells.append(
            [
                " and ".join(
                    f"{find_architecture(network.arch).column} ({network.name})"
                    for network in networks
                ),
                _join_distinct(
                    "-".join(map(str, dict.fromkeys(network.scale))) for network in networks
                ),
                _join_distinct(", ".join(map(str, protocol.scales)) for protocol in protocols),
                protocols[0].name,
                *(_format_error(found, name) for name in ("top1", "top5")),
                *(map(str, told) if told else ("-", "-")),
            ]
        )
    return make_markdown_table(header, cells)


def _format_error(found, name):
    """In %, with its interval."""
    low, high = found[f"{name}_interval"]
    return f"{found[f'{name}_error']:.2f} ({low:.2f} to {high:.2f})"


def _join_distinct(words):
    """Of each network; once where all are the same."""
    return "; ".join(dict.fromkeys(words))
