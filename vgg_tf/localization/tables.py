"""Tables 8 to 10 of the paper, its localization errors next to ours."""

from vgg_tf.paper.results import TABLE8, TABLE9, TABLE9_FUSION, TABLE10


def format_table8(rows):
    """Table 8 in Markdown: rows of `(name, layer or block that learning begins at or "", kind,
    S, error with its interval)`.
    """
    lines = [
        "| network | layers that learn | regression | S | error, class known (95 %) | the "
        "paper's, S=384 |"
    ]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for name, begin, kind, S, error in rows:
        layers, theirs = (
            {"": "all", "fc1": "fully connected"}.get(begin, f"from {begin}"),
            TABLE8.get((begin, kind)),
        )
        lines.append(
            f"| {name} | {layers} | {kind.upper()} | {_scale(S)} | {_error(*error)} | "
            f"{_number(theirs)} |"
        )
    return "\n".join(lines)


def format_table9(rows, known):
    """Table 9 in Markdown: rows of `(name, S, Q, error with its interval)`; the last of several is
    the fusion.

    Args:
        rows: the results.
        known: the errors are of known classes, where the paper's are top-5.
    """
    what = "class known" if known else "top-5"
    lines = [
        f"| network | S | Q | localisation error, {what} (95 %) | the paper's, validation, top-5 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, S, Q, error in rows:
        fixed = S[0] if S and S[0] == S[1] else None
        theirs = None if known else TABLE9_FUSION if S is None else TABLE9.get((fixed, tuple(Q)))
        S = "" if S is None else _scale(S)
        lines.append(
            f"| {name} | {S} | {', '.join(map(str, Q))} | {_error(*error)} | {_number(theirs)} |"
        )
    return "\n".join(lines)


def format_table10(error):
    """Table 10 in Markdown, with our top-5 error in a row of its own."""
    lines = ["| method | top-5 localisation error, validation | test |", "| --- | --- | --- |"]
    lines += [
        f"| {name} | {_number(validation)} | {_number(test)} |"
        for name, (validation, test) in TABLE10.items()
    ]
    return "\n".join([*lines, f"| this, on these pictures | {_error(*error)} | |"])


def _scale(S):
    return str(S[0]) if S[0] == S[1] else f"{S[0]}-{S[1]}"


def _error(error, interval):
    return f"{error:.1f} % ({interval[0]:.1f} to {interval[1]:.1f})"


def _number(value):
    return "" if value is None else f"{value:.1f} %"
