"""The report of a machine: some checks, one JSON file and ten lines."""

import datetime
import os
import shlex
import tempfile
import time
import traceback
from pathlib import Path

from vgg_tf.forecast.machine_bench import SIZES, Bench
from vgg_tf.forecast.machine_checks import CHECKS
from vgg_tf.runs.results import describe_machine, find_commit
from vgg_tf.runtime import files, quiet, scopes
from vgg_tf.runtime.devices import choose
from vgg_tf.runtime.doctor import find_version

NAME = "report.json"


def make_report(out, words, size="full", checks=CHECKS):
    """Run the checks on JAX, write `report.json`, and print ten lines to paste.

    A check that fails is a line of the report, and the next one runs.

    Args:
        out: Path of a folder, which is made.
        words: Words of the command line, for the report.
        size: A key of `machine_bench.SIZES`.
        checks: Dict of the name of each check to a function of a `machine_bench.Bench`. It returns
            facts, which JSON can store, a line, and whether they are good.

    Returns:
        bool, whether all checks passed.

    Raises:
        ValueError: There is no accelerator for the full size.
    """
    platforms = os.environ.get("JAX_PLATFORMS", "")
    # The CPU, too, with which the devices are compared.
    both = {"JAX_PLATFORMS": f"{platforms},cpu"} if platforms and "cpu" not in platforms else {}
    with (
        scopes.set_environment(KERAS_BACKEND="jax", **both),
        tempfile.TemporaryDirectory() as folder,
    ):
        quiet.quiet_tensorflow()
        # The tiny size computes on a CPU as a TPU does.
        devices = choose("auto", "auto" if size == "full" else "mixed_bfloat16")
        if devices.kind == "cpu" and size == "full":
            raise ValueError(
                f"--report needs a TPU or a GPU. Received: {devices.reason}. Use one, or try "
                "--report --tiny."
            )
        start, bench, found = time.perf_counter(), Bench(devices, SIZES[size], folder), {}
        for i, (name, check) in enumerate(checks.items()):
            print(f"{i + 1}/{len(checks)} {name} ...", flush=True)
            found[name] = run_check(check, bench)
        report = {
            "program": "vgg_tf.preflight",
            "command": shlex.join(["python", "-m", "vgg_tf.preflight", *map(str, words)]),
            "version": find_version("vgg_tf"),
            "commit": find_commit(Path(__file__).parents[2]),
            "date": datetime.date.today().isoformat(),
            "machine": describe_machine(devices),
            "size": size,
            "seconds": round(time.perf_counter() - start, 1),
            "checks": found,
        }
    path = os.path.join(out, NAME)
    files.make_folder(out)
    files.write_json(path, report)
    print(f"\n{format_report(report)}\nwritten: {path}")
    return all(result["passed"] for result in found.values())


def run_check(check, bench):
    """Return the result of a check; an error is the line of a check that failed.

    Args:
        check: As in `make_report`.
        bench: A `machine_bench.Bench`.

    Returns:
        Dict of `passed`, `line`, `seconds` and the facts; after an error, its traceback as `error`.
    """
    start = time.perf_counter()
    try:
        facts, line, passed = check(bench)
    # Any error: the report must say what else works. JSON keeps the traceback.
    except Exception as error:
        words = " ".join(str(error).split())[:300]
        facts, passed = {"error": traceback.format_exc()}, False
        line = f"{type(error).__name__}: {words}"
    seconds = round(time.perf_counter() - start, 1)
    print(f"    {'passed' if passed else 'FAILED'} after {seconds} s: {line}", flush=True)
    return {"passed": bool(passed), "line": line, "seconds": seconds, **facts}


def format_report(report):
    """Return a report as lines to paste: a heading, a line for each check, and the sum.

    Args:
        report: The object of `report.json`.

    Returns:
        str.
    """
    checks = report["checks"]
    commit = f", commit {report['commit'][:12]}" if report["commit"] else ""
    lines = [f"{report['command']}: {report['machine']}, {report['date']}{commit}"]
    for name, result in checks.items():
        lines.append(f"{name:10}  {'ok    ' if result['passed'] else 'FAILED'}  {result['line']}")
    passed = sum(result["passed"] for result in checks.values())
    lines.append(f"{passed} of {len(checks)} checks passed in {report['seconds']:.0f} s")
    return "\n".join(lines)
