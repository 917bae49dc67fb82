"""The accelerators and CPU instructions of this machine, found without a framework."""

import contextlib
import os
import platform
import re
from pathlib import Path

# The driver's files of TPU chips, one a chip: vfio since v5e, accel before. notebooks/ looks at the
# same files before the package is installed.
TPU_FILES = ("dev/vfio/[0-9]*", "dev/accel[0-9]*")
# Variables of TPU sessions: Kaggle's image, Cloud TPU and pods, Colab.
_SESSIONS = (
    "ISTPUVM",
    "TPU_PROCESS_ADDRESSES",
    "TPU_ACCELERATOR_TYPE",
    "TPU_WORKER_HOSTNAMES",
    "TPU_NAME",
    "COLAB_TPU_ADDR",
)
# PCI device numbers of Google's TPU chips (jax/_src/hardware_utils.py). Google's network cards have
# the same vendor.
_VENDOR = "0x1ae0"
TPU_CHIPS = {
    "0x0027": "v3",
    "0x005e": "v4",
    "0x0062": "v5p",
    "0x0063": "v5e",
    "0x006f": "v6e",
    "0x0076": "v7x",
}
# Instructions of x86 CPUs for matrices, the widest first.
_WIDEST = (
    ("amx_bf16", "AMX"),
    ("avx512_bf16", "AVX512-BF16"),
    ("avx512f", "AVX-512"),
    ("avx2", "AVX2"),
)
GPUS = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA, WSL on Windows, AMD


def find_tpu_chips(root="/"):
    """Return the version and the number of the TPU chips in this machine.

    The files of the driver count, because a container may see the PCI devices of chips that it
    cannot open. Other devices have vfio files as well, such as a GPU of a virtual machine. So no
    file counts if the PCI devices are visible and none of them is a TPU.

    Args:
        root: Folder of `dev` and `sys`.

    Returns:
        Tuple such as `("v5e", 8)`; `(None, 0)` without TPU chips. The version is `unknown` if the
        PCI devices are hidden.
    """
    n = sum(len(list(Path(root).glob(pattern))) for pattern in TPU_FILES)
    devices, versions = list(Path(root, "sys/bus/pci/devices").glob("*")), []
    for device in devices:
        with contextlib.suppress(OSError):
            if (device / "vendor").read_text().strip() == _VENDOR:
                versions.append(TPU_CHIPS.get((device / "device").read_text().strip()))
    version = next(filter(None, versions), None if devices else "unknown")
    return (version, n) if n and version else (None, 0)


def describe_lost_tpu(environment=None, root="/"):
    """Return one line for a TPU session without a TPU device; "" for other machines.

    Args:
        environment: Environment variables; None is those of this process.
        root: Folder of `dev` and `sys`.

    Returns:
        str.
    """
    environment = os.environ if environment is None else environment
    name = next((name for name in _SESSIONS if environment.get(name)), None)
    if name is None or find_tpu_chips(root)[1]:
        return ""
    return (
        "A TPU session must have a TPU device, /dev/vfio/[0-9]* or /dev/accel[0-9]*. Received: "
        f"{name}={environment[name]} without such a device. Restart the session with a TPU."
    )


def has_gpu_files():
    """Return whether a driver has created a device file of a GPU."""
    return any(Path(place).exists() for place in GPUS)


def has_bfloat16():
    """Return whether the CPU multiplies bfloat16 in hardware.

    With AVX-512 this is twice as fast as float32. With AMX it is faster still.

    Returns:
        bool.
    """
    return _has_flag("avx512_bf16") or has_amx()


def has_amx():
    """Return whether the CPU multiplies tiles of bfloat16 matrices (AMX)."""
    return _has_flag("amx_bf16")


def has_avx2_only():
    """Return whether the CPU is an x86 and its widest vectors are those of AVX2 (32 bytes)."""
    return _has_flag("avx2") and not _has_flag("avx512f")


def describe_cpu():
    """Return the cores, the name and the widest arithmetic of the CPU in one line.

    Returns:
        str, such as `2 cores, AMD EPYC 9B45 with AVX512-BF16`.
    """
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", info.read_text() if info.exists() else "", re.M)
    name = re.sub(r"\((R|TM)\)", "", found[1]) if found else platform.processor()
    widest = next((words for flag, words in _WIDEST if _has_flag(flag)), None)
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = f"{n} core{'s' * (n != 1)}"
    return f"{cores}, {name or platform.machine()}{f' with {widest}' if widest else ''}"


def _has_flag(flag):
    info = Path("/proc/cpuinfo")
    return info.exists() and f" {flag}" in info.read_text()
