"""A word (auto, tpu, gpu, cpu) becomes an engine, a way to share a batch among devices, and the
precision they are best in.

TensorFlow no longer sees the TPUs of Kaggle, Colab and new Cloud TPU machines; JAX does. So a TPU
is taken by TensorFlow's TPUStrategy where that works, and else by Keras on JAX. Keras fixes its
backend when it is first imported, and TensorFlow imports Keras: so the engine is settled before
either of them is here, and what TensorFlow sees is asked of another process.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Literal

from vgg_tf.runtime import scopes
from vgg_tf.runtime.chips import gpu_files, has_bfloat16, tpu_chips

_settled = False  # KERAS_BACKEND is ours, not the user's

StrategyName = Literal["auto", "tpu", "gpu", "cpu"]
Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]

_ENGINES = {"tensorflow": "TensorFlow", "jax": "JAX"}


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
            stack.enter_context(scopes.precision(self.policy))
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
    settle(word)
    engines = _engines()
    if _settled and word in ("tpu", "gpu"):  # the other one may have what was not asked for before
        engines += tuple(engine for engine in ("tensorflow", "jax") if engine not in engines)
    kinds = ("tpu", "gpu", "cpu") if word == "auto" else (word,)
    for i, kind in enumerate(kinds):
        for engine in engines:
            # Both have one.
            if kind == "cpu" and len(engines) > 1 and _loaded() not in (None, engine):
                continue
            found = _FINDERS[engine, kind](word == kind)
            if found:
                _check_loaded(engine, kind)
                why = f"; no {' or '.join(kinds[:i])} here" if i else ""
                if not _settled and "KERAS_BACKEND" in os.environ:
                    why += "; KERAS_BACKEND says so"
                elif engine == "jax" and kind != "cpu":
                    why += f"; TensorFlow sees no {kind}"
                return _devices(kind, engine, found, precision, why)
        if (kind, word) == ("tpu", "auto") and _tpus_are_taken(engines):
            raise ValueError(_missing("tpu", ("tensorflow", "jax")))
    raise ValueError(_missing(word, ("tensorflow", "jax") if _settled else engines))


def settle(word="auto", several=False):
    """Set KERAS_BACKEND to the engine that sees the devices, before TensorFlow is imported; nothing
    once it is, or is set.

    Args:
        word: as for `choose`.
        several: of several processes, which only JAX connects.
    """
    global _settled
    if len(_engines()) == 1 or "keras" in sys.modules:
        return
    there = {"tpu": bool(tpu_chips()[1]), "gpu": gpu_files()}
    kinds = [kind for kind in there if word == kind or (word == "auto" and there[kind])]
    found = importlib.util.find_spec("jax") and any(
        not _sees("tensorflow", kind) and _sees("jax", kind) for kind in kinds
    )
    jax = several or found
    os.environ["KERAS_BACKEND"] = "jax" if jax else "tensorflow"
    _settled = True


def users_environment():
    """The environment, without the engine that we settled for: of a child that is to choose for
    itself.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not (_settled and name == "KERAS_BACKEND")
    }


def _sees(engine, kind):
    """Ask another process: it holds no TPU when it has ended, and may abort, as tensorflow-tpu
    does with some libtpus.
    """
    code = (
        "import sys; from vgg_tf.runtime import devices; sys.exit(not "
        f"devices._FINDERS['{engine}', '{kind}'](True))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def _engines():
    """Engines in question, the preferred one first: the one that the user or an imported Keras
    has decided for, or both.
    """
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen not in (None, "", "tensorflow", "jax"):
        raise ValueError(
            f"KERAS_BACKEND is {chosen}; vgg_tf runs on tensorflow and on jax. Set one of them, "
            "or unset it."
        )
    return (chosen,) if chosen else ("tensorflow", "jax")


def _loaded():
    """The engine that an imported Keras runs on; None where there is none."""
    return sys.modules["keras"].config.backend() if "keras" in sys.modules else None


def _check_loaded(engine, kind):
    """Raise a ValueError where Keras was imported on another engine."""
    loaded = _loaded()
    if loaded not in (None, engine):
        raise ValueError(
            f"The {kind} is {engine}'s, but Keras was imported on {loaded}. Set "
            f"KERAS_BACKEND={engine} before the first import of keras or vgg_tf, and restart "
            "(the kernel of a notebook)."
        )


def has_jax_for_tpus():
    """Tell whether JAX and libtpu are installed."""
    return all(map(importlib.util.find_spec, ("jax", "libtpu")))


def _tpus_are_taken(engines):
    """Tell whether the machine has TPUs that JAX, which could, did not find: another program has
    them, and a CPU is no TPU.
    """
    asked = (_settled or "jax" in engines) and "tpu" in (os.environ.get("JAX_PLATFORMS") or "tpu")
    return asked and tpu_chips()[1] and has_jax_for_tpus()


def _tensorflow_tpu(asked):
    if not (asked or tpu_chips()[1]):
        return None
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.NotFoundError, tf.errors.InternalError):
        return None  # what builds and machines without a TPU raise
    return _Found(
        tf.config.list_logical_devices("TPU"),
        lambda: tf.distribute.TPUStrategy(resolver),
        "TPUStrategy",
    )


