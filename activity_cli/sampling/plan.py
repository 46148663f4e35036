"""Which frames of a video make a clip: arithmetic on time stamps, apart from decoding.

A video is seen here only as the times of its frames. ``*`` marks the chosen ones:

    even spacing, 4 of 12     |. * .|. * .|. * .|. * .|   the middle of each of 4 equal parts
    a further clip            |* . .|. . *|. * .|* . .|   a seeded draw from each part
    fixed rate                |. . * . * . * . * . . .|   num_frames at that rate, from the middle
    windows                   |[*.*.*][*.*.*][*.*.*]. |   each window sampled like a video
    short video               |* * *|                     all of it: 3 frames, masked later
"""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from activity_cli.settings import Sampling

__all__ = [
    "Cut",
    "Segment",
    "at_rate",
    "choose_frames",
    "evenly_spaced",
    "evenly_timed",
    "has_steady_rate",
    "plan_cuts",
]

# A gap between two frames that is this many times longer or shorter than usual makes the rate variable.
_UNUSUAL_GAP = 1.5
# Time stamps are stored in ticks of up to a millisecond; times nearer than this are the same.
_SAME_SECONDS = 0.0011


class Segment(NamedTuple):
    """A part of a video, in seconds from its first frame; ``end_seconds`` None: to the end."""

    start_seconds: float = 0.0
    end_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """One clip to be: which frames of which part of a video.

    Attributes:
        segment: Number of the segment it was asked for in.
        take: 0 for the middle frames, 1 and up for those drawn at random.
        start_seconds, end_seconds: The part of the video that it stands for.
        indices: Frames, not falling; they repeat where a short video is held or looped, and are none
            where it is dropped.
    """

    segment: int
    variant: int
    start_seconds: float
    end_seconds: float
    indices: tuple[int, ...]


def plan_cuts(
    times_seconds: Sequence[float], sampling: Sampling, segments: Sequence[Segment] = (Segment(),), key: str = ""
) -> list[Cut]:
    """All clips that ``sampling`` makes of the segments of a video.

    Args:
        times_seconds: When each frame is shown, rising, from the first frame's 0.
        sampling: What to choose.
        segments: The labeled parts of the video.
        key: Names the video, so that draws differ from video to video but not from run to run.

    Returns:
        The cuts in the order of their segments and windows; none for a segment without frames.
    """
    if not times_seconds:
        return []
    steady = has_steady_rate(times_seconds)
    frame_seconds = _usual_gap(times_seconds)
    end_of_video = times_seconds[-1] + frame_seconds
    cuts = []
    for number, segment in enumerate(segments):
        end = end_of_video if segment.end_seconds is None else min(segment.end_seconds, end_of_video)
        for start, stop in _windows(segment.start_seconds, end, sampling):
            first = bisect_left(times_seconds, start - _SAME_SECONDS)
            last = bisect_left(times_seconds, stop - _SAME_SECONDS)
            if first >= last:
                continue
            for variant in range(sampling.clips_per_video):
                rng = random.Random(f"{key}/{number}/{start:.3f}/{variant}") if variant else None
                # A steady video is cut by counting, so that the same frames are chosen at any rate.
                part = None if steady else times_seconds[first:last]
                chosen = _choose(last - first, part, times_seconds[first:last], stop, sampling, rng)
                indices = tuple(first + index for index in _lengthened(chosen, sampling))
                cuts.append(Cut(number, variant, start, stop, indices))
    return cuts


def choose_frames(times_seconds: Sequence[float], sampling: Sampling) -> tuple[int, ...]:
    """Indices of the frames of the first clip of a whole video; none for a video without frames."""
    cuts = plan_cuts(times_seconds, replace(sampling, clips_per_video=1))
    return cuts[0].indices if cuts else ()


