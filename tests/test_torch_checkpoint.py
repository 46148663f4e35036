"""The checkpoint reader against files of the old torch format, written here opcode by opcode."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from activity_cli.errors import BundleError
from activity_cli.streams.torch_checkpoint import read_state_dict

HEADER = [
    pickle.dumps(0x1950A86A20F9469CFC6C, 2),
    pickle.dumps(1001, 2),
    pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 4}}, 2),
]
FLOATS = np.arange(12, dtype="<f4") / 4


def opcodes(value: object) -> bytes:
    """A pickle of a plain value without its first (PROTO 2) and last (STOP) opcode, to be put into others."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(
    key: str,
    offset: int,
    shape: object,
    strides: object,
    *,
    storage: str = "FloatStorage",
    num_elements: int = 12,
) -> bytes:
    persistent_id = (
        b"(" + opcodes("storage") + f"ctorch\n{storage}\n".encode() + opcodes(key) + opcodes("cpu")
        + opcodes(num_elements) + b"NtQ"
    )  # fmt: skip
    arguments = opcodes(offset) + opcodes(shape) + opcodes(strides) + b"\x89" + b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + persistent_id + arguments + b"tR"


def state_dict(**tensors: bytes) -> bytes:
    items = b"".join(opcodes(name) + value for name, value in tensors.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


def checkpoint(tensors: bytes, **storages: np.ndarray) -> list[bytes]:
    data = [len(values).to_bytes(8, "little") + values.tobytes() for values in storages.values()]
    return [*HEADER, tensors, pickle.dumps(list(storages), 2), *data]


def written(folder: Path, parts: list[bytes]) -> Path:
    path = folder / "weights.pth"
    path.write_bytes(b"".join(parts))
    return path


def refusal(path: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture
def small_checkpoint() -> list[bytes]:
    return checkpoint(
        state_dict(
            plain=tensor("a", 0, (3, 4), (4, 1)),
            transposed=tensor("a", 0, (4, 3), (1, 4)),
            column=tensor("a", 1, (3,), (4,)),
            expanded=tensor("a", 7, (2, 5), (0, 1)),
            steps=tensor("b", 0, (), (), storage="LongStorage", num_elements=1),
        ),
        a=FLOATS,
        b=np.array([1234567890123], "<i8"),
    )


def test_tensors_have_the_shape_strides_offset_and_dtype_they_were_saved_with(
    tmp_path: Path, small_checkpoint: list[bytes]
) -> None:
    tensors = read_state_dict(written(tmp_path, small_checkpoint))

    grid = FLOATS.reshape(3, 4)
    assert list(tensors) == ["plain", "transposed", "column", "expanded", "steps"]
    np.testing.assert_array_equal(tensors["plain"], grid)
    np.testing.assert_array_equal(tensors["transposed"], grid.T)
    np.testing.assert_array_equal(tensors["column"], grid[:, 1])
    np.testing.assert_array_equal(tensors["expanded"], [FLOATS[7:12]] * 2)
    assert tensors["steps"].shape == ()
    assert tensors["steps"] == 1234567890123
    assert {name: values.dtype.name for name, values in tensors.items()} == {
        **dict.fromkeys(["plain", "transposed", "column", "expanded"], "float32"),
        "steps": "int64",
    }
    assert not any(values.flags.writeable for values in tensors.values())


class RunsACommand:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("position", range(5))
def test_a_pickle_that_runs_a_command_is_refused_wherever_it_is(
    tmp_path: Path, small_checkpoint: list[bytes], position: int
) -> None:
    ran = tmp_path / "ran"
    hostile = pickle.dumps(RunsACommand(f"touch {ran}"), 2)
    small_checkpoint[position] = hostile

    error = refusal(written(tmp_path, small_checkpoint))

    assert error.code == "weights.unsafe"
    assert "system" in error.message
    assert not ran.exists()
    pickle.loads(hostile)
    assert ran.exists(), "the file would have been harmless, so the test shows nothing"


@pytest.mark.parametrize(
    "name",
    [
        "builtins\neval",
        "torch\nload",
        "torch._utils\n_rebuild_tensor_v2.__globals__",
        "torch\nFloatStorage.__class__",
        "collections\nCounter",
        "numpy\nload",
    ],
)
def test_only_the_names_a_tensor_is_made_of_are_admitted(tmp_path: Path, name: str) -> None:
    parts = checkpoint(b"\x80\x02c" + name.encode() + b"\n.")
    assert refusal(written(tmp_path, parts)).code == "weights.unsafe"


def test_a_pickle_cannot_change_what_it_was_given(tmp_path: Path, small_checkpoint: list[bytes]) -> None:
    build_opcode_sets_attribute = opcodes((None, {"__call__": 1, "marked": 1})) + b"b"
    for name in ("torch._utils\n_rebuild_tensor_v2", "torch\nFloatStorage", "collections\nOrderedDict"):
        parts = checkpoint(b"\x80\x02c" + name.encode() + b"\n" + build_opcode_sets_attribute + b".")
        assert refusal(written(tmp_path, parts)).code == "weights.unreadable"
    assert len(read_state_dict(written(tmp_path, small_checkpoint))) == 5


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (13,), (1,)),
        (1, (12,), (1,)),
        (12, (1,), (1,)),
        (0, (3, 4), (5, 1)),
        (0, (2,), (2**47,)),
        (0, (2**62,), (0,)),
        (0, (13,), (0,)),
        (0, (0, 2**40, 2**40), (1, 1, 1)),
        (-1, (3,), (1,)),
        (11, (3,), (-1,)),
        (0, (-3,), (1,)),
        (0, (3, 4), (1,)),
        (0, (1,) * 70, (1,) * 70),
        (0, (2.0,), (1,)),
        (0, (True,), (1,)),
        (0, "abc", "abc"),
    ],
)
def test_a_tensor_cannot_reach_beyond_its_storage(tmp_path: Path, offset: int, shape: object, strides: object) -> None:
    parts = checkpoint(state_dict(weight=tensor("a", offset, shape, strides)), a=FLOATS)
    error = refusal(written(tmp_path, parts))
    assert error.code == "weights.unreadable"
    assert "'weight'" in error.message


