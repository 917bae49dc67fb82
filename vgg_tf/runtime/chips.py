"""The accelerators and CPU instructions of this machine, found without a framework."""

import contextlib
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


def _has_flag(flag):
    info = Path("/proc/cpuinfo")
    return info.exists() and f" {flag}" in info.read_text()