def evenly_spaced(num_available: int, num_frames: int, rng: random.Random | None = None) -> tuple[int, ...]:
    """The middle frame of each of ``num_frames`` equal parts; all frames of a shorter video.

    The spacing is the same from both ends, so a reversed video gives the same frames reversed
    wherever the middles are unique. With ``rng``, a frame at random from each part (Wang et al. 2016,
    Temporal Segment Networks: the middle at test time, at random while training).
    """
    if num_available <= num_frames:
        return tuple(range(num_available))
    if rng is None:
        return tuple((2 * part + 1) * num_available // (2 * num_frames) for part in range(num_frames))
    bounds = [part * num_available // num_frames for part in range(num_frames + 1)]
    return tuple(rng.randrange(low, high) for low, high in itertools.pairwise(bounds))


def evenly_timed(
    times_seconds: Sequence[float], end_seconds: float, num_frames: int, rng: random.Random | None = None
) -> tuple[int, ...]:
    """The frame that is on the screen in the middle of each of ``num_frames`` equal times.

    For a variable frame rate: equal numbers of frames would not be equal times. No frame is taken
    twice, so a long still picture gives fewer frames.
    """
    if len(times_seconds) <= num_frames:
        return tuple(range(len(times_seconds)))
    begin, part_seconds = times_seconds[0], (end_seconds - times_seconds[0]) / num_frames
    moments = (begin + (part + (rng.random() if rng else 0.5)) * part_seconds for part in range(num_frames))
    shown = (max(0, bisect_right(times_seconds, moment + _SAME_SECONDS) - 1) for moment in moments)
    return tuple(sorted(set(shown)))


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


def has_steady_rate(times_seconds: Sequence[float]) -> bool:
    """Whether all frames are shown about equally long."""
    usual = _usual_gap(times_seconds)
    gaps = (later - earlier for earlier, later in itertools.pairwise(times_seconds))
    return all(
        usual / _UNUSUAL_GAP <= gap + _SAME_SECONDS and gap - _SAME_SECONDS <= usual * _UNUSUAL_GAP for gap in gaps
    )


def _choose(
    available: int,
    uneven: Sequence[float] | None,
    times_seconds: Sequence[float],
    end_seconds: float,
    sampling: Sampling,
    rng: random.Random | None,
) -> tuple[int, ...]:
    if sampling.frames_per_second is not None:
        return at_rate(times_seconds, sampling.num_frames, sampling.frames_per_second)
    if uneven is not None:
        return evenly_timed(uneven, end_seconds, sampling.num_frames, rng)
    return evenly_spaced(available, sampling.num_frames, rng)


def _lengthened(indices: tuple[int, ...], sampling: Sampling) -> tuple[int, ...]:
    """What becomes of a clip that is shorter than asked for."""
    missing = sampling.num_frames - len(indices)
    if missing <= 0 or sampling.short_clips == "mask":
        return indices
    if sampling.short_clips == "drop":
        return ()
    if sampling.short_clips == "repeat_last":
        return indices + indices[-1:] * missing
    return tuple(indices[place % len(indices)] for place in range(sampling.num_frames))


def _windows(start: float, end: float, sampling: Sampling) -> Iterator[tuple[float, float]]:
    """The whole of a part, or each window in it; what is shorter than a window is one."""
    length = sampling.window_seconds
    if length is None or end - start < length + _SAME_SECONDS:
        yield start, end
        return
    stride, number = sampling.stride_seconds or length, 0
    while start + number * stride + length <= end + _SAME_SECONDS:
        yield start + number * stride, start + number * stride + length
        number += 1


def _usual_gap(times_seconds: Sequence[float]) -> float:
    gaps = [later - earlier for earlier, later in itertools.pairwise(times_seconds)]
    return median(gaps) if gaps else 0.04


def _nearest(times_seconds: Sequence[float], moment: float) -> int:
    right = bisect_left(times_seconds, moment)
    if right == 0:
        return 0
    if right == len(times_seconds):
        return right - 1
    return right if times_seconds[right] - moment < moment - times_seconds[right - 1] else right - 1
