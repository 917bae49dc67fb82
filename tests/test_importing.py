"""Importing modules is fast and does not change the process."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from vgg_tf.__main__ import PROGRAMS

ROOT = Path(__file__).parent.parent
MODULES = sorted([*(ROOT / "vgg_tf").rglob("*.py"), *(ROOT / "tfrecords_tools").rglob("*.py")])
READING = {"environ", "getenv", "putenv", "open", "read_text", "read_bytes"}


def run_at_import(node):
    """Yield the nodes of a tree that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            defaults = filter(None, [*child.args.defaults, *child.args.kw_defaults])
            for outside in (*getattr(child, "decorator_list", ()), *defaults):
                yield outside
                yield from run_at_import(outside)
        else:
            yield child
            yield from run_at_import(child)


def name_of(node):
    """Return the last part of a name, such as `environ` of `os.environ`."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f(environment=os.environ): pass", {"environ"}),
        ("class A:\n    x = os.getenv('A')", {"getenv"}),
        ("f = lambda: os.environ", set()),
        ("def f():\n    return open('x')", set()),
        ("x = Path('x').read_text()", {"read_text"}),
    ],
)
def test_the_check_covers_defaults_and_class_bodies_but_no_function_bodies(code, names):
    assert {name_of(node) for node in run_at_import(ast.parse(code))} & READING == names


def test_no_module_reads_files_or_the_environment_when_it_is_imported():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        for node in run_at_import(ast.parse(path.read_text()))
        if name_of(node) in READING
    ]
    assert found == []


def test_no_module_runs_code_from_a_string():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Constant) and node.value == "-c")
        or (isinstance(node, ast.Call) and name_of(node.func) in ("exec", "eval"))
    ]
    assert found == []


# Prints which of our modules open files of /proc, and which environment variables change. Other
# libraries change some, so they are imported first.
WATCH = """
import contextlib, importlib, json, os, sys
for name in ("tensorflow", "keras", "jax", "matplotlib.figure", "sklearn", "scipy.stats", "tyro"):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
opened, before = [], dict(os.environ)
def hear(event, arguments):
    if event == "open" and str(arguments[0]).startswith("/proc"):
        frame = sys._getframe(1)
        while frame and frame.f_globals.get("__name__", "").split(".")[0] in ("pathlib", "io"):
            frame = frame.f_back
        name = frame.f_globals.get("__name__", "") if frame else ""
        if name.split(".")[0] in ("vgg_tf", "tfrecords_tools"):
            opened.append([name, str(arguments[0])])
sys.addaudithook(hear)
for name in sys.argv[1:]:
    importlib.import_module(name)
now = dict(os.environ)
print(json.dumps([opened, sorted(k for k in {*before, *now} if before.get(k) != now.get(k))]))
"""


@pytest.mark.slow
def test_importing_all_modules_opens_no_proc_file_and_keeps_the_environment():
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    result = subprocess.run(
        [sys.executable, "-c", WATCH, *names], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == [[], []]


# Programs and public names


def test_importing_the_package_takes_under_200_ms_and_imports_no_framework():
    code = """
import sys, time
start = time.perf_counter()
import vgg_tf
seconds = time.perf_counter() - start
print(seconds, *(name for name in ("tensorflow", "keras", "numpy") if name in sys.modules))
"""
    results = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
        for _ in range(3)
    ]
    assert min(float(seconds) for seconds, *_ in results) < 0.2
    assert all(len(result) == 1 for result in results), results


# Runs all programs in one process. It prints a line for each: [program, CPU seconds, exit code,
# output, imported frameworks].
HELP = """
import contextlib, io, json, os, runpy, sys, time
for program in sys.argv[1:]:
    sys.argv, out, code = [program, "--help"], io.StringIO(), None
    start = time.process_time()
    with contextlib.redirect_stdout(out):
        try:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code
    seconds = time.process_time() - start
    heavy = [name for name in ("tensorflow", "keras") if name in sys.modules]
    print(json.dumps([program, seconds, code, out.getvalue(), heavy]))
"""


def test_help_of_every_program_takes_under_a_second_and_needs_no_tensorflow():
    seconds = {}
    for _ in range(
        3
    ):  # CPU seconds, which depend little on other processes; at most three attempts
        result = subprocess.run(
            [sys.executable, "-c", HELP, *PROGRAMS], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert [program for program, *_ in rows] == [*PROGRAMS]
        for program, _, code, out, heavy in rows:
            assert code == 0
            assert out.startswith(f"usage: python -m {program}")
            assert heavy == [], program
        shared = rows[0][1]  # modules that all programs import, such as tyro
        for i, (program, more, *_) in enumerate(rows):
            seconds[program] = min(seconds.get(program, 9), more + shared * (i > 0))
        if max(seconds.values()) < 0.8:
            break
    assert max(seconds.values()) < 0.8, seconds


def test_the_public_names_exist():
    import vgg_tf

    assert vgg_tf.__all__ == dir(vgg_tf)
    for name in vgg_tf.__all__:
        assert getattr(vgg_tf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'build_resnet'"):
        _ = vgg_tf.build_resnet
