"""Tables 8 to 10 of the paper, its localization errors next to ours."""

from vgg_tf.figures.markdown import make_markdown_table
from vgg_tf.paper.results import TABLE8, TABLE9, TABLE9_FUSION, TABLE10


def format_table8(rows):
    """Return Table 8 in Markdown.

    Args:
        rows: list of `(name, first trained layer or block, kind, S, error with its interval)`. An
            empty layer means that all layers are trained.

    Returns:
        The text of the table.
    """
    header = ["network", "trained layers", "regression", "S", "error, class known (95 %)"]
    cells = []
    for name, begin, kind, S, error in rows:
        layers = {"": "all", "fc1": "fully connected"}.get(begin, f"from {begin}")
        theirs = _format_number(TABLE8.get((begin, kind)))
        cells.append([name, layers, kind.upper(), _format_scale(S), _format_error(*error), theirs])
    return make_markdown_table([*header, "the paper's, S=384"], cells)


def format_table9(rows, known):
    """Return Table 9 in Markdown.

    Args:
        rows: list of `(name, S, Q, error with its interval)`. With several networks, the last row
            is their fusion, with S of None.
        known: whether the classes are given. The paper's errors are top-5 errors.

    Returns:
        The text of the table.
    """
    what = "class known" if known else "top-5"
    header = ["network", "S", "Q", f"localization error, {what} (95 %)"]
    cells = []
    for name, S, Q, error in rows:
        fixed = S[0] if S and S[0] == S[1] else None
        theirs = None if known else TABLE9_FUSION if S is None else TABLE9.get((fixed, tuple(Q)))
        S, Q = "" if S is None else _format_scale(S), ", ".join(map(str, Q))
        cells.append([name, S, Q, _format_error(*error), _format_number(theirs)])
    return make_markdown_table([*header, "the paper's, validation, top-5"], cells)


def format_table10(error):
    """Return Table 10 in Markdown, with our top-5 error in the last row."""
    cells = [[name, *map(_format_number, errors)] for name, errors in TABLE10.items()]
    cells.append(["ours, on these pictures", _format_error(*error), ""])
    return make_markdown_table(["method", "top-5 localization error, validation", "test"], cells)


def _format_scale(S):
    return str(S[0]) if S[0] == S[1] else f"{S[0]}-{S[1]}"


def _format_error(error, interval):
    return f"{error:.1f} % ({interval[0]:.1f} to {interval[1]:.1f})"


def _format_number(value):
    return "" if value is None else f"{value:.1f} %"
