"""Measure training and prediction of VGG-16 on the CPU with vgg_tf, Keras and PyTorch.

    python benchmarks/train_step.py --cases 32x128,32x256,224x32 --rounds 3

A case is a side in pixels and a batch size. Each subject runs in a separate process, and the
subjects alternate. The table has the median images/s of the rounds and the peak memory. It also has
the fraction of the peak: the rate at which this CPU multiplies matrices of 4096 x 4096 in the same
precision. The subjects are in `step_subjects.py`:

- vgg_tf, vgg_tf BN: the network, loss, optimizer and `fit` of `python -m vgg_tf.train`, in its
  default precision.
- Keras: keras.applications.VGG16, SGD with momentum, float32, `fit`. At 32 pixels it has our head
  of 512 units and 10 classes.
- Keras bf16: the same with mixed_bfloat16. The input of both has no tf.data autotuner, whose thread
  delays the end of some epochs.
- torch: the trunk and head of vgg_tf, channels last (its fastest format), and bfloat16 where vgg_tf
  uses it. It needs torch: pip install -e ".[cpu,benchmarks]".

Multiplications with the padding zeros are counted, as in other FLOP counts.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec

import step_subjects
import tyro

from vgg_tf.figures.markdown import make_markdown_table

HEADER = ["", "precision", "training, images/s", "of the peak"]
HEADER += ["prediction, images/s", "of the peak", "peak memory, GiB"]


@dataclass(frozen=True)
class Flags:
    """Measure training and prediction of VGG-16 on the CPU.

    Attributes:
        cases: Sides in pixels and batch sizes, separated by commas.
        subjects: Subjects to measure, separated by commas.
        rounds: Number of rounds; the medians are printed.
        seconds: Time of each measurement in seconds, after the warm-up; at least two steps.
        matrix: Side of the matrices whose product measures the peak of the CPU.
    """

    cases: str = "32x128,32x256,224x32"
    subjects: str = "vgg_tf,vgg_tf BN,Keras,Keras bf16,torch"
    rounds: int = 3
    seconds: float = 6.0
    matrix: int = 4096


def main(arguments=None):
    """Print a table for each case; `measure` as first word measures one subject."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["measure"]:
        print(json.dumps(_measure(*words[1:])))
        return
    flags = tyro.cli(Flags, args=words)
    subjects = flags.subjects.split(",")
    if "torch" in subjects and not find_spec("torch"):
        print('torch: not installed, skipped. Install: pip install -e ".[cpu,benchmarks]"')
        subjects.remove("torch")
    peaks = {name: [] for name in ("float32", "bfloat16")}
    for case in flags.cases.split(","):
        side, batch = map(int, case.split("x"))
        found = {name: [] for name in subjects}
        for _ in range(flags.rounds):
            for name in peaks:
                peaks[name].append(_measure_alone("peak", name, flags.matrix)["peak"])
            for name, rows in found.items():
                rows.append(_measure_alone(name, side, batch, flags.seconds))
        medians = {name: statistics.median(values) for name, values in peaks.items()}
        print(f"\nVGG-16, {side} pixels, batch {batch}, medians of {flags.rounds}; ", end="")
        _print_case(side, found, medians)


def _measure(subject, *words):
    """Measure one subject, or the peak, in this process."""
    if subject == "peak":
        return {"peak": step_subjects.measure_peak(words[0], int(words[1]))}
    side, batch, seconds = int(words[0]), int(words[1]), float(words[2])
    if subject == "torch":
        found = step_subjects.measure_torch(side, batch, seconds)
    else:
        found = step_subjects.measure_keras(subject, side, batch, seconds)
    return {**found, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def _measure_alone(*words):
    """Measure one subject, or the peak, in a separate process."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "measure", *map(str, words)]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def _print_case(side, found, peaks):
    """Print the peaks, the table of a case and the ratios of vgg_tf to the others."""
    gflop = {"train": 6 * _count_products(side) / 1e9}
    gflop["predict"] = gflop["train"] / 3
    print(
        "matrix products:",
        ", ".join(f"{peak:.2f} TFLOP/s in {name}" for name, peak in peaks.items()),
        flush=True,
    )
    keys = ("train", "predict", "memory")
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in keys}
        for name, rows in found.items()
    }
    cells = []
    for name, row in medians.items():
        precision = found[name][0]["precision"]
        share = {key: row[key] * gflop[key] / 1e3 / peaks[precision] for key in gflop}
        training = f"{row['train']:.1f}", f"{share['train']:.0%}"
        prediction = f"{row['predict']:.0f}", f"{share['predict']:.0%}"
        cells.append([name, precision, *training, *prediction, f"{row['memory']:.2f}"])
    print(make_markdown_table(HEADER, cells))
    if ours := medians.pop("vgg_tf", None):
        for name, row in medians.items():
            ratios = ", ".join(f"{ours[key] / row[key]:.2f} times in {key}" for key in gflop)
            print(f"vgg_tf versus {name}: {ratios}")
    sys.stdout.flush()


def _count_products(side):
    """Return the number of multiplications of VGG-16 in the forward pass of an image."""
    from vgg_tf import ARCHITECTURES
    from vgg_tf.paper.architectures import STAGE_WIDTHS

    classes, head = step_subjects.CLASSES[side], step_subjects.HEAD_WIDTHS[side]
    total, channels = 0, 3
    for stage, width in zip(ARCHITECTURES["vgg16"].kernels, STAGE_WIDTHS, strict=True):
        for kernel in stage:
            total += side * side * kernel * kernel * channels * width
            channels = width
        side //= 2
    return total + side * side * channels * head + head * head + head * classes


if __name__ == "__main__":
    main()
