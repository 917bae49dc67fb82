"""Measure the throughput of VGG-16 on the CPU, training and prediction: vgg_tf, Keras and PyTorch.

    python benchmarks/train_step.py --cases 32x128,32x256,224x32 --rounds 3

A case is a side in pixels and a batch. Each subject runs in a process of its own, the subjects in
turn. The table has medians of the rounds in images/s, the share of the rate at which this CPU
multiplies matrices (4096 x 4096, in the same precision, measured likewise) and the peak of memory.
Subjects, which `step_subjects.py` runs:

- vgg_tf, vgg_tf BN: the network, loss, optimizer and `fit` of `python -m vgg_tf.train`, in the
  precision it chooses;
- Keras: keras.applications.VGG16 (32 pixels: its trunk with our head of 512 and 10 classes), SGD
  with momentum, float32, `fit`;
- Keras bf16: the same under mixed_bfloat16 (both fed without tf.data's autotuner, whose thread
  would end some epochs late);
- torch: the trunk and head of vgg_tf, channels last, which is its best mode, and bfloat16 where
  vgg_tf chooses it. It is left out where torch is not installed: pip install -e
  ".[cpu,benchmarks]".

A multiplication with the zeros around the map counts as one, so that shares compare with those of
others.
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
    """What to measure."""

    cases: str = "32x128,32x256,224x32"
    """Sides in pixels and batches."""
    subjects: str = "vgg_tf,vgg_tf BN,Keras,Keras bf16,torch"
    """Which of them."""
    rounds: int = 3
    """Alternations."""
    seconds: float = 6.0
    """How long each is looked at in a round, after its first steps; at least two steps."""
    matrix: int = 4096
    """Side of the matrices whose product is the measure of the CPU."""


def main(arguments=None):
    """Print a table for each case; after the word `measure`, print what one subject does."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["measure"]:
        print(json.dumps(_measure(*words[1:])))
        return
    flags = tyro.cli(Flags, args=words)
    subjects = flags.subjects.split(",")
    if "torch" in subjects and not find_spec("torch"):
        print('torch: not installed, left out; pip install -e ".[cpu,benchmarks]"')
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
    """Return what one subject does, or the peak, in this process."""
    if subject == "peak":
        return {"peak": step_subjects.measure_peak(words[0], int(words[1]))}
    side, batch, seconds = int(words[0]), int(words[1]), float(words[2])
    if subject == "torch":
        found = step_subjects.measure_torch(side, batch, seconds)
    else:
        found = step_subjects.measure_keras(subject, side, batch, seconds)
    return {**found, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def _measure_alone(*words):
    """Return what one subject does, or the peak, in a process of its own."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "measure", *map(str, words)]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def _print_case(side, found, peaks):
    """Print the peaks, the table of a case and the ratios of vgg_tf to the others."""
    gflop = {"train": 6 * _count_products(side) / 1e9}
    gflop["predict"] = gflop["train"] / 3
    print(
        "matrices multiply at",
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
            print(f"vgg_tf beside {name}: {ratios}")
    sys.stdout.flush()


def _count_products(side):
    """Count the multiplications of a VGG-16 in an image's forward pass."""
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
