"""Arrays in ``.npy`` files, one for each clip and view, read by TensorFlow itself on all cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.errors import DatasetError

__all__ = ["ReadArray", "array_reader"]

# From the numbers of a clip and of a view, both scalars, to the array ``[T, ...]``.
ReadArray = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_Maps = list[list[npt.NDArray[Any]]]
_DTYPES = (np.dtype(np.uint8), np.dtype(np.float16), np.dtype(np.float32))


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
    maps = [[_mapped(path) for path in row] for row in paths]
    first = maps[0][0]
    for row_of_paths, row in zip(paths, maps, strict=True):
        for path, array in zip(row_of_paths, row, strict=True):
            alike = array.dtype == first.dtype and array.shape[1:] == first.shape[1:] and len(array) == len(row[0])
            if not alike or array.dtype not in _DTYPES:
                raise _unusable(path, f"it holds {array.dtype}{list(array.shape)}, which does not fit the others")
    if sum(array.nbytes for row in maps for array in row) <= held_bytes:
        return _held(maps)
    return _on_disk(paths, maps)


def _held(maps: _Maps) -> ReadArray:
    """All arrays one after the other in a single one."""
    lengths = np.array([[len(array) for array in row] for row in maps], np.int64)
    ends = lengths.cumsum().reshape(lengths.shape)
    with tf.device("CPU:0"):  # where batches are made
        content = tf.constant(np.concatenate([array for row in maps for array in row]))
        firsts, lasts = tf.constant(ends - lengths), tf.constant(ends)
    return lambda number, view: content[firsts[number, view] : lasts[number, view]]


def _on_disk(paths: Sequence[Sequence[Path]], maps: _Maps) -> ReadArray:
    dtype, shape = maps[0][0].dtype, maps[0][0].shape[1:]
    with tf.device("CPU:0"):
        names = tf.constant([[str(path) for path in row] for row in paths])
        # Where the numbers begin in each file.
        headers = tf.constant([[array.offset for array in row] for row in maps], tf.int64)  # type: ignore[attr-defined]
        lengths = tf.constant([len(row[0]) for row in maps], tf.int64)

    def read(number: tf.Tensor, view: tf.Tensor) -> tf.Tensor:
        content = tf.strings.substr(tf.io.read_file(names[number, view]), headers[number, view], -1)
        array = tf.reshape(tf.io.decode_raw(content, dtype), [lengths[number], *shape])
        return tf.ensure_shape(array, [None, *shape])

    return read


def _mapped(path: Path) -> npt.NDArray[Any]:
    """Maps a file into memory, which proves that it is whole and reads no more than its header."""
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unusable(path, str(error)) from None
    if not array.ndim or not len(array) or not array.flags.c_contiguous:
        raise _unusable(path, f"it holds {array.dtype}{list(array.shape)}")
    return array


def _unusable(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"{path} cannot be learned from: {reason}.", "Remove it, and run the same command again.")
