"""What an encoder computes in while it is trained: 16 bits where the processor or GPU has fast units for them.

Weights, the loss and the optimizer stay float32 (mixed precision: Micikevicius et al. 2018).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import tensorflow as tf

from activity_cli.errors import ConfigError

__all__ = ["choose_precision"]

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def choose_precision(wanted: str) -> str:
    """The Keras dtype policy for ``auto``, ``float32``, ``bfloat16`` or ``float16`` on this machine.

    Raises:
        ConfigError: float16 without a GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if wanted == "float16" and not gpus:
        raise ConfigError(
            "`precision` cannot be 'float16': it needs a GPU, and TensorFlow finds none.",
            "Use `precision=auto`.",
            setting="precision",
        )
    return _POLICIES[_fastest(gpus) if wanted == "auto" else wanted]


def _fastest(gpus: list[tf.config.PhysicalDevice]) -> str:
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        capability = min(tuple(one.get("compute_capability") or (0, 0)) for one in details)
        return "bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else "float32"
    info = ""
    with suppress(OSError):
        info = Path("/proc/cpuinfo").read_text()
    # With Intel's matrix units a step takes 0.5 of the time of float32, with AMD's vector units 0.65 to 0.8, but with
    # Intel's vector units 1.25.
    fast = "amx_bf16" in info or ("AuthenticAMD" in info and "avx512_bf16" in info)
    return "bfloat16" if fast else "float32"
