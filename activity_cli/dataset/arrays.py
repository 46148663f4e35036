"""Arrays in ``.npy`` files, one for each clip, read by TensorFlow itself on all cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.dataset.clips import load_array
from activity_cli.errors import DatasetError

__all__ = ["ReadArray", "array_reader"]

# From the number of a clip, a scalar, to its array ``[T, ...]``.
ReadArray = Callable[[tf.Tensor], tf.Tensor]

_DTYPES = (np.dtype(np.uint8), np.dtype(np.float16), np.dtype(np.float32))


class _Layout(NamedTuple):
    header_bytes: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def array_reader(paths: Sequence[Path], held_bytes: int = 0) -> ReadArray:
    """Checks the files, and returns what reads one of them in a graph.

    Args:
        paths: One for each clip; arrays ``[T, ...]``, uint8, float16 or float32, alike but for T.
        held_bytes: Where all of them together are no larger, they are held in memory. Otherwise only their names are,
            so that memory hardly grows with the data.

    Raises:
        DatasetError: A file is missing, cut, or unlike the others.
    """
    layouts = [_layout(path) for path in paths]
    first = layouts[0]
    for path, (_, dtype, shape) in zip(paths, layouts, strict=True):
        if dtype not in _DTYPES or (dtype, shape[1:]) != (first.dtype, first.shape[1:]):
            raise _unusable(path, f"it holds {dtype}{list(shape)}, which does not fit the others")
    lengths = np.array([layout.shape[0] for layout in layouts], np.int64)
    if lengths.sum() * np.prod(first.shape[1:], dtype=np.int64) * first.dtype.itemsize <= held_bytes:
        return _held(paths, lengths)
    return _on_disk(paths, layouts)


def _held(paths: Sequence[Path], lengths: npt.NDArray[np.int64]) -> ReadArray:
    with tf.device("CPU:0"):  # where batches are made
        content = tf.constant(np.concatenate([np.load(path, allow_pickle=False) for path in paths]))
        starts, ends = tf.constant(lengths.cumsum() - lengths), tf.constant(lengths.cumsum())
    return lambda number: content[starts[number] : ends[number]]


def _on_disk(paths: Sequence[Path], layouts: Sequence[_Layout]) -> ReadArray:
    _, dtype, (_, *shape) = layouts[0]
    with tf.device("CPU:0"):
        names = tf.constant([str(path) for path in paths])
        headers = tf.constant([layout.header_bytes for layout in layouts], tf.int64)
        lengths = tf.constant([layout.shape[0] for layout in layouts], tf.int64)

    def read(number: tf.Tensor) -> tf.Tensor:
        content = tf.strings.substr(tf.io.read_file(names[number]), headers[number], -1)
        array = tf.reshape(tf.io.decode_raw(content, dtype), [lengths[number], *shape])
        return tf.ensure_shape(array, [None, *shape])

    return read


def _layout(path: Path) -> _Layout:
    """Maps a file into memory for a moment, which proves that it is whole and reads no more than its header."""
    array = load_array(path)
    if not isinstance(array, np.memmap) or not array.ndim or not len(array) or not array.flags.c_contiguous:
        raise _unusable(path, f"it holds {array.dtype}{list(array.shape)}")
    return _Layout(array.offset, array.dtype, array.shape)


def _unusable(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"{path} cannot be used for training: {reason}.", "Delete it, and run the same command again.")