def _tensorflow_gpu(asked):
    import tensorflow as tf

    # Which a strategy shares: the user, or cpu, may have hidden some.
    gpus = tf.config.get_visible_devices("GPU")
    return _Found(gpus, tf.distribute.MirroredStrategy, "MirroredStrategy") if gpus else None


def _tensorflow_cpu(asked):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        tf.config.set_visible_devices([], "GPU")
    return _Found(tf.config.list_physical_devices("CPU")[:1], None, "")


def _jax(kind):
    def find(asked):
        if importlib.util.find_spec("jax") is None or (
            kind == "tpu" and not (asked or tpu_chips()[1])
        ):
            return None
        # Without chips libtpu would ask Google's servers for minutes.
        skip = (
            {}
            if tpu_chips()[1]
            else {"TPU_SKIP_MDS_QUERY": os.environ.get("TPU_SKIP_MDS_QUERY", "1")}
        )
        with scopes.environment(**skip):
            import jax

            try:
                found = jax.devices(kind)
            except RuntimeError:  # no such platform
                return None

        def distribution():
            import keras

            names = [f"{kind}:{device.id}" for device in found]
            return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)

        return _Found(found, distribution, "DataParallel")

    return find


@dataclass(frozen=True)
class _Found:
    """Devices of an engine, what makes them share a batch once Keras runs on it, and its name."""

    devices: list
    distribution: object
    name: str


_FINDERS = {
    ("tensorflow", "tpu"): _tensorflow_tpu,
    ("tensorflow", "gpu"): _tensorflow_gpu,
    ("tensorflow", "cpu"): _tensorflow_cpu,
    ("jax", "tpu"): _jax("tpu"),
    ("jax", "gpu"): _jax("gpu"),
    ("jax", "cpu"): _jax("cpu"),
}


def _devices(kind, engine, found, precision, why):
    n = len(found.devices)
    # TPUStrategy also for one core: nothing else runs TensorFlow's models on a TPU.
    shared = n > 1 or (engine, kind) == ("tensorflow", "tpu")
    distribution = found.distribution() if shared else None
    policy = _best_policy(kind, engine, found.devices) if precision == "auto" else precision
    how = "Keras on " * (engine == "jax") + _ENGINES[engine] + f", {found.name}" * shared
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
        return "mixed_bfloat16" if _compute_capability(engine, devices[0]) >= 8 else "mixed_float16"
    return (
        "mixed_bfloat16"
        if kind == "tpu" or (engine == "tensorflow" and has_bfloat16())
        else "float32"
    )


def _compute_capability(engine, gpu):
    """Major number of NVIDIA's compute capability; 8 and above multiply bfloat16 matrices. 0
    where it is not known.
    """
    if engine == "jax":
        return int(float(getattr(gpu, "compute_capability", 0)))
    import tensorflow as tf

    return tf.config.experimental.get_device_details(gpu).get("compute_capability", (0,))[0]


def shared_by_tensorflow():
    """Tell whether a strategy of TensorFlow's is at work, under which each device would take
    moments of its own part.
    """
    import keras
    import tensorflow as tf

    return keras.config.backend() == "tensorflow" and tf.distribute.has_strategy()


def _missing(kind, engines):
    """What to do where there is no such device."""
    where = f"No {kind.upper()} for {' or '.join(_ENGINES[engine] for engine in engines)} here. "
    if kind == "gpu":
        return (
            where + 'pip install "tensorflow[and-cuda]" (or "jax[cuda12]") where an NVIDIA GPU is, '
            "or use --strategy auto."
        )
    version, n = tpu_chips()
    if n:
        wheel = "" if has_jax_for_tpus() else "They need JAX. "
        return where + (
            f"The machine has {n} chips of TPU {version}. {wheel}"
            'pip install -U "jax[tpu]" keras tensorflow-cpu, unset KERAS_BACKEND or set it to jax, '
            "end other programs that hold the TPU, and restart; or do without: --strategy cpu."
        )
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return (
            where + "Choose Settings, Accelerator, TPU v5e-8, and restart; or use --strategy auto."
        )
    if "COLAB_RELEASE_TAG" in os.environ:
        return (
            where + "Choose Runtime, Change runtime type, v5e-1 TPU or v6e-1 TPU, and restart; or "
            "use --strategy auto."
        )
    return (
        where
        + "No TPU chip is in this machine: use a TPU machine of Kaggle, Colab or Cloud TPU, or "
        "--strategy auto."
    )
