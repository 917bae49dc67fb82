"""What each engine, TensorFlow and JAX, finds on this machine, and which of them Keras runs on.

Keras fixes its backend when it is first imported, and TensorFlow imports Keras: so the engine is
settled before either of them is imported, and what an engine sees is asked of another process.
Run as a program, with an engine and a kind of device as arguments, this module exits with 0 if the
engine sees such devices.
"""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass

from vgg_tf.runtime import scopes
from vgg_tf.runtime.chips import find_tpu_chips, has_gpu_files

NAMES = {"tensorflow": "TensorFlow", "jax": "JAX"}

_settled = False  # KERAS_BACKEND is ours, not the user's


@dataclass(frozen=True)
class Found:
    """Devices of an engine.

    Attributes:
        devices: list of them.
        distribution: function that makes what shares a batch among them, once Keras runs on the
            engine; None for a single device.
        name: of the distribution.
    """

    devices: list
    distribution: object
    name: str


def settle(word="auto", several=False):
    """Set KERAS_BACKEND to the engine that sees the devices, before TensorFlow is imported; nothing
    once it is, or is set.

    Args:
        word: as for `choose`.
        several: of several processes, which only JAX connects.
    """
    global _settled
    if len(list_engines()) == 1 or "keras" in sys.modules:
        return
    there = {"tpu": bool(find_tpu_chips()[1]), "gpu": has_gpu_files()}
    kinds = [kind for kind in there if word == kind or (word == "auto" and there[kind])]
    found = importlib.util.find_spec("jax") and any(
        not sees("tensorflow", kind) and sees("jax", kind) for kind in kinds
    )
    jax = several or found
    os.environ["KERAS_BACKEND"] = "jax" if jax else "tensorflow"
    _settled = True


def make_child_environment():
    """The environment, without the engine that we settled for: of a child that is to choose for
    itself.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not (_settled and name == "KERAS_BACKEND")
    }


def is_settled():
    """Return whether `settle` has chosen the engine, and not the user."""
    return _settled


def sees(engine, kind):
    """Return whether an engine sees devices of this kind.

    Another process looks: it holds no TPU when it has ended, and may abort, as tensorflow-tpu does
    with some versions of libtpu.
    """
    words = [sys.executable, "-m", "vgg_tf.runtime.engines", engine, kind]
    return subprocess.run(words, capture_output=True).returncode == 0


def list_engines():
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


def find_loaded():
    """The engine that an imported Keras runs on; None where there is none."""
    return sys.modules["keras"].config.backend() if "keras" in sys.modules else None


def check_loaded(engine, kind):
    """Raise a ValueError where Keras was imported on another engine."""
    loaded = find_loaded()
    if loaded not in (None, engine):
        raise ValueError(
            f"The {kind} is {engine}'s, but Keras was imported on {loaded}. Set "
            f"KERAS_BACKEND={engine} before the first import of keras or vgg_tf, and restart "
            "(the kernel of a notebook)."
        )


def has_jax_for_tpus():
    """Tell whether JAX and libtpu are installed."""
    return all(map(importlib.util.find_spec, ("jax", "libtpu")))


def are_tpus_taken(engines):
    """Tell whether the machine has TPUs that JAX, which could, did not find: another program has
    them, and a CPU is no TPU.
    """
    asked = (_settled or "jax" in engines) and "tpu" in (os.environ.get("JAX_PLATFORMS") or "tpu")
    return asked and find_tpu_chips()[1] and has_jax_for_tpus()


def _tensorflow_tpu(asked):
    if not (asked or find_tpu_chips()[1]):
        return None
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.NotFoundError, tf.errors.InternalError):
        return None  # what builds and machines without a TPU raise
    return Found(
        tf.config.list_logical_devices("TPU"),
        lambda: tf.distribute.TPUStrategy(resolver),
        "TPUStrategy",
    )


def _tensorflow_gpu(asked):
    import tensorflow as tf

    # Which a strategy shares: the user, or cpu, may have hidden some.
    gpus = tf.config.get_visible_devices("GPU")
    return Found(gpus, tf.distribute.MirroredStrategy, "MirroredStrategy") if gpus else None


def _tensorflow_cpu(asked):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        tf.config.set_visible_devices([], "GPU")
    return Found(tf.config.list_physical_devices("CPU")[:1], None, "")


def _jax(kind):
    def find(asked):
        if importlib.util.find_spec("jax") is None or (
            kind == "tpu" and not (asked or find_tpu_chips()[1])
        ):
            return None
        # Without chips libtpu would ask Google's servers for minutes.
        skip = (
            {}
            if find_tpu_chips()[1]
            else {"TPU_SKIP_MDS_QUERY": os.environ.get("TPU_SKIP_MDS_QUERY", "1")}
        )
        with scopes.set_environment(**skip):
            import jax

            try:
                found = jax.devices(kind)
            except RuntimeError:  # no such platform
                return None

        def distribution():
            import keras

            names = [f"{kind}:{device.id}" for device in found]
            return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)

        return Found(found, distribution, "DataParallel")

    return find


FINDERS = {
    ("tensorflow", "tpu"): _tensorflow_tpu,
    ("tensorflow", "gpu"): _tensorflow_gpu,
    ("tensorflow", "cpu"): _tensorflow_cpu,
    ("jax", "tpu"): _jax("tpu"),
    ("jax", "gpu"): _jax("gpu"),
    ("jax", "cpu"): _jax("cpu"),
}


def find(engine, kind, asked):
    """Return the `Found` devices of a kind; None where the engine finds none.

    Args:
        engine: `tensorflow` or `jax`.
        kind: `tpu`, `gpu` or `cpu`.
        asked: the user asked for this kind. Else TPUs are looked for only where the machine has
            TPU chips.
    """
    return FINDERS[engine, kind](asked)


def get_compute_capability(engine, gpu):
    """Major number of NVIDIA's compute capability; 8 and above multiply bfloat16 matrices. 0
    where it is not known.
    """
    if engine == "jax":
        return int(float(getattr(gpu, "compute_capability", 0)))
    import tensorflow as tf

    return tf.config.experimental.get_device_details(gpu).get("compute_capability", (0,))[0]


def is_shared_by_tensorflow():
    """Tell whether a strategy of TensorFlow's is at work, under which each device would take
    moments of its own part.
    """
    import keras
    import tensorflow as tf

    return keras.config.backend() == "tensorflow" and tf.distribute.has_strategy()


def main():
    """Exit with 0 if the engine sees devices of the kind that the arguments name, else with 1."""
    engine, kind = sys.argv[1:]
    sys.exit(not find(engine, kind, asked=True))


if __name__ == "__main__":
    main()