def test_a_file_cut_anywhere_is_refused(tmp_path: Path, small_checkpoint: list[bytes]) -> None:
    whole = b"".join(small_checkpoint)
    for length in range(len(whole)):
        assert refusal(written(tmp_path, [whole[:length]])).code == "weights.unreadable", length


def test_a_damaged_byte_is_refused_or_read_but_never_another_exception(
    tmp_path: Path, small_checkpoint: list[bytes]
) -> None:
    whole = b"".join(small_checkpoint)
    refused = 0
    for position in range(len(whole)):
        for flipped_bits in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= flipped_bits
            try:
                read_state_dict(written(tmp_path, [bytes(damaged)]))
            except BundleError:
                refused += 1
    assert refused > len(whole)


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        (0, 7, "not a torch checkpoint"),
        (1, 1002, "unknown version"),
        (2, {"little_endian": False}, "big-endian"),
        (3, ["weight"], "no dict of named tensors"),
        (3, {"epoch": 3}, "'epoch' is not a tensor"),
        (4, ["a", "c"], "storages"),
    ],
)
def test_other_contents_are_refused_with_the_reason(
    tmp_path: Path, small_checkpoint: list[bytes], part: int, value: object, reason: str
) -> None:
    small_checkpoint[part] = pickle.dumps(value, 2)
    if part == 3:
        small_checkpoint[4:] = [pickle.dumps([], 2)]
    assert reason in refusal(written(tmp_path, small_checkpoint)).message


def test_the_zip_format_and_a_missing_file_are_named(tmp_path: Path) -> None:
    assert "zip format" in refusal(written(tmp_path, [b"PK\x03\x04 and so on"])).message
    assert "missing.pth" in refusal(tmp_path / "missing.pth").message
