"""Frames that are already in memory, as a source of video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from activity_cli.results import VideoInfo
from activity_cli.video.opencv import cv2
from activity_cli.video.source import Frame, JumpError

__all__ = ["ArraySource"]


class ArraySource:
    """The frames of a video.

    Args:
        frames: ``uint8 [T, H, W, 3]``, RGB, of square pixels.
        times_seconds: When each is shown, rising, from any moment on.

    Raises:
        ValueError: They have another shape or type, or the times do not rise.
    """

    def __init__(self, frames: npt.NDArray[np.uint8], times_seconds: npt.ArrayLike) -> None:
        frames, times = np.asarray(frames), np.asarray(times_seconds, np.float64)
        if frames.ndim != 4 or frames.shape[3] != 3 or not frames.size or frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 [T, H, W, 3], got {frames.dtype}{list(frames.shape)}")
        if times.shape != (len(frames),) or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
            raise ValueError("times_seconds must hold a rising, finite number for each frame")
        self._frames = frames
        self._times: list[float] = (times - times[0]).tolist()

    @property
    def name(self) -> str:
        return "frames"

    def list_times(self) -> Sequence[float]:
        return self._times

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        for index, (frame, time) in enumerate(zip(self._frames, self._times, strict=True)):
            bgr = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), np.uint8) if wants(index) else None
            yield Frame(index, time, bgr)

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        return False

    def jump(self, indices: Sequence[int]) -> Iterator[Frame]:
        raise JumpError

    def info(self) -> VideoInfo:
        height, width = self._frames.shape[1:3]
        return VideoInfo(width=width, height=height)
