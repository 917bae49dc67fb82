"""The accelerators and CPU instructions of this machine, found without a framework."""

import contextlib
import os
import platform
import re
from pathlib import Path

# PCI device numbers of Google's TPU chips (jax/_src/hardware_utils.py). Google's network cards have
# the same vendor.
_VENDOR = "0x1ae0"
PCI = Path("/sys/bus/pci/devices")
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


def find_tpu_chips():
    """Return the version and the number of the TPU chips in this machine.

    Returns:
        Tuple such as `("v5e", 8)`; `(None, 0)` without TPU chips.
    """
    found = []
    for device in PCI.glob("*"):
        with contextlib.suppress(OSError):
            if (device / "vendor").read_text().strip() == _VENDOR:
                found.append(TPU_CHIPS.get((device / "device").read_text().strip()))
    chips = [version for version in found if version]
    return (chips[0], len(chips)) if chips else (None, 0)


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
