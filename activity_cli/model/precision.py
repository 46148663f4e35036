"""Which numbers the encoder computes in: 16 bits where the processor or GPU has fast units for them.

Weights, the loss and the optimizer stay float32 (Micikevicius et al. 2018, mixed precision training).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from activity_cli.errors import ConfigError

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


__all__ = ["Hardware", "choose_precision", "find_hardware", "precision_for"]

# Units that multiply bfloat16, as Linux names them. Measured with the encoder `small`: a step takes
# 0.5 of the time of float32 with the first, 0.75 with the second on AMD's processors. On Intel's, the
# second multiply no more numbers at once than for float32: 1.25 (where a virtual machine hides the first).
_MATRIX_UNITS, _VECTOR_UNITS = "amx_bf16", "avx512_bf16"
_SLOW_VECTOR_UNITS = "GenuineIntel"
# Compute capability of the first GPUs with units for float16, and for bfloat16.
_FLOAT16_CAPABILITY, _BFLOAT16_CAPABILITY = (7, 0), (8, 0)

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Hardware:
    """What there is to compute with.

    Attributes:
        cpu_flags: What the processor can do, in Linux's words; empty where that is not known.
        gpu_capability: Compute capability of the weakest GPU; None where there is no GPU.
        cpu_vendor: Who made the processor, as it says itself; empty where that is not known.
    """

    cpu_flags: frozenset[str] = frozenset()
    gpu_capability: tuple[int, int] | None = None
    cpu_vendor: str = ""

    @property
    def cpu_gains_from_bfloat16(self) -> bool:
        """Whether the processor computes faster in bfloat16 than in float32."""
        if _MATRIX_UNITS in self.cpu_flags:
            return True
        return _VECTOR_UNITS in self.cpu_flags and self.cpu_vendor != _SLOW_VECTOR_UNITS


def choose_precision(wanted: str) -> str:
    """The Keras dtype policy for this machine.

    Args:
        wanted: One of ``PRECISIONS``.

    Returns:
        ``float32``, ``mixed_bfloat16`` or ``mixed_float16``.

    Raises:
        ConfigError: Not one of them, or float16 without a GPU.
    """
    return precision_for(wanted, find_hardware())


def precision_for(wanted: str, hardware: Hardware) -> str:
    """The Keras dtype policy for some machine; otherwise as :func:`choose_precision`."""
    if wanted not in PRECISIONS:
        raise ConfigError(f"precision is {wanted!r}, which is not known.", f"Allowed: {', '.join(PRECISIONS)}.")
    if wanted == "auto":
        wanted = _fastest(hardware)
    if wanted == "float16" and hardware.gpu_capability is None:
        raise ConfigError(
            "precision is 'float16', but there is no GPU; processors have no units for it.",
            "Use 'auto', 'bfloat16' or 'float32'.",
        )
    return _POLICIES[wanted]


def _fastest(hardware: Hardware) -> str:
    capability = hardware.gpu_capability
    if capability is None:
        return "bfloat16" if hardware.cpu_gains_from_bfloat16 else "float32"
    if capability >= _BFLOAT16_CAPABILITY:
        return "bfloat16"
    return "float16" if capability >= _FLOAT16_CAPABILITY else "float32"


def find_hardware(cpu_info: Path = _CPU_INFO) -> Hardware:
    """Looks at this machine.

    Args:
        cpu_info: Where Linux describes the processor; other systems have no such file.
    """
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    flags, vendor = (
        next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
        for name in ("flags", "vendor_id")
    )
    # (0, 0) for one that does not say, such as those that are not NVIDIA's: float32 works on all.
    capabilities = [
        tuple(tf.config.experimental.get_device_details(gpu).get("compute_capability") or (0, 0))
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return Hardware(frozenset(flags.split()), min(capabilities, default=None), vendor)
