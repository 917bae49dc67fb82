"""The public names have types, examples that run, and the same homes for Python and mypy."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

import vgg_tf

FOLDER = Path(vgg_tf.__file__).parent


def test_type_checkers_see_the_names_that_python_loads():
    stub = ast.parse((FOLDER / "__init__.pyi").read_text())
    homes = {
        alias.asname: node.module.removeprefix("vgg_tf.")
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes == vgg_tf._HOMES
    assert (FOLDER / "py.typed").exists()


def test_all_arguments_and_results_of_public_functions_have_types():
    untyped = {}
    for name, home in vgg_tf._HOMES.items():
        tree = ast.parse((FOLDER / f"{home.replace('.', '/')}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                arguments = [*node.args.args, *node.args.kwonlyargs, node.args.kwarg]
                bare = [a.arg for a in arguments if a is not None and a.annotation is None]
                untyped[name] = bare + ["return"] * (node.returns is None)
    assert len(untyped) == 20
    assert {name: bare for name, bare in untyped.items() if bare} == {}


@pytest.mark.parametrize("name", sorted(vgg_tf.__all__))
def test_the_example_of_a_public_name_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = getattr(vgg_tf, name)
    module = importlib.import_module(f"vgg_tf.{vgg_tf._HOMES[name]}")
    # The examples of these are in docs/guides/python.md: they take seconds and write files.
    if callable(value) and not module.__name__.startswith("vgg_tf.functions"):
        examples = doctest.DocTestFinder(recurse=False).find(value, name, module, vars(module))
        assert any(example.examples for example in examples), "no example"
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        for example in examples:
            assert runner.run(example).failed == 0
    assert list(tmp_path.iterdir()) == []
