"""A word (auto, tpu, gpu, cpu) becomes a TensorFlow strategy, and a device the precision it computes best in."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

StrategyName = Literal["auto", "tpu", "gpu", "cpu"]
Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]


@dataclass(frozen=True)
class Devices:
    """What a training runs on.

    Attributes:
        kind: `tpu`, `gpu` or `cpu`.
        replicas: devices that share a batch.
        strategy: a `tf.distribute.Strategy`, or None for a single device.
        policy: Keras dtype policy.
        reason: one line for the user.
    """

    kind: str
    replicas: int
    strategy: object
    policy: str
    reason: str

    def scope(self):
        """Context in which the model and its optimizer are made."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()


def choose(word="auto", precision="auto"):
    """Find the devices.

    Args:
        word: `tpu`, `gpu` or `cpu`; `auto` is the first of them that TensorFlow sees, and says so.
        precision: a Keras dtype policy; `auto` is mixed_bfloat16 on TPUs and on CPUs with AMX, mixed_float16 on GPUs,
            float32 elsewhere. Scores are float32 always.

    Raises:
        ValueError: TensorFlow sees no such device; the message says what to do.
    """
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise ValueError(f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']}; this program runs on TensorFlow. Unset it.")

    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    tpu = _tpu_strategy() if word in ("auto", "tpu") else None
    if word == "tpu" and tpu is None:
        raise ValueError(
            "TensorFlow sees no TPU here. Current Colab and Kaggle images bring a TensorFlow without TPU support; use "
            "--strategy auto to train on what there is."
        )
    if word == "gpu" and not gpus:
        raise ValueError(
            'TensorFlow sees no GPU here. pip install "tensorflow[and-cuda]" for an NVIDIA GPU, or use --strategy auto.'
        )
    if tpu is not None:
        return _devices("tpu", tpu.num_replicas_in_sync, tpu, precision)
    if gpus and word != "cpu":
        return _devices("gpu", len(gpus), tf.distribute.MirroredStrategy() if len(gpus) > 1 else None, precision)
    if gpus:
        tf.config.set_visible_devices([], "GPU")
    return _devices("cpu", 1, None, precision)


def _devices(kind, replicas, strategy, precision):
    best = {"tpu": "mixed_bfloat16", "gpu": "mixed_float16", "cpu": "mixed_bfloat16" if has_amx() else "float32"}[kind]
    policy = best if precision == "auto" else precision
    return Devices(kind, replicas, strategy, policy, f"{replicas} {kind}{'s' if replicas > 1 else ''}, {policy}")


def _tpu_strategy():
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.NotFoundError, tf.errors.InternalError):
        return None  # what builds and machines without a TPU raise
    return tf.distribute.TPUStrategy(resolver)


def has_amx():
    """Tell whether the CPU multiplies bfloat16 matrices in hardware (AMX): 2.5 to 5 times as fast as float32 there."""
    info = Path("/proc/cpuinfo")
    return info.exists() and " amx_bf16" in info.read_text()
