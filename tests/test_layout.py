"""Packages, programs, the files in git and in the wheel, and names in texts."""

import ast
import re
import subprocess
import sys
from importlib import import_module, util
from pathlib import Path

import pytest
from setuptools import find_packages

from vgg_tf.__main__ import PROGRAMS

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent for path in (ROOT / "vgg_tf").glob("*/__init__.py"))
MODULES = sorted([*(ROOT / "vgg_tf").rglob("*.py"), *(ROOT / "tfrecords_tools").rglob("*.py")])
TEXTS = [
    *MODULES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "benchmarks").glob("*.py")),
]
TEXTS += [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]


def dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_packages_are_few_and_small_and_only_programs_are_at_the_top():
    assert len(PACKAGES) <= 18
    for package in PACKAGES:
        modules = [path.stem for path in package.glob("*.py") if path.stem != "__init__"]
        assert 0 < len(modules) <= 18, package.name
        tree = ast.parse((package / "__init__.py").read_text())
        assert len(tree.body) == 1, f"{package.name}/__init__.py is a docstring"
        assert len(ast.get_docstring(tree).splitlines()) == 1
    tops = {
        dotted(path)
        for folder in ("vgg_tf", "tfrecords_tools")
        for path in (ROOT / folder).glob("*.py")
    }
    assert tops == {*PROGRAMS, "vgg_tf.__init__", "vgg_tf.__main__", "tfrecords_tools.__init__"}


def test_no_module_is_called_utils_or_has_over_350_lines():
    for path in MODULES:
        assert not re.search("util|common|helper|misc", path.stem), path
        assert len(path.read_text().splitlines()) <= 350, path


def test_git_ignores_no_file_of_the_tree_and_setuptools_finds_all_packages():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if files.returncode:
        pytest.skip("not a git checkout")
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT,
        input=files.stdout,
        capture_output=True,
        text=True,
    )
    assert ignored.stdout == ""
    missing = {str(path.relative_to(ROOT)) for path in TEXTS} - set(files.stdout.split("\n"))
    assert not missing, "not in git"
    assert set(find_packages(ROOT, include=["vgg_tf*", "tfrecords_tools*"])) == {
        "vgg_tf",
        "tfrecords_tools",
        *(f"vgg_tf.{package.name}" for package in PACKAGES),
    }


def tree_of(page):
    """Return the paths in the tree of a page, from the indentation of its lines."""
    block = re.search(r"```\n(vgg_tf/\n.*?)```", page, re.S)[1]
    folders, paths = [], []
    for line in block.splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders[depth:] = [name.rstrip("/")]
        paths.append("/".join(folders))
        assert len(line.split()) > 1 or name == "vgg_tf/", f"{line}: a clause says what it is for"
    return paths


def test_the_page_of_the_architecture_lists_every_module():
    listed = tree_of((ROOT / "docs" / "architecture.md").read_text())
    assert len(listed) == len(set(listed))
    modules = [
        str(path.relative_to(ROOT)) for path in (*MODULES, *(ROOT / "benchmarks").glob("*.py"))
    ]
    kept = [
        name for name in modules if not name.endswith("__init__.py") or name == "vgg_tf/__init__.py"
    ]
    assert sorted(path for path in listed if path.endswith(".py")) == sorted(kept)
    assert {f"vgg_tf/{package.name}" for package in PACKAGES} <= set(listed)


def test_the_diagram_draws_the_imports_between_packages():
    """Each arrow is an import, and each import has a path along the arrows."""
    block = re.search(
        r"```mermaid\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(), re.S
    )[1]
    drawn = {}
    for left, right in re.findall(r"^ +(.+?) --> (.+)$", block, re.M):
        for start in left.split(" & "):
            drawn.setdefault(start.split("[")[0], set()).update(right.split(" & "))
    imports = {"programs": set()}
    for path in MODULES:
        package = path.parent.name if path.parent in PACKAGES else "programs"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vgg_tf."):
                imports.setdefault(package, set()).add(node.module.split(".")[1])
    imports = {start: ends - {start} for start, ends in imports.items()}
    assert {
        start: ends - imports[start] for start, ends in drawn.items() if ends - imports[start]
    } == {}

    def reached(start):
        return set().union(*({end} | reached(end) for end in drawn.get(start, ())))

    assert {
        start: ends - reached(start) for start, ends in imports.items() if ends - reached(start)
    } == {}


NAME = re.compile(
    r"(?<![\w/.-])((?:vgg_tf|tfrecords_tools)(?:\.[A-Za-z_]\w*)+)(?!\w|/|\.(?:json|toml|keras|png))"
)


def resolves(name):
    """Return whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            if util.find_spec(".".join(parts[:n])) is None:
                continue
        except ModuleNotFoundError:
            continue
        found = import_module(".".join(parts[:n])) if n < len(parts) else None
        for part in parts[n:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


# The metadata file in a LiteRT model, and a name of a test that expects an error.
ELSEWHERE = {"vgg_tf.json", "vgg_tf.build_resnet"}


def test_every_dotted_name_of_ours_exists():
    """Check names in strings, comments, commands, notebooks and pages, which no linter sees."""
    names = {(path.name, name) for path in TEXTS for name in NAME.findall(path.read_text())}
    known = {name for _, name in names if name in ELSEWHERE or resolves(name.removesuffix(".py"))}
    assert {(where, name) for where, name in names if name not in known} == set()


def test_every_command_names_a_program():
    commands = {
        (path.name, name.rstrip("."))
        for path in TEXTS
        for name in re.findall(r"python3? -m ((?:vgg_tf|tfrecords_tools)[\w.]*)", path.read_text())
    }
    assert {(where, name) for where, name in commands if name not in {*PROGRAMS, "vgg_tf"}} == set()


def test_names_of_our_modules_in_docstrings_exist():
    """Check each `module.name` in backticks, if a module or package of ours has that name."""
    names = {}
    for path in MODULES:
        tree = ast.parse(path.read_text())
        defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        defined |= {
            n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        names.setdefault(path.stem, set()).update(defined)
        if path.parent in PACKAGES:
            names.setdefault(path.parent.name, set()).add(path.stem)
    wrong = []
    for path in MODULES:
        for module, name in re.findall(r"`(\w+)\.([A-Za-z_]\w*)[`(]", path.read_text()):
            if module in names and name not in names[module] and (module, name) not in OTHERS:
                wrong.append(f"{path.relative_to(ROOT)}: {module}.{name}")
    assert wrong == []


OTHERS = {
    ("onnx", "helper"),
    ("train", "Example"),
    ("predictions", "csv"),
}  # other libraries' modules, and a file


def test_python_m_vgg_tf_lists_the_programs():
    result = subprocess.run(
        [sys.executable, "-m", "vgg_tf"], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    for name in PROGRAMS:
        assert len(re.findall(rf"^python -m {name} .*\w{{3}}", result.stdout, re.M)) == 1
    assert max(map(len, result.stdout.splitlines())) <= 110


def test_the_readmes_python_runs(tmp_path, monkeypatch, uncompiled):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    exec(code, {})


def test_no_file_contains_a_path_of_a_machine():
    for path in TEXTS:
        if path != Path(__file__):
            assert not re.search(r"(?<!\w)/(home|root|work|tmp)/", path.read_text()), path
