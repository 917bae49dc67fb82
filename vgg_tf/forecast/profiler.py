"""Profile training steps with TensorFlow's or JAX's profiler, and show the trace as a table."""

import collections
import contextlib
import re
import time
from dataclasses import dataclass

import keras

from vgg_tf.runtime import files

WARM_UP = 2  # steps, of which the first compiles
LAYER = re.compile(
    r"/((?:block\d+_[a-z]+\d*|fc\d|predictions|normalize|flatten)(?:_dropout)?)(?:_\d+)*/"
)
OPERATION = re.compile(r"^(\S*?)(?::_?\w+)?$")
WAITING = "IteratorGetNextOp::DoCompute"  # TensorFlow's fit waits for the next batch in it
# Trace lines of the threads and devices that compute.
KERNEL_LINES = ("tf_Compute", "tf_XLA", "XLA Ops", "Stream #")


@dataclass(frozen=True)
class Profile:
    """The parts of a training step.

    Attributes:
        step: duration of a step, in seconds.
        batch: images per step.
        input_alone: throughput of the input while nothing else runs, images/s.
        waiting: seconds per step spent waiting for data; None on JAX, whose trace does not show
            them.
        parts: `{(part, "forward" or "backward" or ""): seconds per step}` of the operations. On a
            CPU they may run at the same time, so their sum is not the duration of a step.
        device: the profiler's name of the device.
    """

    step: float
    batch: int
    input_alone: float
    waiting: float | None
    parts: dict
    device: str

    def __str__(self):
        total = sum(self.parts.values())
        names = dict.fromkeys(name for name, _ in sorted(self.parts, key=_order))
        width = max(map(len, names), default=0)
        rows = [
            [self.parts.get((name, phase), 0.0) for phase in ("forward", "backward", "")]
            for name in names
        ]
        lines = [
            f"a step of {self.batch} images: {1e3 * self.step:.1f} ms, "
            f"{self.batch / self.step:,.0f} images/s",
            f"input alone: {self.input_alone:,.0f} images/s, "
            f"{self.input_alone * self.step / self.batch:.1f} times the throughput of a step",
        ]
        if self.waiting is not None:
            lines.append(
                f"waiting for the input: {1e3 * self.waiting:.2f} ms a step, "
                f"{self.waiting / self.step:.2%}"
            )
        lines += [
            "",
            f"operations on {self.device}, ms a step",
            f"{'':{width}}  forward  backward    other  share",
        ]
        for name, row in zip(names, rows, strict=True):
            if sum(row) < 5e-4 * total:
                continue
            cells = [
                f"{1e3 * value:{n}.2f}" if value else " " * n
                for value, n in zip(row, (9, 10, 9), strict=True)
            ]
            share = sum(row) / total
            lines.append(
                f"{name:{width}}{''.join(cells)}  {share:5.1%}  {'#' * round(60 * share)}".rstrip()
            )
        sums = [sum(column) for column in zip(*rows, strict=True)]
        cells = [f"{1e3 * value:{n}.2f}" for value, n in zip(sums, (9, 10, 9), strict=True)]
        lines.append(f"{'all':{width}}{''.join(cells)}")
        return "\n".join(lines)


