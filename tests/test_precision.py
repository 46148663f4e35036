"""Which numbers an encoder computes in."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from activity_cli import ConfigError
from activity_cli.model.precision import choose_precision

HAS_GPU = bool(tf.config.list_physical_devices("GPU"))


@pytest.mark.parametrize(("wanted", "policy"), [("float32", "float32"), ("bfloat16", "mixed_bfloat16")])
def test_what_is_asked_for_is_taken(wanted: str, policy: str) -> None:
    assert choose_precision(wanted) == policy


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_auto_is_bfloat16_only_where_the_processor_gains_from_it() -> None:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.is_file() else ""
    has_units = "amx_bf16" in text or ("AuthenticAMD" in text and "avx512_bf16" in text)
    assert choose_precision("auto") == ("mixed_bfloat16" if has_units else "float32")


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_float16_without_a_gpu_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        choose_precision("float16")
    assert "needs a GPU" in caught.value.message
    assert caught.value.setting == "precision"
