"""Rows of tables in text files, whatever their delimiter and encoding."""

import csv
import io

from vgg_tf.runtime import files

MAX_SIZE = 1 << 26  # bytes; a larger file is not a table of labels


def read(path):
    """Read a table.

    Args:
        path: path of a text file.

    Returns:
        rows: lists of str of the same length; empty if the file is not a table.
        ragged: the number of the first line with more cells than the first row, and its cells; or
            None.
    """
    if files.read_size(path) > MAX_SIZE:
        return [], None
    data = files.read(path)
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")  # from Excel on Windows
    first = text.lstrip().partition("\n")[0]
    delimiter = max("\t;,|", key=first.count)
    rows, ragged = [], None
    try:
        if delimiter in first:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            found = ((reader.line_num, row) for row in reader)
        else:
            found = enumerate(map(str.split, text.splitlines()), 1)
        for line, row in found:
            if any(row):
                rows.append([cell.strip() for cell in row])
                if ragged is None and any(rows[-1][len(rows[0]) :]):
                    ragged = line, rows[-1]
    except csv.Error:
        return [], None
    width = len(rows[0]) if rows else 0
    return ([(row + [""] * width)[:width] for row in rows] if width > 1 else []), ragged


def refuse_ragged(path, ragged, width):
    """Raise the error about a line with more cells than the first row, from `read`."""
    line, row = ragged
    raise ValueError(
        f"{path} must have {width} cells in each line. Received: {len(row)} in line {line}: "
        f"{', '.join(row)[:120]}. Put quotes around cells with a delimiter in them."
    )
