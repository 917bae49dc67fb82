"""Tables 3 to 6 of the paper: what each one tests, and the paper's numbers next to ours."""

from vgg_tf.figures.markdown import make_markdown_table
from vgg_tf.paper.architectures import find_architecture
from vgg_tf.paper.protocols import Protocol, choose_scales
from vgg_tf.paper.results import PAPER, TECHNIQUES


def plan_rows(preset, networks):
    """Return the rows of a table and what each of them tests.

    Args:
        preset: a name of `PRESETS`.
        networks: sequence of `checkpoint.Checkpoint`.

    Returns:
        A list of `(networks, [their Protocol], told)`. `told` is the paper's top-1 and top-5 error
        in %, or None. Rows of Tables 3 to 5 are of one network, rows of Table 6 of all networks.

    Raises:
        ValueError: Table 6 needs several networks.
    """
    number = int(preset[-1])
    several = number != 3
    protocols = {
        name: [
            Protocol(
                name,
                choose_scales(_get_scale(network), network.crop, several),
                network.crop,
                network.flip,
            )
            for network in networks
        ]
        for name in (TECHNIQUES if number > 4 else ("dense",))
    }
    if number == 6:
        if len(networks) < 2:
            raise ValueError(
                "--preset paper-table6 averages several networks, at least 2. Received: "
                f"{len(networks)}. Give two runs or more."
            )
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
    """Return the column of Table 1 and S, which identify a network in the paper's tables.

    Args:
        network: a `checkpoint.Checkpoint`.

    Returns:
        A tuple, or None for networks that are not in the paper.
    """
    row = find_architecture(network.arch)
    return None if row.batch_norm or network.crop != 224 else (row.column, tuple(network.scale))


def format_table(lines):
    """Return a table in Markdown.

    Args:
        lines: list of `(networks, protocols, told, found)`: the first three as from `plan_rows`,
            and the metrics from `metrics.compute_metrics`.

    Returns:
        The text of the table.
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
    """Return an error in % with its interval."""
    low, high = found[f"{name}_interval"]
    return f"{found[f'{name}_error']:.2f} ({low:.2f} to {high:.2f})"


def _join_distinct(words):
    """Join the words of several networks; equal words appear once."""
    return "; ".join(dict.fromkeys(words))
