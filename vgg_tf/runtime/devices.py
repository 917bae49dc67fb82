"""The devices, Keras' backend and the dtype policy for --strategy and --precision.

TensorFlow no longer sees the TPUs of Kaggle, Colab and new Cloud TPU machines, but JAX does. A TPU
runs TensorFlow's TPUStrategy where that works, else Keras on JAX.
"""

import contextlib
import os
from dataclasses import dataclass, replace
from typing import Literal

from vgg_tf.runtime import engines, scopes
from vgg_tf.runtime.chips import describe_lost_tpu, has_bfloat16
from vgg_tf.runtime.doctor import explain_missing

StrategyName = Literal["auto", "tpu", "gpu", "cpu"]
Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]


@dataclass(frozen=True)
class Devices:
    """The devices of a training run.

    Attributes:
        kind: `tpu`, `gpu` or `cpu`.
        engine: Keras' backend, `tensorflow` or `jax`.
        replicas: Number of devices that share a batch.
        distribution: A `tf.distribute.Strategy` or a `keras.distribution.DataParallel`. None for a
            single device.
        policy: Keras dtype policy inside `scope`.
        reason: One line for the user: the devices, and why they were chosen.
        process: Index of this process, from 0.
        processes: Number of processes that train together.
        device: The JAX device if a single one computes, else None.
    """

    kind: str
    engine: str
    replicas: int
    distribution: object
    policy: str
    reason: str
    process: int = 0
    processes: int = 1
    device: object = None

    @property
    def part(self):
        """Index and number of the processes, as `loading.load_dataset` takes them."""
        return self.process, self.processes

    def agree(self, *values):
        """Check that all processes have the same values.

        Processes with different values would wait in different collective operations.

        Args:
            *values: What must be equal, such as the flags and a fingerprint of the data.

        Raises:
            ValueError: Another process has other values.
        """
        if self.processes > 1:
            import zlib

            import numpy as np
            from jax.experimental import multihost_utils

            mine = np.uint32(zlib.crc32(repr(values).encode()))
            if (multihost_utils.process_allgather(mine) != mine).any():
                raise ValueError(
                    "All processes must have the same flags and data. Received in process "
                    f"{self.process}: {values}. Start all processes with the same command."
                )

    def alone(self):
        """Return the devices of this process only, which do not wait for other processes."""
        if self.processes == 1:
            return self
        import jax
        import keras

        local = [f"{self.kind}:{device.id}" for device in jax.local_devices()]
        several = len(local) > 1
        distribution = (
            keras.distribution.DataParallel(devices=local, auto_shard_dataset=False)
            if several
            else None
        )
        return replace(self, replicas=len(local), distribution=distribution)

    def wait(self, name):
        """Wait until all processes have reached the point with this name."""
        if self.processes > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices(name)

    @contextlib.contextmanager
    def scope(self):
        """Enter the dtype policy and the distribution of these devices.

        Build, train and test the model inside this context.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(scopes.set_precision(self.policy))
            if self.distribution:
                stack.enter_context(self.distribution.scope())
            # Otherwise Keras computes on JAX's first device, such as a TPU instead of the CPU.
            if self.device:
                import jax

                stack.enter_context(jax.default_device(self.device))
            yield


def strategy(word: StrategyName = "auto", precision: Precision = "auto") -> Devices:
    """Choose the devices for training, and print which and why.

    The dtype policy and the distribution are active inside the scope only. Three changes are
    permanent, because a process can make them only once. `KERAS_BACKEND` is set, unless it was set
    or Keras was imported before. A TPU belongs to this process until the process ends. `"cpu"`
    hides GPUs from TensorFlow.

    Args:
        word: `auto`, `tpu`, `gpu` or `cpu`, as for `choose`.
        precision: `auto` or a Keras dtype policy, as for `choose`.

    Returns:
        `Devices`. Build and train the model inside its `scope()`.

    Examples:
        >>> from vgg_tf import build_vgg, strategy
        >>> devices = strategy("cpu", "float32")  # doctest: +ELLIPSIS
        devices: ... float32, ...
        >>> with devices.scope():
        ...     model = build_vgg("vgg11", input_shape=(32, 32, 3), width=0.0625, head_width=16)
        >>> model.output_shape
        (None, 1000)
    """
    devices = choose(word, precision)
    print(f"devices: {devices.reason}")
    return devices


def choose(word="auto", precision="auto"):
    """Find the devices, and make Keras run on the engine that sees them.

    Args:
        word: `tpu`, `gpu`, `cpu`, or `auto` for the first of them that exists. TensorFlow comes
            before JAX, unless KERAS_BACKEND is set. `gpu` takes all GPUs that the engine sees.
        precision: A Keras dtype policy, or `auto`. `auto` is mixed_bfloat16 on TPUs, on GPUs of
            compute capability 8 or higher and, with TensorFlow, on CPUs with bfloat16 instructions.
            On older GPUs it is mixed_float16, elsewhere float32. Outputs of the network are always
            float32.

    Returns:
        `Devices`.

    Raises:
        ValueError: There is no such device, a TPU is in use, or Keras runs on another engine.
    """
    if word not in ("auto", "tpu", "gpu", "cpu"):
        raise ValueError(
            f"The strategy must be auto, tpu, gpu or cpu. Received: {word!r}. Try auto, which "
            "takes the first of tpu, gpu and cpu that exists."
        )
    engines.settle(word)
    names, settled = engines.list_engines(), engines.is_settled()
    if settled and word in ("tpu", "gpu"):  # `settle` looked for another kind on the other engine
        names += tuple(engine for engine in engines.NAMES if engine not in names)
    kinds = ("tpu", "gpu", "cpu") if word == "auto" else (word,)
    for i, kind in enumerate(kinds):
        for engine in names:
            # Both engines have a CPU: keep the one that Keras already runs on.
            if kind == "cpu" and len(names) > 1 and engines.find_loaded() not in (None, engine):
                continue
            found = engines.find(engine, kind, asked=word == kind)
            if found:
                engines.check_loaded(engine, kind)
                why = f"; no {' or '.join(kinds[:i])} found" if i else ""
                if not settled and "KERAS_BACKEND" in os.environ:
                    why += "; set by KERAS_BACKEND"
                elif engine == "jax" and kind != "cpu":
                    why += f"; TensorFlow sees no {kind}"
                if i and (lost := describe_lost_tpu()):
                    why += f". {lost}"
                return _devices(kind, engine, found, precision, why)
        if (kind, word) == ("tpu", "auto") and engines.are_tpus_taken(names):
            raise ValueError(explain_missing("tpu", tuple(engines.NAMES)))
    raise ValueError(explain_missing(word, tuple(engines.NAMES) if settled else names))


def _devices(kind, engine, found, precision, why):
    n = len(found.devices)
    # One TPU core needs TPUStrategy, too: nothing else runs TensorFlow's models on a TPU.
    shared = n > 1 or (engine, kind) == ("tensorflow", "tpu")
    distribution = found.distribution() if shared else None
    policy = _best_policy(kind, engine, found.devices) if precision == "auto" else precision
    how = "Keras on " * (engine == "jax") + engines.NAMES[engine] + f", {found.name}" * shared
    process, processes, device = 0, 1, None
    if engine == "jax":
        import jax

        process, processes, device = (
            jax.process_index(),
            jax.process_count(),
            None if shared else found.devices[0],
        )
    what = _count_devices(kind, n) + f" in {processes} processes" * (processes > 1)
    reason = f"{what}, {policy}, {how}{why}"
    return Devices(kind, engine, n, distribution, policy, reason, process, processes, device)


def _count_devices(kind, n):
    """Return the number of devices in words; of a CPU its cores count, for each process."""
    if kind == "cpu":
        n *= len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    unit = {"cpu": "CPU core", "gpu": "GPU", "tpu": "TPU"}[kind]
    return f"{n} {unit}{'s' * (n > 1)}"


def _best_policy(kind, engine, devices):
    if kind == "gpu":
        return (
            "mixed_bfloat16"
            if engines.get_compute_capability(engine, devices[0]) >= 8
            else "mixed_float16"
        )
    return (
        "mixed_bfloat16"
        if kind == "tpu" or (engine == "tensorflow" and has_bfloat16())
        else "float32"
    )
