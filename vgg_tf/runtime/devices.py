"""A word (auto, tpu, gpu, cpu) becomes an engine, a way to share a batch among devices, and the
precision they are best in.

TensorFlow no longer sees the TPUs of Kaggle, Colab and new Cloud TPU machines; JAX does. So a TPU
is taken by TensorFlow's TPUStrategy where that works, and else by Keras on JAX.
"""

import contextlib
import os
from dataclasses import dataclass, replace
from typing import Literal

from vgg_tf.runtime import engines, scopes
from vgg_tf.runtime.chips import has_bfloat16
from vgg_tf.runtime.doctor import explain_missing

StrategyName = Literal["auto", "tpu", "gpu", "cpu"]
Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]


@dataclass(frozen=True)
class Devices:
    """What a training runs on.

    Attributes:
        kind: `tpu`, `gpu` or `cpu`.
        engine: Keras' backend, `tensorflow` or `jax`.
        replicas: devices that share a batch.
        distribution: a `tf.distribute.Strategy` or a `keras.distribution.DataParallel`; None for a
            single device.
        policy: Keras dtype policy, in which `scope` builds.
        reason: one line for the user.
        process, processes: this one, from 0, of those that train together.
        device: the JAX device that computes, where it computes alone; else None.
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
        """This process and their number, as `loading.load_dataset` takes them."""
        return self.process, self.processes

    def agree(self, *values):
        """Raise a ValueError where the processes have different values, whose collective steps
        would not meet.
        """
        if self.processes > 1:
            import zlib

            import numpy as np
            from jax.experimental import multihost_utils

            mine = np.uint32(zlib.crc32(repr(values).encode()))
            if (multihost_utils.process_allgather(mine) != mine).any():
                raise ValueError(
                    f"Process {self.process} has other flags or data than another one: {values}."
                )

    def alone(self):
        """Those of this process alone, which do not wait for others."""
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
        """Wait until all processes have come to the point of this name."""
        if self.processes > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices(name)

    @contextlib.contextmanager
    def scope(self):
        """Context in which the model and its optimizer are made, trained and tested: in the
        dtype policy, on these devices.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(scopes.set_precision(self.policy))
            if self.distribution:
                stack.enter_context(self.distribution.scope())
            # Else Keras would compute on JAX's first device, such as a TPU in place of the CPU.
            if self.device:
                import jax

                stack.enter_context(jax.default_device(self.device))
            yield


def strategy(word="auto", precision="auto"):
    """Choose devices and print which and why, for notebooks: `with strategy("tpu").scope(): ...`

    The dtype policy and the distribution hold within the scope. Three changes stay, which a process
    can make only once: `KERAS_BACKEND` is set, unless it was set or Keras was imported before. A
    TPU that is found belongs to this process until it ends. `"cpu"` hides GPUs from TensorFlow.

    Args:
        word, precision: as for `choose`.

    Returns:
        `Devices`, which has `.scope()`.
    """
    devices = choose(word, precision)
    print(devices.reason)
    return devices


def choose(word="auto", precision="auto"):
    """Find the devices, and make Keras run on the engine that sees them.

    Args:
        word: `tpu`: TensorFlow's where it sees one, else JAX'. `gpu`: all GPUs that TensorFlow
            sees, else those of JAX. `cpu`. `auto` is the first of them that is there. A
            KERAS_BACKEND that is set decides the engine.
        precision: a Keras dtype policy; `auto` is mixed_bfloat16 on TPUs, on GPUs of compute
            capability 8 and, for TensorFlow, on CPUs with instructions for bfloat16; mixed_float16
            on older GPUs; float32 elsewhere. Scores are float32.

    Raises:
        ValueError: there is no such device, or a TPU that is not free, or Keras is on another
            engine; the message says more.
    """
    if word not in ("auto", "tpu", "gpu", "cpu"):
        raise ValueError(f"The strategy is auto, tpu, gpu or cpu. Received: {word!r}.")
    engines.settle(word)
    names, settled = engines.list_engines(), engines.is_settled()
    if settled and word in ("tpu", "gpu"):  # the other one may have what was not asked for before
        names += tuple(engine for engine in engines.NAMES if engine not in names)
    kinds = ("tpu", "gpu", "cpu") if word == "auto" else (word,)
    for i, kind in enumerate(kinds):
        for engine in names:
            # Both have one.
            if kind == "cpu" and len(names) > 1 and engines.find_loaded() not in (None, engine):
                continue
            found = engines.find(engine, kind, asked=word == kind)
            if found:
                engines.check_loaded(engine, kind)
                why = f"; no {' or '.join(kinds[:i])} here" if i else ""
                if not settled and "KERAS_BACKEND" in os.environ:
                    why += "; KERAS_BACKEND says so"
                elif engine == "jax" and kind != "cpu":
                    why += f"; TensorFlow sees no {kind}"
                return _devices(kind, engine, found, precision, why)
        if (kind, word) == ("tpu", "auto") and engines.are_tpus_taken(names):
            raise ValueError(explain_missing("tpu", tuple(engines.NAMES)))
    raise ValueError(explain_missing(word, tuple(engines.NAMES) if settled else names))


def _devices(kind, engine, found, precision, why):
    n = len(found.devices)
    # TPUStrategy also for one core: nothing else runs TensorFlow's models on a TPU.
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
    what = f"{n} {kind}{'s' * (n > 1)}" + f" in {processes} processes" * (processes > 1)
    reason = f"{what}, {policy}, {how}{why}"
    return Devices(kind, engine, n, distribution, policy, reason, process, processes, device)


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
