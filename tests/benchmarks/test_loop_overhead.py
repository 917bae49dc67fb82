"""The comparison of the training loop with a jitted one runs on logical devices."""

import subprocess
import sys

import pytest

from tests.benchmarks.making_calls import FOLDER, load
from tests.making import ROOT, cells_of, needs_jax


def test_loop_overhead_prints_medians_and_ratios_to_the_jitted_loop(monkeypatch, capsys):
    seconds = {"jitted loop": [0.01, 0.03, 0.02], "training loop of vgg_tf": [0.022, 0.9, 0.021]}
    load("loop_overhead", monkeypatch).print_table(seconds)
    _, *rows = cells_of(capsys.readouterr().out)
    assert rows == [
        ["jitted loop", "20.00", "1.00"],
        ["training loop of vgg_tf", "22.00", "1.10"],
    ]


# 20 s: a process of its own, in which JAX compiles for several devices.
@pytest.mark.slow
@needs_jax
def test_loop_overhead_measures_four_ways():
    words = ["--steps", "2", "--rounds", "1", "--devices", "2", "--batch-size", "4"]
    result = subprocess.run(
        [sys.executable, FOLDER / "loop_overhead.py", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    _, *rows = cells_of(result.stdout)
    assert len(rows) == 4
    assert all(float(ratio) > 0 for _, _, ratio in rows)
