"""Every benchmark has a test and a --help text."""

import re
from pathlib import Path

import pytest

from tests.benchmarks.making_calls import BENCHMARKS, load

TESTS = [
    name
    for path in Path(__file__).parent.glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
]


def test_every_benchmark_has_a_test():
    assert [
        path.stem
        for path in BENCHMARKS
        if not any(name.startswith(f"test_{path.stem}_") for name in TESTS)
    ] == []


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_benchmark_prints_its_usage(path, monkeypatch, capsys):
    module = load(path.stem, monkeypatch)
    with pytest.raises(SystemExit, match=r"^0$"):
        module.main(["--help"])
    assert capsys.readouterr().out.startswith("usage: ")
