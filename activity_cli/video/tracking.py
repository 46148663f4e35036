"""Which frames a tracker reads to find a person in the frames that are wanted.

A tracker that starts where a clip starts would give a frame other joints in every clip. So it starts anew at fixed
moments of the video, and from there reads frames at a fixed rate:

    video     |. . . . . . . . . . . . . . . . . . . . |
    tracked   |*   *   *   *   *   *   |*   *   *   *  |    | starts anew
    wanted               w           w                      joints of the tracked frame before lead to it

What is found in a frame depends on the video alone. Clips that overlap share what is tracked.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Track", "Tracker"]

# Time from a start to the next, and from a tracked frame to the next.
_START_SECONDS, _STEP_SECONDS = 3.0, 1 / 15
# While nobody is found, every so many tracked frames are searched.
_SEARCH_EVERY = 4
_SAME_SECONDS = 0.0006

Row = npt.NDArray[np.float32]


class Tracker(Protocol):
    """What follows a person from frame to frame."""

    def follow(self, bgr: npt.NDArray[np.uint8], sample_aspect_ratio: float, region: Any) -> tuple[Row, Any]:
        """The row of a frame, and where to look in the next frame; None: nobody was found.

        Args:
            bgr: ``uint8 [H, W, 3]``, blue, green and red.
            sample_aspect_ratio: Width of a stored pixel over its height as it is shown.
            region: Where to look; None: everywhere.
        """


class Track:
    """Follows a person through a video.

    Args:
        times_seconds: When each frame is shown, rising, from 0.
        wanted: The frames that need rows.
        tracker: Finds the person.

    Attributes:
        frames: The frames that are read, rising.
    """

    def __init__(self, times_seconds: Sequence[float], wanted: Collection[int], tracker: Tracker) -> None:
        self._times, self._wanted, self._tracker = times_seconds, frozenset(wanted), tracker
        # The number of each tracked frame, counted from where the tracker starts.
        self._number: dict[int, int] = {}
        last_of: dict[int, int] = {}
        for index in sorted(self._wanted):
            last_of[self._start(index)] = index
        for start, last in last_of.items():
            for number in range(math.ceil(_START_SECONDS / _STEP_SECONDS)):
                moment = start * _START_SECONDS + number * _STEP_SECONDS
                index = bisect_left(times_seconds, moment - _SAME_SECONDS)
                if index > last or self._start(index) != start:
                    break
                self._number.setdefault(index, number)
        self.frames = sorted({*self._wanted, *self._number})
        self._now, self._region = -1, None

    def read(self, index: int, bgr: npt.NDArray[np.uint8], sample_aspect_ratio: float) -> Row | None:
        """The row of a frame; None: it is not wanted. Gets all :attr:`frames`, in their order."""
        start = self._start(index)
        if start != self._now:
            self._now, self._region = start, None
        number = self._number.get(index)
        is_tracked = number is not None and (self._region is not None or number % _SEARCH_EVERY == 0)
        if not is_tracked and index not in self._wanted:
            return None
        row, region = self._tracker.follow(bgr, sample_aspect_ratio, self._region)
        if is_tracked:
            self._region = region
        return row if index in self._wanted else None

    def _start(self, index: int) -> int:
        return int((self._times[index] + _SAME_SECONDS) // _START_SECONDS)
