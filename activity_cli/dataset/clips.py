"""The cache of decoded clips: one ``.npy`` file each, named by the SHA-256 of all that made it.

The same video is never decoded twice, a killed run goes on where it stopped, and training reads the files without any
decoding. NumPy's own format, without pickles: loading runs no code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.errors import DatasetError
from activity_cli.files import atomic_write, remove_stale_files, translate_os_error
from activity_cli.sampling.plan import Cut
from activity_cli.settings import Sampling

__all__ = ["ClipStore", "cache_key", "clip_name", "load_array", "pixel_identity", "remove_stale_arrays", "write_array"]

# Raised when the same frames are stored with other pixels: clips that were made before are not used any more.
_PIXEL_VERSION = 1
# The names that prepare writes, and so may remove.
_ARRAY_NAME = re.compile(r"[0-9a-f]{32}\.npy")


def cache_key(*parts: object) -> str:
    """The key of a cache entry: 32 hexadecimal digits of the SHA-256 of all that made it, as JSON.

    What does not change the entry stays out, so that a new setting elsewhere leaves the cache as it is.
    """
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def clip_name(content_hash: str, cut: Cut, sampling: Sampling) -> str:
    """File name of one clip of a video with this content."""
    key = cache_key(content_hash, cut.start_seconds, cut.end_seconds, cut.identity, pixel_identity(sampling))
    return f"{key}.npy"


def pixel_identity(sampling: Sampling) -> list[object]:
    """All that decides how a frame is stored, for a cache key."""
    return [_PIXEL_VERSION, sampling.frame_size, sampling.fit]


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Writes an array as ``.npy``, whole or not at all, with the folders above it.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    with translate_os_error(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as aside, aside.open("wb") as file:
        # Into a real file NumPy writes past Python, and then the error of a full disk has no number.
        plain = SimpleNamespace(write=file.write)
        np.lib.format.write_array(plain, np.ascontiguousarray(array), allow_pickle=False)  # type: ignore[arg-type]


def load_array(path: Path) -> npt.NDArray[Any]:
    """Maps the array of a ``.npy`` file into memory; pages are read when they are touched.

    Raises:
        DatasetError: The file is missing, cut, or does not hold one array.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # NumPy parses the header as Python, which fails in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DatasetError(f"{path} is missing or damaged: {reason}.", _AGAIN) from None
    if not isinstance(array, np.ndarray):
        raise DatasetError(f"{path} is damaged: it does not hold one array.", _AGAIN)
    return array


def remove_stale_arrays(folder: Path, keep: Collection[str]) -> None:
    """Removes arrays of ``prepare`` that are not to be kept, and what a killed run left unfinished."""
    kept = frozenset(keep)
    for path in folder.glob("*.npy"):
        if path.name not in kept and _ARRAY_NAME.fullmatch(path.name):
            path.unlink(missing_ok=True)
    remove_stale_files(folder)


class ClipStore:
    """Clips ``uint8 [T, H, W, 3]`` in a folder; with ``frame_size``, only those of this height and width are there."""

    def __init__(self, folder: Path, frame_size: int | None = None) -> None:
        self.folder, self._frame_size = folder, frame_size

    def __contains__(self, name: str) -> bool:
        """Whether a whole clip of this name is there."""
        try:
            self.read(name)
        except DatasetError:
            return False
        return True

    def write(self, name: str, frames: npt.NDArray[np.uint8]) -> None:
        """Writes one clip, as :func:`write_array` does."""
        write_array(self.folder / name, frames)

    def read(self, name: str) -> npt.NDArray[np.uint8]:
        """Maps one clip, ``uint8 [T, H, W, 3]``, RGB, into memory; pages are read when they are touched.

        Raises:
            DatasetError: The file is missing, cut, or not a clip.
        """
        path = self.folder / name
        frames: npt.NDArray[np.uint8] = load_array(path)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.shape[0]:
            raise DatasetError(f"{path} is not a clip: {frames.dtype}{list(frames.shape)}.", _AGAIN)
        if (size := self._frame_size) and frames.shape[1:3] != (size, size):
            raise DatasetError(f"{path} has frames {list(frames.shape[1:3])}, not {[size, size]}.", _AGAIN)
        return frames


_AGAIN = "Run 'activity prepare' again: it repeats only what is missing."
