"""The devices that TensorFlow and JAX find, and which of the two Keras runs on.

Keras fixes its backend when it is first imported, and TensorFlow imports Keras. So the engine is
chosen before either import, and other processes find out what each engine sees. As a program, with
an engine and a kind of device as arguments, this module exits with 0 if the engine sees such
devices, else with 1.
"""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass

from vgg_tf.runtime import scopes
from vgg_tf.runtime.chips import find_tpu_chips, has_gpu_files

NAMES = {"tensorflow": "TensorFlow", "jax": "JAX"}

_settled = False  # whether `settle` has set KERAS_BACKEND, and not the user


@dataclass(frozen=True)
class Found:
    """The devices that an engine finds.

    Attributes:
        devices: List of the engine's device objects.
        distribution: Function that makes the object which shares a batch among the devices. Call it
            when Keras runs on the engine. None for a single device.
        name: Name of the distribution.
    """

    devices: list
    distribution: object
    name: str


def settle(word="auto", several=False):
    """Set KERAS_BACKEND to the engine that sees the devices.

    Call it before TensorFlow is imported. It does nothing if Keras is imported or KERAS_BACKEND is
    set.

    Args:
        word: `auto`, `tpu`, `gpu` or `cpu`, as for `choose`.
        several: Whether several processes train together, which only JAX can do.
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
    """Return the environment variables for a child process that chooses its own engine.

    Returns:
        dict, the environment without the KERAS_BACKEND that `settle` has set.
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

    Another process runs the check. It frees the TPU when it ends, and it may abort, as
    tensorflow-tpu does with some versions of libtpu.

    Args:
        engine: `tensorflow` or `jax`.
        kind: `tpu`, `gpu` or `cpu`.

    Returns:
        bool.
    """
    words = [sys.executable, "-m", "vgg_tf.runtime.engines", engine, kind]
    return subprocess.run(words, capture_output=True).returncode == 0


def list_engines():
    """Return the engines that may be used, the preferred one first.

    Returns:
        Tuple of `tensorflow`, `jax` or both. It has one if the user or an imported Keras has
            chosen.

    Raises:
        ValueError: KERAS_BACKEND is another backend of Keras.
    """
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen not in (None, "", "tensorflow", "jax"):
        raise ValueError(
            f"KERAS_BACKEND must be tensorflow or jax. Received: {chosen}. Set one of the two, or "
            "unset it."
        )
    return (chosen,) if chosen else ("tensorflow", "jax")


def find_loaded():
    """Return the engine of the Keras that is imported; None if Keras is not imported."""
    return sys.modules["keras"].config.backend() if "keras" in sys.modules else None


def check_loaded(engine, kind):
    """Check that Keras is not imported on another engine.

    Args:
        engine: The engine that is needed, `tensorflow` or `jax`.
        kind: The kind of device that needs it, for the message.

    Raises:
        ValueError: Keras was imported on another engine.
    """
    loaded = find_loaded()
    if loaded not in (None, engine):
        raise ValueError(
            f"The {kind} needs Keras on {engine}. Received: Keras was imported on {loaded}. Set "
            f"KERAS_BACKEND={engine} before the first import of keras or vgg_tf, and restart the "
            "program or the notebook's kernel."
        )


def has_jax_for_tpus():
    """Return whether JAX and libtpu are installed."""
    return all(map(importlib.util.find_spec, ("jax", "libtpu")))


def are_tpus_taken(engines):
    """Return whether the machine has TPUs that JAX supports but did not find.

    Then another program uses them, and the CPU would be a poor replacement.

    Args:
        engines: The engines that were asked.

    Returns:
        True or a false value.
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
        return None  # these errors come from builds and machines without a TPU
    return Found(
        tf.config.list_logical_devices("TPU"),
        lambda: tf.distribute.TPUStrategy(resolver),
        "TPUStrategy",
    )


def _tensorflow_gpu(asked):
    import tensorflow as tf

    # Visible ones only: the user, or --strategy cpu, may have hidden some.
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
        # Without TPU chips, libtpu queries Google's metadata server for minutes.
        skip = (
            {}
            if find_tpu_chips()[1]
            else {"TPU_SKIP_MDS_QUERY": os.environ.get("TPU_SKIP_MDS_QUERY", "1")}
        )
        with scopes.set_environment(**skip):
            import jax

            try:
                found = jax.devices(kind)
            except RuntimeError:  # JAX has no such platform
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
    """Return the devices of a kind that an engine finds.

    Args:
        engine: `tensorflow` or `jax`.
        kind: `tpu`, `gpu` or `cpu`.
        asked: Whether the user asked for this kind. If not, TPUs are looked for only on machines
            with TPU chips.

    Returns:
        `Found`, or None if the engine finds none.
    """
    return FINDERS[engine, kind](asked)


def get_compute_capability(engine, gpu):
    """Return the major number of a GPU's CUDA compute capability.

    GPUs of 8 and above multiply bfloat16 matrices.

    Args:
        engine: `tensorflow` or `jax`.
        gpu: The engine's device object.

    Returns:
        int, 0 if it is not known.
    """
    if engine == "jax":
        return int(float(getattr(gpu, "compute_capability", 0)))
    import tensorflow as tf

    return tf.config.experimental.get_device_details(gpu).get("compute_capability", (0,))[0]


def is_shared_by_tensorflow():
    """Return whether a distribution strategy of TensorFlow is active.

    Under such a strategy, each device would compute batch statistics of its own part of a batch.

    Returns:
        bool.
    """
    import keras
    import tensorflow as tf

    return keras.config.backend() == "tensorflow" and tf.distribute.has_strategy()


def main():
    """Exit with 0 if the engine sees devices of the kind in the arguments, else with 1."""
    engine, kind = sys.argv[1:]
    sys.exit(not find(engine, kind, asked=True))


if __name__ == "__main__":
    main()
