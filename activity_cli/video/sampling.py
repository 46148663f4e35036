"""Which frames of a video make a clip: integer arithmetic, apart from decoding.

A video is seen here only as the times of its frames. ``*`` marks the chosen ones:

    even spacing, 4 of 12     |. * .|. * .|. * .|. * .|   the middle of each of 4 equal parts
    fixed rate                |. . * . * . * . * . . .|   num_frames at that rate, from the middle
    short video               |* * *|                     all of it: 3 frames, masked later
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from activity_cli.config import SamplingConfig

__all__ = ["at_rate", "choose_frames", "evenly_spaced"]


def choose_frames(times_seconds: Sequence[float], sampling: SamplingConfig) -> tuple[int, ...]:
    """Indices of the frames that make the clip, rising, without repeats.

    Args:
        times_seconds: When each decoded frame is shown, rising.
        sampling: What to choose.

    Returns:
        At most ``sampling.num_frames`` indices; none for a video without frames.
    """
    if sampling.frames_per_second is None:
        return evenly_spaced(len(times_seconds), sampling.num_frames)
    return at_rate(times_seconds, sampling.num_frames, sampling.frames_per_second)


def evenly_spaced(num_available: int, num_frames: int) -> tuple[int, ...]:
    """The middle frame of each of ``num_frames`` equal parts; all frames of a shorter video.

    The spacing is the same from both ends, so a reversed video gives the same frames reversed
    wherever the middles are unique (Wang et al. 2016, Temporal Segment Networks, at test time).
    """
    if num_available <= num_frames:
        return tuple(range(num_available))
    return tuple((2 * part + 1) * num_available // (2 * num_frames) for part in range(num_frames))


def at_rate(times_seconds: Sequence[float], num_frames: int, frames_per_second: float) -> tuple[int, ...]:
    """Frames nearest to the ticks of a clock, taken from the middle of the video.

    No frame is taken twice: a clock that is faster than the video, or a video that is shorter than the
    clip, gives fewer than ``num_frames``, and the frames still span the same time.
    """
    if not times_seconds:
        return ()
    first, last = times_seconds[0], times_seconds[-1]
    ticks = min(num_frames, int((last - first) * frames_per_second + 1e-6) + 1)
    begin = first + ((last - first) - (ticks - 1) / frames_per_second) / 2
    nearest = (_nearest(times_seconds, begin + tick / frames_per_second) for tick in range(ticks))
    return tuple(sorted(set(nearest)))


def _nearest(times_seconds: Sequence[float], moment: float) -> int:
    right = bisect_left(times_seconds, moment)
    if right == 0:
        return 0
    if right == len(times_seconds):
        return right - 1
    return right if times_seconds[right] - moment < moment - times_seconds[right - 1] else right - 1
