"""The tracker: what is found in a frame depends on the video alone, not on the clips that want the frame."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.video.tracking import Track

BLANK = np.zeros((1, 1, 3), np.uint8)


class Counting:
    """A tracker that finds somebody in the frames of ``seen``, and counts how long it has followed him."""

    def __init__(self, seen: Collection[int] = range(10**6)) -> None:
        self.seen, self.now, self.searched = seen, -1, list[int]()

    def follow(self, bgr: npt.NDArray[np.uint8], sample_aspect_ratio: float, region: Any) -> tuple[Any, Any]:
        if region is None:
            self.searched.append(self.now)
        if self.now not in self.seen:
            return np.zeros(1, np.float32), None
        followed = (region or 0) + 1
        return np.array([followed], np.float32), followed


def rows(times: list[float], wanted: Collection[int], tracker: Counting | None = None) -> dict[int, float]:
    """For how long the tracker had followed the person in each wanted frame."""
    tracker = tracker or Counting()
    track, found = Track(times, wanted, tracker), {}
    for index in track.frames:
        tracker.now = index
        row = track.read(index, BLANK, 1.0)
        if row is not None:
            found[index] = float(row[0])
    return found


def steady(rate: float, seconds: float) -> list[float]:
    return [index / rate for index in range(int(rate * seconds))]


@pytest.mark.parametrize("rate", [5.0, 12.5, 15.0, 25.0, 29.97, 60.0])
def test_a_frame_gets_the_same_row_whatever_else_is_wanted(rate: float) -> None:
    times = steady(rate, 10)
    every = rows(times, range(len(times)))
    assert set(every) == set(range(len(times)))
    rng = np.random.default_rng(0)
    for size in (1, 3, 16):
        wanted = set(rng.choice(len(times), size, replace=False).tolist())
        some = rows(times, wanted)
        assert set(some) == wanted
        assert all(some[index] == every[index] for index in wanted)


def test_it_reads_15_frames_a_second_and_starts_anew_every_3_seconds() -> None:
    times = steady(30, 7)
    assert Track(times, [80], Counting()).frames == list(range(0, 81, 2))
    # Only from the start before: a jump into a long video reads no more.
    assert Track(times, [100], Counting()).frames == [90, 92, 94, 96, 98, 100]
    tracker = Counting()
    assert rows(times, [0, 88, 90, 179, 180], tracker) == {0: 1, 88: 45, 90: 1, 179: 46, 180: 1}
    assert tracker.searched == [0, 90, 180]


def test_frames_between_are_not_lost_to_a_person_who_comes_late() -> None:
    times, tracker = steady(30, 3), Counting(seen=range(20, 1000))
    assert rows(times, [10, 40], tracker) == {10: 0, 40: 9}
    # While nobody is there, every fourth tracked frame is searched, and every wanted one.
    assert tracker.searched == [0, 8, 10, 16, 24]


def test_frames_that_are_shown_at_odd_times_are_tracked_once() -> None:
    times = [0.0, 0.001, 0.5, 0.51, 2.999, 3.0, 3.4, 9.0]
    found = rows(times, range(len(times)))
    assert set(found) == set(range(len(times)))
    assert found[0] == found[5] == found[7] == 1
