"""Arrays in ``.npy`` files, one for each clip and view, read by TensorFlow itself on all cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.errors import DatasetError

__all__ = ["ReadArray", "array_reader"]

# From the numbers of a clip and of a view, both scalars, to the array ``[T, ...]``.
ReadArray = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_DTYPES = (np.dtype(np.uint8), np.dtype(np.float16), np.dtype(np.float32))


class _Layout(NamedTuple):
    """What a file says of itself; its numbers begin after ``header_bytes``."""

    header_bytes: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def array_reader(paths: Sequence[Sequence[Path]], held_bytes: int = 0) -> ReadArray:
    """Makes sure of the files, and says how to read one of them in a graph.

    Args:
        paths: A row for each clip, of as many views as the others; arrays ``[T, ...]``, uint8, float16 or
            float32, alike but for T, which is the same in all views of a clip.
        held_bytes: Where all of them together are no larger, they are held in memory. Otherwise only their
            names are, so that memory hardly grows with the data.

    Raises:
        DatasetError: A file is missing, cut, or unlike the others.
    """
    layouts = [[_layout(path) for path in row] for row in paths]
    first = layouts[0][0]
    for row_of_paths, row in zip(paths, layouts, strict=True):
        for path, (_, dtype, shape) in zip(row_of_paths, row, strict=True):
            if dtype not in _DTYPES or (dtype, shape[1:], shape[0]) != (first.dtype, first.shape[1:], row[0].shape[0]):
                raise _unusable(path, f"it holds {dtype}{list(shape)}, which does not fit the others")
    lengths = np.array([[layout.shape[0] for layout in row] for row in layouts], np.int64)
    if lengths.sum() * np.prod(first.shape[1:], dtype=np.int64) * first.dtype.itemsize <= held_bytes:
        return _held(paths, lengths)
    return _on_disk(paths, layouts)


def _held(paths: Sequence[Sequence[Path]], lengths: npt.NDArray[np.int64]) -> ReadArray:
    """All arrays one after the other in a single one."""
    ends = lengths.cumsum().reshape(lengths.shape)
    with tf.device("CPU:0"):  # where batches are made
        content = tf.constant(np.concatenate([np.load(path, allow_pickle=False) for row in paths for path in row]))
        firsts, lasts = tf.constant(ends - lengths), tf.constant(ends)
    return lambda number, view: content[firsts[number, view] : lasts[number, view]]


def _on_disk(paths: Sequence[Sequence[Path]], layouts: Sequence[Sequence[_Layout]]) -> ReadArray:
    _, dtype, (_, *shape) = layouts[0][0]
    with tf.device("CPU:0"):
        names = tf.constant([[str(path) for path in row] for row in paths])
        headers = tf.constant([[layout.header_bytes for layout in row] for row in layouts], tf.int64)
        lengths = tf.constant([row[0].shape[0] for row in layouts], tf.int64)

    def read(number: tf.Tensor, view: tf.Tensor) -> tf.Tensor:
        content = tf.strings.substr(tf.io.read_file(names[number, view]), headers[number, view], -1)
        array = tf.reshape(tf.io.decode_raw(content, dtype), [lengths[number], *shape])
        return tf.ensure_shape(array, [None, *shape])

    return read


def _layout(path: Path) -> _Layout:
    """Maps a file into memory for a moment, which proves that it is whole and reads no more than its header."""
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unusable(path, str(error)) from None
    if not isinstance(array, np.memmap) or not array.ndim or not len(array) or not array.flags.c_contiguous:
        raise _unusable(path, f"it holds {array.dtype}{list(array.shape)}")
    return _Layout(array.offset, array.dtype, array.shape)


def _unusable(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"{path} cannot be learned from: {reason}.", "Remove it, and run the same command again.")
