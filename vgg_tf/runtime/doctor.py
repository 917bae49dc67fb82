"""Installed versions, visible devices, and what to fix."""

import os
import sys


def print_report():
    """Print what is installed, what each framework sees, and what to do about it."""
    import subprocess
    from importlib import metadata

    from vgg_tf.runtime.chips import tpu_chips

    def version(name):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    print(f"Python {sys.version.split()[0]}")
    for name in (
        "keras",
        "tensorflow",
        "tensorflow-cpu",
        "tensorflow-tpu",
        "jax",
        "jaxlib",
        "libtpu",
        "numpy",
    ):
        print(f"  {name:16}{version(name) or '-'}")
    cuda = any(version(f"jax-cuda{n}-plugin") for n in (12, 13))
    chips, n = tpu_chips()
    print(f"TPU chips in this machine: {f'{n} of {chips}' if n else 'none'}")
    # Each in a process of its own: an import that aborts, or takes the TPU, must not take this one
    # along.
    for name, code in (
        (
            "TensorFlow",
            "import tensorflow as tf; print(*(device.name for device in "
            "tf.config.list_physical_devices()))",
        ),
        ("JAX", "import jax; print(*jax.devices())"),
    ):
        environment = (
            os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | ({} if n else {"TPU_SKIP_MDS_QUERY": "1"})
        )
        if n == 0:
            environment.setdefault("JAX_PLATFORMS", "cuda,cpu" if cuda else "cpu")
        try:
            result = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                env=environment,
                timeout=120,
            )
            words, told = (
                ("sees", result.stdout) if result.returncode == 0 else ("fails:", result.stderr)
            )
            last = told.strip().splitlines()[-1:] or [f"exit code {result.returncode}"]
            print(f"{name} {words} {last[0]}")
        except subprocess.TimeoutExpired:
            print(f"{name} has not answered within two minutes")
    for remedy in remedies(
        {
            name: version(name)
            for name in ("tensorflow-tpu", "tensorflow", "tensorflow-cpu", "jax", "libtpu")
        },
        n,
    ):
        print(f"-> {remedy}")


def remedies(versions, chips):
    """What to do about these versions of packages (None: not installed) on a machine with so many
    TPU chips.

    tensorflow-tpu 2.20 imports with libtpu 0.0.14 to 0.0.30 and aborts with 0.0.32 and later;
    2.19.1 wants 0.0.10.
    """
    found, libtpu = [], versions.get("libtpu")
    if versions.get("tensorflow-tpu"):
        numbers = tuple(int(part) for part in libtpu.split(".")[:3]) if libtpu else ()
        if numbers > (0, 0, 30):
            found.append(
                f"tensorflow-tpu aborts at import with libtpu {libtpu}: pip install "
                "tensorflow-tpu==2.19.1 (Python to 3.12)"
            )
        if versions.get("jax"):
            found.append(
                "tensorflow-tpu and JAX cannot both own the TPU in a process: keep one of them"
            )
    if chips and not (versions.get("jax") and libtpu):
        found.append('the TPU needs JAX: pip install -U "jax[tpu]" keras tensorflow-cpu')
    if not any(versions.get(name) for name in ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")):
        found.append("vgg_tf reads its data by TensorFlow: pip install tensorflow-cpu")
    return found or ["nothing to mend"]
