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

PACKAGES = (
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
    "ISTPUVM",
    "KAGGLE_KERNEL_RUN_TYPE",
    "COLAB_RELEASE_TAG",
)

_INSTALL = "pip install "


def print_report():
    """Print installed versions, the devices that each framework sees, and what to fix."""
    versions, asked = _read_packages()
    own = find_version("vgg_tf") or "not installed"
    print(f"Paste this report into an issue.\nvgg_tf {own}")
    print(f"Python {sys.version.split()[0]} on {platform.platform()}")
    print(f"CPU: {chips.describe_cpu()}")
    for name in _ENVIRONMENT:
        if name in os.environ:
            print(f"{name}={os.environ[name]}")
    for name, version in versions.items():
        pair = f", jax asks for {asked}" if name == "libtpu" and asked else ""
        print(f"  {name:16}{version or '-'}{pair}")
    generation, n = chips.find_tpu_chips()
    print(f"TPU chips in this machine: {f'{n} of {generation}' if n else 'none'}")
    if lost := chips.describe_lost_tpu():
        print(lost)
    for engine, name in engines.NAMES.items():
        print(f"{name} {ask_for_devices(engine, n)}")
    for remedy in list_remedies(versions, n, asked):
        print(f"-> {remedy}")


def _read_packages():
    """Return the installed versions by package, and the versions of libtpu that JAX asks for."""
    versions = {name: find_version(name) for name in PACKAGES}
    return versions, find_asked_libtpu(list_requirements("jax"))


def find_version(name):
    """Return the version of an installed package; None if it is not installed.

    A clone of the repository runs without an installation, so vgg_tf itself may have none.
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def list_requirements(name):
    """Return the requirements of an installed package, extras included.

    Args:
        name: Name of the package.

    Returns:
        List of str, such as `libtpu==0.0.42.*; extra == "tpu"`; empty if it is not installed.
    """
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def find_asked_libtpu(requirements):
    """Return the versions of libtpu that a version of JAX asks for.

    Args:
        requirements: The requirements of jax, as `list_requirements` returns them.

    Returns:
        str, such as `==0.0.42.*`; "" if they do not name libtpu.
    """
    from packaging.requirements import Requirement

    found = map(Requirement, requirements)
    return next((str(each.specifier) for each in found if each.name == "libtpu"), "")


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


def list_remedies(versions, chips, asked=""):
    """Return what to fix, as sentences, and the one command that fixes it.

    The command keeps the versions of an image: it names the JAX that is installed, and never
    upgrades.

    Args:
        versions: Name of each package to its version; None if it is not installed.
        chips: Number of TPU chips in this machine.
        asked: Versions of libtpu that the installed JAX asks for, such as `==0.0.42.*`.

    Returns:
        List of str, at least one.
    """
    faults = [fault for fault, _ in _find_faults(versions, chips, asked)]
    command = find_command(versions, chips, asked)
    return [*faults, f"run: {command}"] if faults else ["nothing to fix"]


def find_command(versions, chips, asked=""):
    """Return the one command that fixes the installed packages; "" if nothing is to fix.

    Args:
        versions: As for `list_remedies`.
        chips: As for `list_remedies`.
        asked: As for `list_remedies`.

    Returns:
        str, such as `pip install "jax[tpu]==0.10.2"`.
    """
    commands = [command for _, command in _find_faults(versions, chips, asked)]
    packages = [word.removeprefix(_INSTALL) for word in commands if word.startswith(_INSTALL)]
    install = [_INSTALL + " ".join(packages)] if packages else []
    return " && ".join([word for word in commands if not word.startswith(_INSTALL)] + install)


def _find_faults(versions, chips, asked):
    """Yield each fault of the installed packages, and the command that fixes it alone.

    tensorflow-tpu 2.20 imports with libtpu 0.0.14 to 0.0.30 and aborts with 0.0.32 and later.
    tensorflow-tpu 2.19.1 needs libtpu 0.0.10.
    """
    from packaging.specifiers import SpecifierSet

    jax, libtpu = versions.get("jax"), versions.get("libtpu")
    pair = f'{_INSTALL}"jax[tpu]{f"=={jax}" * bool(jax)}"'
    names = ["tensorflow", "tensorflow-cpu", "tensorflow-tpu"]
    if versions.get("tensorflow-tpu") and jax:
        yield (
            "tensorflow-tpu and JAX cannot both own the TPU in a process",
            "pip uninstall -y tensorflow-tpu",
        )
        names.remove("tensorflow-tpu")
    elif versions.get("tensorflow-tpu") and libtpu and libtpu not in SpecifierSet("<=0.0.30"):
        yield (
            f"tensorflow-tpu aborts at import with libtpu {libtpu}; 2.19.1 brings its own, for "
            "Python 3.12 or older",
            f"{_INSTALL}tensorflow-tpu==2.19.1",
        )
    if chips and not (jax and libtpu):
        lacking = " and ".join(name for name in ("jax", "libtpu") if not versions.get(name))
        yield f"the TPU needs JAX and libtpu; {lacking} not installed", pair
    elif jax and libtpu and not SpecifierSet(asked).contains(libtpu, prereleases=True):
        yield (
            f"jax {jax} asks for libtpu{asked}, and libtpu {libtpu} is installed: steps can be "
            "slow, and Pallas kernels can fail",
            pair,
        )
    if not any(versions.get(name) for name in names):
        yield "vgg_tf reads data with TensorFlow", f"{_INSTALL}tensorflow-cpu"


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
        versions, asked = _read_packages()
        command = find_command(versions, n, asked)
        return where + (
            f"The machine has {n} chips of TPU {version}. {f'Run {command}. ' * bool(command)}"
            "Unset KERAS_BACKEND or set it to jax. Stop other programs that use the TPU, and "
            "restart. To train without the TPU, use --strategy cpu."
        )
    if lost := chips.describe_lost_tpu():
        return where + lost
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
