"""Installed versions, visible devices, and what to fix.

As a program, with `tensorflow` or `jax` as its argument, this module prints the devices that the
framework sees.
"""

import os
import platform
import subprocess
import sys
from importlib import metadata

from vgg_tf.runtime import chips, engines

_PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-tpu",
    "jax",
    "jaxlib",
    "libtpu",
    "numpy",
    "h5py",
    "safetensors",
)
_ENVIRONMENT = (
    "KERAS_BACKEND",
    "KERAS_HOME",
    "JAX_PLATFORMS",
    "XLA_FLAGS",
    "TF_ENABLE_ONEDNN_OPTS",
    "CUDA_VISIBLE_DEVICES",
    "TPU_WORKER_HOSTNAMES",
    "KAGGLE_KERNEL_RUN_TYPE",
    "COLAB_RELEASE_TAG",
)


def print_report():
    """Print installed versions, the devices that each framework sees, and what to fix."""
    versions = {name: find_version(name) for name in _PACKAGES}
    own = find_version("vgg_tf") or "not installed"
    print(f"Paste this report into an issue.\nvgg_tf {own}")
    print(f"Python {sys.version.split()[0]} on {platform.platform()}")
    print(f"CPU: {chips.describe_cpu()}")
    for name in _ENVIRONMENT:
        if name in os.environ:
            print(f"{name}={os.environ[name]}")
    for name, version in versions.items():
        print(f"  {name:16}{version or '-'}")
    generation, n = chips.find_tpu_chips()
    print(f"TPU chips in this machine: {f'{n} of {generation}' if n else 'none'}")
    for engine, name in engines.NAMES.items():
        print(f"{name} {ask_for_devices(engine, n)}")
    for remedy in list_remedies(versions, n):
        print(f"-> {remedy}")


def find_version(name):
    """Return the version of an installed package; None if it is not installed.

    A clone of the repository runs without an installation, so vgg_tf itself may have none.
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def ask_for_devices(engine, chips):
    """Return the devices that a framework sees, as text.

    The import runs in another process. It may abort or take the TPU, which must not affect this
    process.

    Args:
        engine: `tensorflow` or `jax`.
        chips: Number of TPU chips in this machine.

    Returns:
        str, such as `sees /physical_device:CPU:0`, or `fails:` and the last line of the error.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if not chips:
        environment |= {"TPU_SKIP_MDS_QUERY": "1"}
        cuda = any(find_version(f"jax-cuda{n}-plugin") for n in (12, 13))
        environment.setdefault("JAX_PLATFORMS", "cuda,cpu" if cuda else "cpu")
    words = [sys.executable, "-m", "vgg_tf.runtime.doctor", engine]
    try:
        result = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
    except subprocess.TimeoutExpired:
        return "did not answer within 2 minutes"
    verb, said = ("sees", result.stdout) if result.returncode == 0 else ("fails:", result.stderr)
    last = said.strip().splitlines()[-1:] or [f"exit code {result.returncode}"]
    return f"{verb} {last[0]}"


def list_remedies(versions, chips):
    """Return what to fix, as sentences.

    tensorflow-tpu 2.20 imports with libtpu 0.0.14 to 0.0.30 and aborts with 0.0.32 and later.
    tensorflow-tpu 2.19.1 needs libtpu 0.0.10.

    Args:
        versions: Name of each package to its version; None if it is not installed.
        chips: Number of TPU chips in this machine.

    Returns:
        List of str, at least one.
    """
    found, libtpu = [], versions.get("libtpu")
    if versions.get("tensorflow-tpu"):
        numbers = tuple(int(part) for part in libtpu.split(".")[:3]) if libtpu else ()
        if numbers > (0, 0, 30):
            found.append(
                f"tensorflow-tpu aborts at import with libtpu {libtpu}: pip install "
                "tensorflow-tpu==2.19.1 (Python 3.12 or older)"
            )
        if versions.get("jax"):
            found.append(
                "tensorflow-tpu and JAX cannot both own the TPU in a process: uninstall one of them"
            )
    if chips and not (versions.get("jax") and libtpu):
        found.append('the TPU needs JAX: pip install -U "jax[tpu]" keras tensorflow-cpu')
    if not any(versions.get(name) for name in ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")):
        found.append("vgg_tf reads data with TensorFlow: pip install tensorflow-cpu")
    return found or ["nothing to fix"]


def explain_missing(kind, names):
    """Return an error message for a device that does not exist.

    Args:
        kind: `tpu`, `gpu` or `cpu`.
        names: The engines that were asked, `tensorflow`, `jax` or both.

    Returns:
        str: what is missing, and what to do on this machine.
    """
    where = f"No {kind.upper()} found by {' or '.join(engines.NAMES[name] for name in names)}. "
    if kind == "gpu":
        return (
            where + "With an NVIDIA GPU: pip install "
            '"tensorflow[and-cuda]" (or "jax[cuda12]"). Without one: use --strategy auto.'
        )
    version, n = chips.find_tpu_chips()
    if n:
        wheel = "" if engines.has_jax_for_tpus() else "They need JAX. "
        return where + (
            f"The machine has {n} chips of TPU {version}. {wheel}"
            'Run pip install -U "jax[tpu]" keras tensorflow-cpu. Unset KERAS_BACKEND or set it to '
            "jax. Stop other programs that use the TPU, and restart. To train without the TPU, use "
            "--strategy cpu."
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
        where + "This machine has no TPU chip. Use a TPU machine of Kaggle, Colab or Cloud TPU, or "
        "--strategy auto."
    )


def main():
    """Print the devices that one framework sees, `tensorflow` or `jax`, as the argument says."""
    if sys.argv[1] == "tensorflow":
        import tensorflow as tf

        print(*(device.name for device in tf.config.list_physical_devices()))
    else:
        import jax

        print(*jax.devices())


if __name__ == "__main__":
    main()
