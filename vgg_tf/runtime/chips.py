"""What this machine has to compute with, as its own files tell, without a framework."""

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
GPUS = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA's, Windows', AMD's


def find_tpu_chips():
    """TPU chips in this machine: their version and number, such as `("v5e", 8)`, or `(None, 0)`."""
    found = []
    for device in PCI.glob("*"):
        with contextlib.suppress(OSError):
            if (device / "vendor").read_text().strip() == _VENDOR:
                found.append(TPU_CHIPS.get((device / "device").read_text().strip()))
    chips = [version for version in found if version]
    return (chips[0], len(chips)) if chips else (None, 0)


def has_gpu_files():
    """Tell whether a driver has made a file for a GPU."""
    return any(Path(place).exists() for place in GPUS)


def has_bfloat16():
    """Tell whether the CPU multiplies bfloat16 in hardware, twice as fast as float32 by AVX-512
    and more by AMX.
    """
    return _has_flag("avx512_bf16") or has_amx()


def has_amx():
    """Tell whether the CPU multiplies tiles of bfloat16 matrices."""
    return _has_flag("amx_bf16")


def has_avx2_only():
    """Tell whether the CPU is of the x86 family and its widest vectors are AVX2's, of 32 bytes."""
    return _has_flag("avx2") and not _has_flag("avx512f")


def _has_flag(flag):
    info = Path("/proc/cpuinfo")
    return info.exists() and f" {flag}" in info.read_text()
