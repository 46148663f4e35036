"""Which frames a tracker reads to find a person in the frames that are wanted.

A tracker that starts where a clip starts would give a frame other joints in every clip. So it starts anew at fixed
moments of the video, and from there reads frames at a fixed rate:

    video     |. . . . . . . . . . . . . . . . . . . . |
    tracked   |*   *   *   *   *   *   |*   *   *   *  |    | starts anew
    wanted               w           w                      joints of the tracked frame before lead to it

What is found in a frame depends on the video alone. Clips that overlap share what is tracked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["START_SECONDS", "TRACKED_SECONDS", "Follower", "Pace", "Place", "Track", "Tracker"]

# Time from a start to the next.
START_SECONDS = 3.0
# Time from a tracked frame to the next.
TRACKED_SECONDS = 1 / 15
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


class Place(NamedTuple):
    """Where a frame stands among the tracked ones.

    Attributes:
        start: Number of the moment at which the tracker started anew.
        number: Number of the tracked frame since then; None: the frame is not tracked.
    """

    start: int
    number: int | None


class Pace:
    """Says of each frame of a video, one after the other, whether it is tracked."""

    def __init__(self) -> None:
        self._start, self._next = -1, 0

    def place(self, time_seconds: float) -> Place:
        """The place of the next frame, which is shown at this time."""
        time = time_seconds + _SAME_SECONDS
        start = int(time // START_SECONDS)
        if start != self._start:
            self._start, self._next = start, 0
        number = self._next
        if time < start * START_SECONDS + number * TRACKED_SECONDS:
            return Place(start, None)
        while time >= start * START_SECONDS + self._next * TRACKED_SECONDS:
            self._next += 1
        return Place(start, number)


class Follower:
    """Follows a person from frame to frame. Gets the frames in their order.

    Args:
        tracker: Finds the person.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._start = -1
        self._region: Any = None

    def read(self, place: Place, is_wanted: bool, bgr: npt.NDArray[np.uint8], sample_aspect_ratio: float) -> Row | None:
        """The row of a frame that is tracked or wanted; None: it is not wanted."""
        if place.start != self._start:
            self._start, self._region = place.start, None
        number = place.number
        is_tracked = number is not None and (self._region is not None or number % _SEARCH_EVERY == 0)
        if not is_tracked and not is_wanted:
            return None
        row, region = self._tracker.follow(bgr, sample_aspect_ratio, self._region)
        if is_tracked:
            self._region = region
        return row if is_wanted else None


class Track:
    """Follows a person through a video whose time stamps are known.

    Args:
        times_seconds: When each frame is shown, rising, from 0.
        wanted: The frames that need rows.
        tracker: Finds the person.

    Attributes:
        frames: The frames that are read, rising.
    """

    def __init__(self, times_seconds: Sequence[float], wanted: Collection[int], tracker: Tracker) -> None:
        self._wanted, self._follower, pace = frozenset(wanted), Follower(tracker), Pace()
        self._places: dict[int, Place] = {}
        ahead: dict[int, Place] = {}  # tracked if a wanted frame follows before the next start
        for index in range(max(wanted, default=-1) + 1):
            place = pace.place(times_seconds[index])
            if ahead and place.start != next(iter(ahead.values())).start:
                ahead.clear()
            if place.number is not None:
                ahead[index] = place
            if index in self._wanted:
                self._places |= ahead
                self._places[index] = place
                ahead.clear()
        self.frames = sorted(self._places)

    def read(self, index: int, bgr: npt.NDArray[np.uint8], sample_aspect_ratio: float) -> Row | None:
        """The row of a frame; None: it is not wanted. Gets all :attr:`frames`, in their order."""
        return self._follower.read(self._places[index], index in self._wanted, bgr, sample_aspect_ratio)