def profile(scores, batches, steps, folder, callbacks=lambda steps: None):
    """Profile some training steps. The weights change.

    Args:
        scores: a compiled network of logits.
        batches: function of the epoch to batches `(images, labels)`, a `tf.data.Dataset` of known
            length.
        steps: number of steps to profile.
        folder: folder of the trace, for TensorBoard's profiler or Perfetto. Other files in it are
            kept.
        callbacks: function of a number of steps to the Keras callbacks of these steps.

    Returns:
        A `Profile`.

    Raises:
        ValueError: an epoch has too few steps.
    """
    images = batches(0)
    if (there := int(images.cardinality())) <= WARM_UP:
        raise ValueError(
            f"--profile needs an epoch of more than {WARM_UP} steps, which are a warm-up. "
            "Received: "
            f"{there} steps. Lower --batch-size, or use more images."
        )
    if there < steps + WARM_UP:
        raise ValueError(
            f"--profile must be at most {there - WARM_UP}: an epoch has {there} steps, "
            f"of which {WARM_UP} are a warm-up. Received: --profile {steps}. Use fewer "
            "steps, or more images."
        )
    scores.fit(
        images.take(WARM_UP), epochs=1, verbose=0, shuffle=False, callbacks=callbacks(WARM_UP)
    )
    # On JAX weights and averages now share their arrays, as in `training.loop`.
    for variable in scores.trainable_variables:
        variable.assign(variable.numpy())
    batch, alone = _alone(batches(1), steps)
    before = set(_traces(folder))
    with _recording(folder):
        start = time.perf_counter()
        scores.fit(
            batches(2).take(steps), epochs=1, verbose=0, shuffle=False, callbacks=callbacks(steps)
        )
        seconds = time.perf_counter() - start
    (trace,) = set(_traces(folder)) - before
    device, parts, waiting = read_trace(trace)
    in_fit = waiting / steps if keras.config.backend() == "tensorflow" else None
    return Profile(
        seconds / steps,
        batch,
        alone,
        in_fit,
        {key: value / steps for key, value in parts.items()},
        device,
    )


def _alone(batches, steps):
    """Return the images per batch, and the throughput of the input alone after its first batch."""
    found = iter(batches)
    batch, n, start = len(next(found)[1]), 0, time.perf_counter()
    for _, labels in found:
        n += len(labels)
        if n >= steps * batch and time.perf_counter() - start > 1:
            break
    return batch, n / (time.perf_counter() - start)


@contextlib.contextmanager
def _recording(folder):
    if keras.config.backend() == "jax":
        import jax

        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # its events would displace all others
        with jax.profiler.trace(folder, profiler_options=options):
            yield
        return
    import tensorflow as tf

    tf.profiler.experimental.start(folder)
    try:
        yield
    finally:
        tf.profiler.experimental.stop()


def _traces(folder):
    return (
        [f"{folder}/{name}" for name in files.walk(folder) if name.endswith(".xplane.pb")]
        if files.exists(folder)
        else []
    )


def read_trace(path):
    """Read the seconds of a trace's operations.

    Args:
        path: path of an .xplane.pb file.

    Returns:
        device: str, name of the first accelerator, or of the host if there is none.
        parts: dict `{(part, phase): seconds}`. A part is a layer if the trace names layers, else a
            kind of operation.
        waiting: float, seconds spent waiting for data. Only TensorFlow's traces show them.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(files.read(path))
    planes = [plane for plane in space.planes if plane.lines]
    device = next((plane for plane in planes if plane.name.startswith("/device:")), None)
    device = device or next(plane for plane in planes if plane.name == "/host:CPU")
    parts, waiting = collections.Counter(), 0.0
    for plane in planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                if name == WAITING:
                    waiting += event.duration_ps / 1e12
                elif (
                    plane is device and line.name.startswith(KERNEL_LINES) and (what := _what(name))
                ):
                    parts[what] += event.duration_ps / 1e12
    return device.name, dict(parts), waiting


def _what(name):
    """Return the part and the phase of an operation; None if it does not belong to a step."""
    path = OPERATION.match(name)
    if not path or "::" in name or name == "ParallelFor":
        return None
    if layer := LAYER.search(name):
        return layer[1], "backward" if "gradient_tape" in name else "forward"
    if re.search(r"/(sgd|muon)(_\d+)?/", name):
        return "optimizer", ""
    if name.startswith("StatefulPartitionedCall/"):
        return "loss, weight decay, metrics", ""
    if name.startswith(("Executor", "Memory", "optional")):
        return None
    return re.sub(r"[.\d]+$", "", path[1].rsplit("/", 1)[-1]), ""


def _order(key):
    """Return a sort key: layers in the order of the network, then the rest."""
    stages = ("normalize", "block", "flatten", "fc", "predictions")
    stage = next((i for i, word in enumerate(stages) if key[0].startswith(word)), len(stages))
    if stage == 1:  # convolution, normalization and activation of the same number together
        block, kind, number = re.match(r"block(\d+)_([a-z]+)(\d*)", key[0]).groups()
        return (
            stage,
            int(block),
            int(number or 99),
            ("conv", "bn", "relu", "lrn", "pool").index(kind),
        )
    return stage, key[0]
