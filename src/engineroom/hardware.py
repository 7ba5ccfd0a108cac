"""What this machine can compute with, as far as files of the system tell without loading a library."""

from pathlib import Path


def has_gpu() -> bool:
    """Whether an NVIDIA GPU is visible: its device nodes, on bare metal and in containers, or WSL's."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def has_amx() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware (the kernel's flag `amx_bf16`)."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
