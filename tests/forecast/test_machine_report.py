"""The report runs every check, and a check that fails is a line and not the end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs import results
from tests.making import QUICK, needs_jax
from vgg_tf.forecast import host, machine_report
from vgg_tf.paper.recipes import Recipe

pytestmark = needs_jax
CHECKS = ("versions", "devices", "parity", "step", "input", "memory", "resume", "evaluation")


def run(code, *words, devices=1):
    """Run code in a process whose JAX has some devices; `words` are its arguments."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | QUICK | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, *code, *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, env=environment)


def test_a_check_that_fails_is_a_line_and_the_next_one_runs(capsys):
    def torn(bench):
        return {}["no such key"], bench, True

    def poor(bench):
        return {"difference": 0.5}, "differs by 0.5", False

    def good(bench):
        return {"found": bench}, "all is well", True

    checks = {
        name: machine_report.run_check(check, 7)
        for name, check in (("torn", torn), ("poor", poor), ("good", good))
    }
    assert "FAILED after 0.0 s: KeyError: 'no such key'" in capsys.readouterr().out
    assert "in torn\n" in checks["torn"]["error"]
    assert (checks["poor"]["difference"], checks["good"]["found"]) == (0.5, 7)
    report = {"command": "python x.py", "machine": "2 cores", "date": "2026-12-01"}
    report |= {"commit": None, "seconds": 12.3, "checks": checks}
    assert machine_report.format_report(json.loads(json.dumps(report))).splitlines() == [
        "python x.py: 2 cores, 2026-12-01",
        "torn        FAILED  KeyError: 'no such key'",
        "poor        FAILED  differs by 0.5",
        "good        ok      all is well",
        "1 of 3 checks passed in 12 s",
    ]


@pytest.mark.slow  # a process that imports JAX and Keras
def test_a_cpu_is_refused_for_the_whole_report(tmp_path):
    result = run(["-m", "vgg_tf.preflight"], "--report", "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "error: --report needs a TPU or a GPU. Received: " in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_whole_report_passes_on_four_devices_and_fills_a_row_of_the_page(tmp_path):
    result = run(["-m", "vgg_tf.preflight"], "--report", "--tiny", "--out", tmp_path, devices=4)
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
    *_, empty = result.stdout.rpartition("\n\n")
    lines = empty.splitlines()
    assert len(lines) == 2 + len(CHECKS) + 1
    assert lines[-2].startswith(f"{len(CHECKS)} of {len(CHECKS)} checks passed")
    report = json.loads((tmp_path / "report.json").read_text())
    found = report["checks"]
    assert tuple(found) == CHECKS
    assert found["devices"]["replicas"] == 4
    assert 0 < found["parity"]["loss_own_precision"] < 0.05
    assert found["parity"]["loss_float32"] < 1e-5  # the devices are CPUs, too
    assert found["step"]["batch"] == 8
    page = results.make_reports([Path(tmp_path, "report.json")], tmp_path)
    assert f"(tiny) | {report['date']} | {len(CHECKS)} of {len(CHECKS)} " in " ".join(page.split())


# The devices train with another learning rate than the CPU, then test with other weights.
WRONG = """
from dataclasses import replace
from vgg_tf.forecast import machine_bench, machine_checks, machine_report
import sys
build = machine_bench.Bench.build
def built(bench, recipe):
    import keras
    wrong = keras.distribution.distribution() is not None
    return build(bench, replace(recipe, learning_rate=0.02 if wrong else 0.01))
machine_bench.Bench.build = built
checks = {"parity": machine_checks.check_parity}
print(machine_report.make_report(sys.argv[1], [], "tiny", checks))
"""


@pytest.mark.slow
def test_devices_that_take_other_steps_fail_the_comparison_with_the_cpu(tmp_path):
    result = run(["-c", WRONG], tmp_path, devices=2)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.splitlines()[-1] == "False"
    found = json.loads((tmp_path / "report.json").read_text())["checks"]["parity"]
    assert found["weights_float32"] > 0.5  # steps of twice the length


def test_the_cores_that_a_throughput_needs_are_counted_by_the_views_of_one_core():
    assert host.Host(300.0, 2).count_cores(13_195) == 88  # 13195 / 150 = 87.97
    assert host.Host(300.0, 2).count_cores(150) == 1


def test_the_views_of_the_host_are_those_of_the_recipe():
    recipe = Recipe(size=32, scale=(32, 40), cutout=0)
    (first, labels), (second, _) = host.make_views(recipe, 4).take(2).as_numpy_iterator()
    assert (first.shape, first.dtype, labels.shape) == ((4, 32, 32, 3), "uint8", (4,))
    assert (first != second).any()
    assert host.measure_host(recipe, 0.05).per_core > 0
