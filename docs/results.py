"""Fill the tables of the pages from the files below results/: `python docs/results.py`.

A page has a marker where a table belongs, and `<!-- end -->` after it. `FILES` are separated by
spaces and may have wildcards:

    <!-- table results/tables/depth.json -->
    <!-- runs results/cifar10-vgg16/result.json results/cifar10-vgg16/evaluate-*.json -->
    <!-- short results/cifar10-vgg16/result.json -->
    <!-- reports results/tpu-reports/*.json -->

The last one takes the files of `python -m vgg_tf.preflight --report`. Until there is one, its table
has one empty row.
"""

import json
import re
import sys
import textwrap
from pathlib import Path

from vgg_tf.figures.markdown import make_markdown_table

ROOT = Path(__file__).resolve().parent.parent
MARKER = re.compile(r"<!-- (table|runs|short|reports) (.+?) -->\n(.*?)<!-- end -->", re.DOTALL)
START = re.compile(r"<!-- (?:table|runs|short|reports)\b")
WIDTH = 120
NUMBER = (int, float)
OPTIONAL_TEXT = (str, type(None))
OPTIONAL_NUMBER = (*NUMBER, type(None))
TABLE = {
    "command": OPTIONAL_TEXT,
    "machine": OPTIONAL_TEXT,
    "date": OPTIONAL_TEXT,
    "n": (int, str, type(None)),
    "note": OPTIONAL_TEXT,
    "columns": (list,),
    "rows": (list,),
}
RUN = {
    "program": (str,),
    "command": (str,),
    "version": OPTIONAL_TEXT,
    "commit": OPTIONAL_TEXT,
    "date": (str,),
    "machine": (str,),
    "strategy": OPTIONAL_TEXT,
    "precision": OPTIONAL_TEXT,
    "arch": (str,),
    "parameters": (int, type(None)),
    "data": (str,),
    "split": (str,),
    "protocol": (str,),
    "scales": (list, type(None)),
    "n": (int,),
    "top1": (dict,),
    "top5": (dict, type(None)),
    "loss": OPTIONAL_NUMBER,
    "seconds": NUMBER,
    "images_per_second": OPTIONAL_NUMBER,
    "seed": (int, type(None)),
    "note": OPTIONAL_TEXT,
}
ERROR = {"error": NUMBER, "low": OPTIONAL_NUMBER, "high": OPTIONAL_NUMBER}
REPORT = {
    "program": (str,),
    "command": (str,),
    "version": OPTIONAL_TEXT,
    "commit": OPTIONAL_TEXT,
    "date": (str,),
    "machine": (str,),
    "size": (str,),
    "seconds": NUMBER,
    "checks": (dict,),
}
# Heading of each column of a report, its check, and its text. A check that failed has no text.
REPORT_CELLS = {
    "images/s, VGG-16 at 224": ("step", lambda step: f"{step['images_per_second']:,.0f}"),
    "share of the peak, %": (
        "step",
        lambda step: f"{100 * step['share_of_peak']:.1f}" if step["share_of_peak"] else "",
    ),
    "waiting for the input, %": ("input", lambda input: f"{100 * input['waiting']:.1f}"),
    "GiB per device": (
        "memory",
        lambda memory: f"{memory['device_bytes'] / 2**30:.2f}" if memory["device_bytes"] else "",
    ),
    "loss, difference from the CPU": ("parity", lambda parity: f"{parity['loss_float32']:.1e}"),
    "versions": ("versions", lambda found: f"jax {found['jax']}, libtpu {found['libtpu']}"),
}
RUN_HEADER = ["command", "top-1 error, %", "top-5 error, %", "n", "seconds", "images/s"]
RUN_HEADER += ["machine", "date", "note"]


def find_pages(root=ROOT):
    """List the pages that may have markers: those below docs/, and README.md.

    Args:
        root: Folder of the repository.

    Returns:
        Sorted list of paths.
    """
    return sorted([*Path(root, "docs").rglob("*.md"), *Path(root).glob("README.md")])


