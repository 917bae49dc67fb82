"""Tables in Markdown."""

from tabulate import tabulate

# What would end a cell or begin an HTML tag.
_ESCAPES = str.maketrans({"\\": r"\\", "|": r"\|", "<": r"\<", "\n": " ", "\r": " "})


def make_markdown_table(header, rows):
    r"""Return a table in Markdown, with aligned columns.

    Args:
        header: sequence of the columns' names.
        rows: iterable of sequences of cells; each becomes text by `str`, unchanged but for
            backslashes before `|`, `<` and `\`, and spaces for ends of lines.

    Returns:
        str, without a newline at the end.

    Example:
        >>> print(make_markdown_table(["class", "n"], [["cat | dog", 3]]))
        | class      | n   |
        |------------|-----|
        | cat \| dog | 3   |
    """
    header, *rows = [[str(cell).translate(_ESCAPES) for cell in row] for row in (header, *rows)]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)
