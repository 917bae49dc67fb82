"""The benchmark of the input's memory runs with more threads than the machine has cores."""

import re
import subprocess
import sys

import pytest

from tests.making import ROOT


@pytest.mark.slow  # a process of its own, because the threads are those of a process
def test_host_memory_is_measured_before_and_after_the_batches():
    words = "--threads 24 --batch 4 --batches 2 --size 32 --pause 0.1".split()
    command = [sys.executable, "benchmarks/host_memory.py", *words]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-2000:]
    peak, before = map(float, re.search(r": ([\d.]+) GB, ([\d.]+) GB", result.stdout).groups())
    assert 0.1 < before <= peak < 4
