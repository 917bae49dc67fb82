"""`result.json`: what a training run or a test found, and what is needed to repeat it."""

import datetime
import os
import shlex
import subprocess
import sys
from pathlib import Path

from vgg_tf.runtime import chips, files, schemas
from vgg_tf.runtime.doctor import find_version
from vgg_tf.runtime.schemas import Fields, Maybe, Number, Text

NAME = "result.json"
KEYS = (
    "program",
    "command",
    "version",
    "commit",
    "date",
    "machine",
    "strategy",
    "precision",
    "arch",
    "parameters",
    "data",
    "split",
    "protocol",
    "scales",
    "n",
    "top1",
    "top5",
    "loss",
    "seconds",
    "images_per_second",
    "seed",
    "note",
)

_WORD, _PERCENT = Text(), Number(0, 100, whole=False)
_MEASURED = Number(0, 1e12, whole=False)
# report.json of any run, then of one of box regression, of a tested one, and of an untested one.
_REPORT = Fields(
    {
        "split": Maybe(_WORD),
        "n": Number(),
        "epochs": Number(),
        "best_epoch": Number(),
        "seconds": _MEASURED,
    },
    {"parameters": Number(0, 10**12), "mean_class_recall": Maybe(Number(0, 1, whole=False))},
)
_BOXES = Fields({"error": _PERCENT})
_UNTESTED = Fields({"images_per_second": _MEASURED})
_TESTED = Fields(_UNTESTED.needed | {"top1_error": _PERCENT, "top5_error": _PERCENT})
_ERROR = Maybe(Fields(dict.fromkeys(("error", "low", "high"), Number(0, 1, whole=False))))
_RESULT = Fields(
    {**dict.fromkeys(("split", "protocol", "date", "machine"), Maybe(_WORD)), "n": Number()},
    {"top1": _ERROR, "top5": _ERROR, "note": Maybe(_WORD)},
)


def read_report(path):
    """Read the report.json of a run.

    A damaged report must not block a finished run: it is passed over with a note on stderr.

    Args:
        path: Path of the file, local or remote.

    Returns:
        dict, or None if there is no report, or a damaged one.
    """
    if not files.exists(path):
        return None
    called = "the report of a run"
    remedy = "It is passed over. The command that trained the run writes it again."
    try:
        report = schemas.read(path, _REPORT, called, remedy)
        with schemas.naming(path, called, remedy):
            more = _BOXES if "error" in report else _TESTED if report["split"] else _UNTESTED
            more.check(report)
    except schemas.DamagedFileError as error:
        print(f"note: {error}", file=sys.stderr)
        return None
    return report


def read_result(path):
    """Read a `result.json`.

    Args:
        path: Path of the file, local or remote.

    Returns:
        dict with `KEYS`; old files have fewer.

    Raises:
        schemas.DamagedFileError: The file is damaged.
    """
    return schemas.read(path, _RESULT, "the result of a training run or a test", "Delete it.")


def write_result(folder, command, devices, found, **facts):
    """Write `result.json` into a folder.

    Args:
        folder: Path of an existing folder, local or remote.
        command: The program, such as `vgg_tf.train`, and the words after it; None instead of the
            words takes those of this process.
        devices: The `Devices`.
        found: Dict with `n`, and where something was tested `top1_error` and `top5_error` in %.
            `loss`, in nats, may be in it.
        **facts: Values of other `KEYS`. Keys that are not given are null.

    Raises:
        TypeError: A key of `facts` does not exist.
    """
    if unknown := set(facts) - set(KEYS):
        raise TypeError(f"facts must be among {KEYS}. Received: {unknown}. Remove these.")
    program, words = command
    words = sys.argv[1:] if words is None else words
    values = {
        "program": program,
        "command": shlex.join(["python", "-m", program, *map(str, words)]),
        "version": find_version("vgg_tf"),
        "commit": find_commit(Path(__file__).parents[2]),
        "date": datetime.date.today().isoformat(),
        "machine": describe_machine(devices),
        "strategy": devices.kind,
        "precision": devices.policy,
        "n": found["n"],
        "top1": _describe_error(found, "top1"),
        "top5": _describe_error(found, "top5"),
        "loss": found.get("loss"),
        **facts,
    }
    files.write_json(os.path.join(folder, NAME), {key: values.get(key) for key in KEYS})


def find_commit(folder):
    """Return the commit of a git checkout.

    Args:
        folder: Path of the root of the checkout.

    Returns:
        str, with `-dirty` at its end if files differ from the commit; None outside of a checkout
        or without git.
    """
    if not (Path(folder) / ".git").exists():
        return None
    words = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    try:
        found = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None


def describe_machine(devices):
    """Return the accelerators and the CPU in one line, such as `2 cores, AMD EPYC with AMX`."""
    cpu = chips.describe_cpu()
    if devices.kind == "cpu":
        return cpu
    generation = chips.find_tpu_chips()[0] or "" if devices.kind == "tpu" else ""
    names = f"{devices.kind.upper()} {generation}".strip()
    return f"{devices.replicas} devices of {names}; {cpu}"


def compute_interval(wrong, n):
    """Return Wilson's 95 % interval of the error of `wrong` among `n`: two numbers in %."""
    from scipy.stats import binomtest

    low, high = binomtest(wrong, n).proportion_ci(0.95, method="wilson")
    return [100 * float(low), 100 * float(high)]


def _describe_error(found, name):
    """Return an error and its interval as shares in 0..1; None if nothing was tested."""
    if f"{name}_error" not in found:
        return None
    error, n = found[f"{name}_error"] / 100, found["n"]
    low, high = compute_interval(round(error * n), n)
    return {"error": round(error, 6), "low": round(low / 100, 6), "high": round(high / 100, 6)}
