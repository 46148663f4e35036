"""What the streams say of each clip: one ``.npy`` file for each clip and stream, beside the clips.

``streams/<stream>-<version>/<clip>.npy`` holds the rows of motion, pose or hands, ``streams/times/<clip>.npy`` when
each frame is shown. Appearance is computed from the clip itself when a network is trained.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.clips import load_array, remove_stale_arrays, write_array
from activity_cli.errors import DatasetError
from activity_cli.streams.registry import STREAMS

__all__ = ["StreamStore"]

_TIMES = "times"


class StreamStore:
    """The rows of the streams of a prepared folder's clips.

    Args:
        prepared_folder: The prepared folder; the arrays are in ``streams/`` in it.
    """

    def __init__(self, prepared_folder: Path) -> None:
        self.folder = prepared_folder / "streams"

    def path(self, stream: str, clip: str) -> Path:
        """Where the rows of a stream are, for the clip with this file name, such as ``0a1b.npy``."""
        return self.folder / f"{stream}-{STREAMS[stream].version}" / clip

    def times_path(self, clip: str) -> Path:
        """Where the times of the frames of a clip are."""
        return self.folder / _TIMES / clip

    def write(self, clip: str, rows: Mapping[str, npt.NDArray[np.float32]], times_seconds: Sequence[float]) -> None:
        """Writes what the streams say of a clip.

        Args:
            clip: File name of the clip.
            rows: ``float32 [T, width]`` by the name of the stream.
            times_seconds: When each of the T frames is shown.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        for stream, array in rows.items():
            write_array(self.path(stream, clip), array)
        write_array(self.times_path(clip), np.asarray(times_seconds, np.float64))

    def read(self, stream: str, clip: str) -> npt.NDArray[np.float32]:
        """The rows of a clip, ``float32 [T, width]``.

        Raises:
            DatasetError: The file is missing or damaged, or its shape or type is another, or the clip has other frames.
        """
        path = self.path(stream, clip)
        rows: npt.NDArray[np.float32] = np.array(load_array(path))
        width = STREAMS[stream].width
        if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != width or not len(rows):
            held = f"{rows.dtype}{list(rows.shape)}, not float32[T, {width}]"
            raise DatasetError(f"{path} does not hold the {stream} stream: {held}.", _AGAIN)
        if not np.isfinite(rows).all():
            raise DatasetError(f"{path} holds numbers that are not finite.", _AGAIN)
        if len(rows) != (length := len(self.times(clip))):
            raise DatasetError(f"{path} has {len(rows)} frames, but the clip has {length}.", _AGAIN)
        return rows

    def times(self, clip: str) -> npt.NDArray[np.float64]:
        """When each frame of a clip is shown, in seconds from the first frame of the video, ``float64 [T]``.

        Raises:
            DatasetError: The file is missing or damaged, or its shape or type is another.
        """
        path = self.times_path(clip)
        times: npt.NDArray[np.float64] = np.array(load_array(path))
        if times.dtype != np.float64 or times.ndim != 1 or not len(times):
            raise DatasetError(f"{path} does not hold times: {times.dtype}{list(times.shape)}.", _AGAIN)
        if not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise DatasetError(f"{path} holds times that are not finite, or do not rise.", _AGAIN)
        return times

    def has(self, streams: Iterable[str], clip: str, num_frames: int) -> bool:
        """Whether the times of a clip and its rows of all these streams are there, whole, for so many frames."""
        try:
            lengths = {len(self.read(stream, clip)) for stream in streams if stream != "appearance"}
            return {len(self.times(clip)), *lengths} == {num_frames}
        except DatasetError:
            return False

    def remove_stale(self, streams: Collection[str], clips: Collection[str]) -> None:
        """Removes the rows of other streams, versions and clips, and what a killed run left unfinished."""
        kept = {self.path(stream, "").name for stream in streams if stream != "appearance"} | {_TIMES}
        for folder in self.folder.glob("*"):
            if folder.name in kept:
                remove_stale_arrays(folder, clips)
            elif re.fullmatch(rf"({'|'.join(STREAMS)})-\d+", folder.name):
                remove_stale_arrays(folder, ())
                with suppress(OSError):  # something of a person is in it
                    folder.rmdir()


_AGAIN = "Run 'activity prepare' again: it repeats only what is missing."
