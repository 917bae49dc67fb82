"""Tables in Markdown and in CSV."""

import csv
import io

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


def format_csv(rows):
    r"""Return rows as CSV.

    A text that begins like a formula gets an apostrophe, so that a spreadsheet shows it and does
    not compute it.

    Args:
        rows: Iterable of rows, lists of text and numbers.

    Returns:
        str.

    Examples:
        >>> format_csv([["class", "n"], ["=1+1", -2]])
        "class,n\n'=1+1,-2\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([f"'{cell}" if _is_formula(cell) else cell for cell in row])
    return text.getvalue()


def _is_formula(cell):
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False