def fill_page(path, root=ROOT):
    """Return the text of a page with its tables made again.

    Args:
        path: Path of the page.
        root: Folder to which the paths in the markers are relative.

    Returns:
        str, the whole page.

    Raises:
        ValueError: A marker has no end, or a file is missing or malformed. The message names the
            page and the file.
    """
    text = Path(path).read_text()
    markers = list(MARKER.finditer(text))
    if len(markers) != len(START.findall(text)):
        raise ValueError(
            f"{path}: each marker must have files and an end. Received: {len(START.findall(text))} "
            f"markers, {len(markers)} with an end. Add <!-- end --> in a line after the table."
        )

    def fill(match):
        try:
            made = _MAKERS[match[1]](find_files(match[2], root, match[1] == "reports"), root)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        return f"<!-- {match[1]} {match[2]} -->\n\n{made}\n\n<!-- end -->"

    return MARKER.sub(fill, text)


def find_files(patterns, root=ROOT, may_lack=False):
    """List the files of a marker, in its order.

    Args:
        patterns: str, paths relative to `root`, with wildcards, separated by spaces.
        root: Folder of the repository.
        may_lack: Whether a pattern may have no file.

    Returns:
        List of paths.

    Raises:
        ValueError: A pattern has no file.
    """
    files = []
    for pattern in patterns.split():
        found = sorted(Path(root).glob(pattern))
        if not found and not may_lack:
            raise ValueError(
                f"each path of a marker must be a file. Received: {pattern}, which is missing. "
                "Correct the path or add the file."
            )
        files += found
    return files


def read_table(path, root=ROOT):
    """Read the file of a benchmark's table.

    Args:
        path: Path of a JSON file.
        root: Folder of the repository, for the message.

    Returns:
        dict with the keys of `TABLE`. Numbers with a point are texts, digit by digit as in the
        file.

    Raises:
        ValueError: The file is not such a table.
    """
    name = Path(path).relative_to(root)
    table = _read(path, name, TABLE, parse_float=str)
    for row in table["rows"]:
        right = isinstance(row, list) and all(_is_a(c, (str, int, type(None))) for c in row)
        if not right or len(row) != len(table["columns"]):
            raise ValueError(
                f"{name}: a row must have {len(table['columns'])} cells, each a text, a number or "
                f"null. Received: {row}. Correct the row."
            )
    if table["command"] is None and not table["note"]:
        raise ValueError(
            f"{name}: a table must have a command, or a note that says where it is from. Received: "
            "neither. Add the command."
        )
    return table


def read_run(path, root=ROOT):
    """Read the file of a training or a test.

    Args:
        path: Path of a JSON file.
        root: Folder of the repository, for the message.

    Returns:
        dict with the keys of `RUN`.

    Raises:
        ValueError: The file does not have these keys, or values of other types.
    """
    name = Path(path).relative_to(root)
    run = _read(path, name, RUN)
    for key in ("top1", "top5"):
        if run[key] is not None:
            _check(run[key], f"{name}: {key}", ERROR)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", run["date"]):
        raise ValueError(
            f"{name}: date must have the form YYYY-MM-DD. Received: {run['date']}. Correct it."
        )
    return run


def _read(path, name, types, **options):
    """Return the object of a JSON file, checked."""
    try:
        found = json.loads(Path(path).read_text(), **options)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: must be JSON. Received: {error}. Correct the file.") from error
    _check(found, name, types)
    return found


def _check(found, name, types):
    """Raise an error if an object has other keys, or values of other types."""
    if not isinstance(found, dict) or set(found) != set(types):
        keys = sorted(found) if isinstance(found, dict) else type(found).__name__
        raise ValueError(
            f"{name}: keys must be {', '.join(types)}. Received: {keys}. Correct the keys."
        )
    for key, value in found.items():
        if not _is_a(value, types[key]):
            expected = " or ".join(kind.__name__ for kind in types[key])
            raise ValueError(
                f"{name}: {key} must be {expected}. Received: {value!r}. Correct the value."
            )


def _is_a(value, kinds):
    """Return whether a value has one of the types; a bool is not a number."""
    return isinstance(value, kinds) and not isinstance(value, bool)


