"""Read a state dict out of a ``.pth`` file of torch's old format, without torch and without trusting it.

The old (before torch 1.6, not zip) layout is five pickles, one after another, then raw storages::

    magic number | protocol | system info | {name: tensor} | [storage key, ...]
    for each storage key:  int64 number of elements | elements, little-endian

A tensor in the fourth pickle names a storage, an offset, a shape and strides (in elements). A pickle
can name any function of any module to be called, so each of the five goes through an unpickler that
knows the few names a tensor is made of and refuses all others.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.lib.stride_tricks import as_strided

from activity_cli.errors import BundleError

__all__ = ["read_state_dict"]

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_ZIP_SIGNATURE = b"PK\x03\x04"
_MAX_DIMENSIONS = 8
_HINT = "Get the file again from where it came from."

_STORAGE_DTYPES = {
    "ByteStorage": "<u1",
    "CharStorage": "<i1",
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
    "ShortStorage": "<i2",
}


class _Storage(NamedTuple):
    """Where a tensor's elements are: known before the elements are read."""

    key: str
    dtype: str
    num_elements: int


class _Tensor(NamedTuple):
    """A tensor as the pickle describes it; offset and strides count elements, and are not checked yet."""

    storage: object
    offset: object
    shape: object
    strides: object


class _RebuildTensor:
    """Stands in for ``torch._utils._rebuild_tensor_v2``.

    An instance without attributes, and not a function or class, since a pickle may set attributes on
    whatever it was given, and these would outlive the read.
    """

    __slots__ = ()

    def __call__(self, storage: object, offset: object, shape: object, strides: object, *_: object) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)


class _TensorUnpickler(pickle.Unpickler):
    """Admits tensors, ordered dicts and plain values; never imports anything."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _RebuildTensor()
        if module == "torch" and name in _STORAGE_DTYPES:
            return name
        raise BundleError(
            f"The weights file asks for {f'{module}.{name}'[:80]!r}, which is not a part of a tensor; "
            "nothing of it was run.",
            "Do not use this file.",
            code="weights.unsafe",
        )

    def persistent_load(self, pid: Any, /) -> _Storage:
        # torch writes ("storage", type, key, device, number of elements, None); the last was once a view.
        kind, storage_type, key, _, num_elements, view = pid
        if kind != "storage" or view is not None or not _is_count(num_elements) or type(key) is not str:
            raise pickle.UnpicklingError("unknown kind of storage")
        storage = _Storage(key, _STORAGE_DTYPES[storage_type], num_elements)
        if self.storages.setdefault(key, storage) != storage:
            raise pickle.UnpicklingError("one storage described in two ways")
        return storage


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a checkpoint.

    Args:
        path: A ``.pth`` file written by ``torch.save(model.state_dict(), ...)`` in the old format.

    Returns:
        The tensors by name, in the order of the file: read-only views of the file's bytes (so a file
        cannot ask for more memory than it has bytes), with the shape, strides and dtype they were
        saved with.

    Raises:
        BundleError: ``weights.unsafe``: the file names something other than tensors.
            ``weights.unreadable``: it is missing, cut, damaged, or in another format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or type(error).__name__) from error
    if content.startswith(_ZIP_SIGNATURE):
        raise _unreadable(path, "it is in torch's newer zip format, and only the old format is known here")

    file = io.BytesIO(content)
    if _unpickle(file, path)[0] != _MAGIC_NUMBER:
        raise _unreadable(path, "it is not a torch checkpoint")
    if _unpickle(file, path)[0] != _PROTOCOL:
        raise _unreadable(path, "it was written in an unknown version of the format")
    system, _ = _unpickle(file, path)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _unreadable(path, "it was written by a big-endian machine")
    tensors, storages = _unpickle(file, path)
    keys, _ = _unpickle(file, path)
    if not isinstance(tensors, dict) or not all(type(name) is str for name in tensors):
        raise _unreadable(path, "it holds no dict of named tensors")
    elements = _read_storages(content, file.tell(), keys, storages, path)
    return {name: _view(name, tensor, elements, path) for name, tensor in tensors.items()}


def _unpickle(file: io.BytesIO, path: Path) -> tuple[Any, dict[str, _Storage]]:
    """Read the next pickle: its value, and the storages that it speaks of."""
    unpickler = _TensorUnpickler(file)
    try:
        return unpickler.load(), unpickler.storages
    except BundleError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly every type
        raise _unreadable(path, f"it is cut or damaged near byte {file.tell()}") from error


def _read_storages(
    content: bytes, position: int, keys: object, storages: Mapping[str, _Storage], path: Path
) -> dict[str, np.ndarray]:
    """Find each storage's elements, ``[num_elements]``, in the raw bytes that begin at ``position``."""
    if not isinstance(keys, list) or not all(type(key) is str for key in keys) or set(keys) != set(storages):
        raise _unreadable(path, "its list of storages does not fit its tensors")
    elements = {}
    for key in keys:
        _, dtype, num_elements = storages[key]
        if len(content) - position < 8 + num_elements * np.dtype(dtype).itemsize:
            raise _unreadable(path, f"it is cut: it ends after {len(content)} bytes, within a tensor's data")
        if int.from_bytes(content[position : position + 8], "little", signed=True) != num_elements:
            raise _unreadable(path, f"it is damaged near byte {position}")
        elements[key] = np.frombuffer(content, dtype, num_elements, position + 8)
        position += 8 + elements[key].nbytes
    return elements


def _view(name: str, tensor: object, elements: Mapping[str, np.ndarray], path: Path) -> np.ndarray:
    """Lay a tensor's shape over its storage, after proving that no index leads outside of it."""
    if not isinstance(tensor, _Tensor) or not isinstance(tensor.storage, _Storage):
        raise _unreadable(path, f"{name[:80]!r} is not a tensor")
    storage = elements[tensor.storage.key]
    offset, shape, strides = tensor.offset, tensor.shape, tensor.strides
    if not (_is_count(offset) and _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides)):
        raise _unreadable(path, f"{name[:80]!r} has an impossible shape")
    # A stride of 0 repeats elements: not more of them than there are, or a byte becomes a terabyte.
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if not 0 < prod(shape) <= storage.size or last >= storage.size:
        raise _unreadable(path, f"{name[:80]!r} is empty or reaches beyond its data")
    byte_strides = [stride * storage.itemsize for stride in strides]
    view: np.ndarray = as_strided(storage[offset:], shape, byte_strides, writeable=False)
    return view


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**48


def _are_counts(values: object) -> TypeGuard[tuple[int, ...]]:
    return type(values) is tuple and len(values) <= _MAX_DIMENSIONS and all(map(_is_count, values))


def _unreadable(path: Path, reason: str) -> BundleError:
    return BundleError(f"The weights file {path} cannot be read: {reason}.", _HINT, code="weights.unreadable")
