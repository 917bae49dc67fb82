"""Functions, argument lists and modules have limited lengths."""

import ast
import re
from pathlib import Path

import vgg_tf
from tests.making import ROOT

HERE = Path(ROOT)
FOLDERS = ("vgg_tf", "tfrecords_tools", "benchmarks", "tests")
FILES = [path for folder in FOLDERS for path in sorted((HERE / folder).rglob("*.py"))]
TABLES = {"vgg_tf/paper/results.py"}  # matrices of numbers, whose rows the formatter would break


def functions(path):
    """Yield `(name, node)` of all functions of a file, including methods and inner functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(HERE)}: {node.name}", node


def length(node):
    """Count the lines of a function without its docstring."""
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    return lines


def arguments(node):
    """Count the arguments of a function without `self`: those by position, and all of them."""
    positional = [*node.args.posonlyargs, *node.args.args]
    if positional and positional[0].arg in ("self", "cls"):
        positional = positional[1:]
    return len(positional), len(positional) + len(node.args.kwonlyargs)


def test_no_function_has_more_than_60_lines():
    long = {name: length(node) for path in FILES for name, node in functions(path)}
    assert len(long) > 1500
    assert {name: n for name, n in long.items() if n > 60} == {}


def test_only_public_functions_have_over_8_arguments_most_of_them_by_keyword():
    many = {name: arguments(node) for path in FILES for name, node in functions(path)}
    many = {name: counts for name, counts in many.items() if counts[1] > 8}
    public = set(vgg_tf.__all__)
    assert {name for name in many if name.split(": ")[1] not in public} == set()
    assert {name: by_position for name, (by_position, _) in many.items() if by_position > 4} == {}


def test_a_module_has_at_most_300_lines_of_at_most_100_columns():
    texts = {str(path.relative_to(HERE)): path.read_text() for path in FILES}
    counts = {path: text.count("\n") for path, text in texts.items()}
    assert {path: n for path, n in counts.items() if n > 300} == {}
    wide = {
        path: [line for line in text.splitlines() if len(line) > 100]
        for path, text in texts.items()
    }
    assert {path: lines for path, lines in wide.items() if lines} == {}
    skip = re.compile(r"#\s*fmt:\s*(skip|off)$", re.MULTILINE)
    assert {path for path, text in texts.items() if skip.search(text)} <= TABLES