def make_tables(paths, root=ROOT):
    """Return the text of benchmarks' tables: a line of conditions, the table and the note.

    Args:
        paths: Sequence of paths of JSON files.
        root: Folder of the repository.

    Returns:
        str in Markdown.
    """
    parts = []
    for path in paths:
        table = read_table(path, root)
        parts += [_describe(table)] if _describe(table) else []
        rows = [[_format(cell) for cell in row] for row in table["rows"]]
        parts.append(make_markdown_table(table["columns"], rows))
        if table["note"]:
            parts.append(textwrap.fill(table["note"], WIDTH, break_on_hyphens=False))
    return "\n\n".join(parts)


def _describe(table):
    """Return the line of the command, machine, date and n of a table, if it has any."""
    parts = [f"Command: `{table['command']}`"] if table["command"] else []
    parts += [f"{key}: {table[key]}" for key in ("machine", "date") if table[key]]
    if table["n"] is not None:
        parts.append(f"n={table['n']:,}" if isinstance(table["n"], int) else table["n"])
    line = "; ".join(parts)
    return f"{line[:1].upper()}{line[1:]}." if parts else ""


def make_runs(paths, root=ROOT):
    """Return one table of trainings and tests, a row a file.

    Args:
        paths: Sequence of paths of JSON files.
        root: Folder of the repository.

    Returns:
        str in Markdown.
    """
    rows = []
    for path in paths:
        run = read_run(path, root)
        speed = run["images_per_second"]
        rows.append(
            [
                f"`{run['command']}`",
                _format_error(run["top1"]),
                _format_error(run["top5"]),
                _format(run["n"]),
                f"{run['seconds']:,.0f}",
                "" if speed is None else f"{speed:,.0f}",
                ", ".join(filter(None, (run["machine"], run["precision"]))),
                run["date"],
                run["note"] or "",
            ]
        )
    return make_markdown_table(RUN_HEADER, rows)


def make_short(paths, root=ROOT):
    """Return one table of trainings and tests with few columns, a row a file.

    Args:
        paths: Sequence of paths of JSON files.
        root: Folder of the repository.

    Returns:
        str in Markdown.
    """
    rows = []
    for path in paths:
        run = read_run(path, root)
        where = f"{run['machine']}, {run['seconds']:,.0f} s, {run['date']}"
        rows.append([f"`{run['command']}`", _format_error(run["top1"]), _format(run["n"]), where])
    return make_markdown_table(["command", "top-1 error, % (95 %)", "n", "machine"], rows)


def make_reports(paths, root=ROOT):
    """Return one table of reports of machines, a row a file; without files, one empty row.

    Args:
        paths: Sequence of paths of JSON files.
        root: Folder of the repository.

    Returns:
        str in Markdown.
    """
    header = ["machine", "date", "checks passed", *REPORT_CELLS]
    rows = [] if paths else [["no TPU has been measured yet", *[""] * (len(header) - 1)]]
    for path in paths:
        report = _read(path, Path(path).relative_to(root), REPORT)
        checks = report["checks"]
        passed = sum(check["passed"] for check in checks.values())
        cells = [
            make(checks[name]) if checks.get(name, {}).get("passed") else "failed"
            for name, make in REPORT_CELLS.values()
        ]
        trial = " (tiny)" if report["size"] == "tiny" else ""
        row = [report["machine"] + trial, report["date"], f"{passed} of {len(checks)}"]
        rows.append([*row, *cells])
    return make_markdown_table(header, rows)


def _format(cell):
    """Return the text of a cell."""
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell


def _format_error(error):
    """Return an error in %, with its interval where it has one."""
    if error is None:
        return ""
    bounds = [error["low"], error["high"]]
    interval = "" if None in bounds else " ({:.2f} to {:.2f})".format(*(100 * b for b in bounds))
    return f"{100 * error['error']:.2f}{interval}"


_MAKERS = {
    "table": make_tables,
    "runs": make_runs,
    "short": make_short,
    "reports": make_reports,
}


def main():
    """Write each page whose tables differ from the files."""
    for path in find_pages():
        text = fill_page(path)
        if text != path.read_text():
            path.write_text(text)
            print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"error: {error}")
