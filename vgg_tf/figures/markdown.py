"""Tables in Markdown."""

from tabulate import tabulate

# Characters that end a cell or begin an HTML tag.
_ESCAPES = str.maketrans({"\\": r"\\", "|": r"\|", "<": r"\<", "\n": " ", "\r": " "})


def make_markdown_table(header, rows):
    r"""Return a table in Markdown, with aligned columns.

    Args:
        header: Sequence of the columns' names.
        rows: Iterable of sequences of cells. `str` converts each cell to text. Backslashes are
            added before `|`, `<` and `\`, and spaces replace ends of lines.

    Returns:
        str, without a newline at the end.

    Examples:
        >>> print(make_markdown_table(["class", "n"], [["cat | dog", 3]]))
        | class      | n   |
        |------------|-----|
        | cat \| dog | 3   |
    """
    header, *rows = [[str(cell).translate(_ESCAPES) for cell in row] for row in (header, *rows)]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)
