"""Which numbers the encoder computes in, by what there is to compute with."""

from __future__ import annotations

from pathlib import Path

import pytest

from activity_cli.errors import ConfigError
from activity_cli.model.precision import Hardware, choose_precision, find_hardware, precision_for

NOTHING = Hardware()
PLAIN = Hardware(frozenset({"avx2", "avx512f"}))
ZEN4 = Hardware(frozenset({"avx512f", "avx512_bf16"}), cpu_vendor="AuthenticAMD")
SAPPHIRE_RAPIDS = Hardware(frozenset({"avx512f", "avx512_bf16", "amx_bf16", "amx_tile"}), cpu_vendor="GenuineIntel")
NO_MATRIX_UNITS = Hardware(ZEN4.cpu_flags, cpu_vendor="GenuineIntel")


def gpu(major: int, minor: int) -> Hardware:
    return Hardware(PLAIN.cpu_flags, (major, minor))


@pytest.mark.parametrize(
    ("hardware", "policy"),
    [
        (NOTHING, "float32"),
        (PLAIN, "float32"),
        (ZEN4, "mixed_bfloat16"),
        (SAPPHIRE_RAPIDS, "mixed_bfloat16"),
        (NO_MATRIX_UNITS, "float32"),
        (gpu(0, 0), "float32"),
        (gpu(6, 1), "float32"),
        (gpu(7, 0), "mixed_float16"),
        (gpu(7, 5), "mixed_float16"),
        (gpu(8, 0), "mixed_bfloat16"),
        (gpu(9, 0), "mixed_bfloat16"),
        (gpu(12, 0), "mixed_bfloat16"),
        (Hardware(ZEN4.cpu_flags, (6, 1)), "float32"),  # the GPU computes, whatever the processor can do
    ],
)
def test_auto_takes_what_there_are_units_for(hardware: Hardware, policy: str) -> None:
    assert precision_for("auto", hardware) == policy


@pytest.mark.parametrize("hardware", [PLAIN, ZEN4, gpu(6, 1), gpu(9, 0)])
def test_what_a_user_asks_for_is_done(hardware: Hardware) -> None:
    assert precision_for("float32", hardware) == "float32"
    assert precision_for("bfloat16", hardware) == "mixed_bfloat16"
    if hardware.gpu_capability:
        assert precision_for("float16", hardware) == "mixed_float16"


@pytest.mark.parametrize("hardware", [NOTHING, SAPPHIRE_RAPIDS])
def test_float16_without_a_gpu_is_refused_with_what_to_use_instead(hardware: Hardware) -> None:
    with pytest.raises(ConfigError, match=r"no GPU.*Use 'auto'"):
        precision_for("float16", hardware)


def test_an_unknown_precision_names_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=r"'int8'.*auto, float32, bfloat16, float16"):
        precision_for("int8", PLAIN)


def test_the_flags_of_the_processor_are_read_where_linux_writes_them(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: Some\nflags\t\t: fpu avx2 avx512_bf16\nbugs\t\t: x\n"
        * 2
    )
    found = find_hardware(info)
    assert (found.cpu_flags, found.cpu_vendor) == ({"fpu", "avx2", "avx512_bf16"}, "AuthenticAMD")


def test_a_system_without_that_file_has_no_known_flags(tmp_path: Path) -> None:
    assert find_hardware(tmp_path / "none").cpu_flags == frozenset()


def test_this_machine_gets_a_precision() -> None:
    assert choose_precision("auto") == precision_for("auto", find_hardware())
    assert choose_precision("float32") == "float32"
