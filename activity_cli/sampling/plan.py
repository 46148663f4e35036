"""Which clips a video is cut into, and which frames each clip has: arithmetic on time stamps, apart from decoding.

    labeled segments    |.......[......].....[.........]..|    each is cut by itself; without any, the whole video
    windows             |[. . . .][. . . .][. . . .]. . . |    window_seconds each, every stride_seconds
    overlapping ones    |[. . [. .][. . [. .][. .]. . . . |
    a short video       |[. . .]|                              shorter than a window: one clip

A named sampler then chooses the frames of each such span. In its drawing ``.`` is a frame, ``*`` a chosen one, and
``|`` bounds equal parts of the span. A new sampler is one function, listed in ``SAMPLERS``.
"""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from activity_cli.settings import Sampling

__all__ = ["Cut", "Segment", "end_of", "evenly_spaced", "has_steady_rate", "nearest", "plan_cuts", "plan_identity"]

# A gap between two frames that is this many times longer or shorter than usual makes the rate variable.
_UNUSUAL_GAP = 1.5
# Containers store time stamps in ticks of up to a millisecond: times nearer than this are the same.
_SAME_SECONDS = 0.0011


class Segment(NamedTuple):
    """A part of a video.

    Attributes:
        start_seconds, end_seconds: In seconds from its first frame; None: to the end.
        frames: The first and the last frame instead, counted from 0; None for the last: to the end.
        from_file_start: Whether the seconds count from the start of the file instead.
    """

    start_seconds: float = 0.0
    end_seconds: float | None = None
    frames: tuple[int, int | None] | None = None
    from_file_start: bool = False

    def from_first_frame(self, offset_seconds: float) -> Segment:
        """The same part, in seconds from the first frame, which is shown so long after the start of the file."""
        if not self.from_file_start:
            return self
        end = None if self.end_seconds is None else self.end_seconds - offset_seconds
        return Segment(max(0.0, self.start_seconds - offset_seconds), end, self.frames)


class Span(NamedTuple):
    """The frames of a video, of a labeled segment or of a window.

    Attributes:
        times_seconds: When each is shown, rising; at least one.
        end_seconds: When the span ends.
        steady: Whether the video shows all its frames about equally long.
    """

    times_seconds: Sequence[float]
    end_seconds: float
    steady: bool = True


class Sampler(NamedTuple):
    """A named way to choose frames.

    Attributes:
        choose: From a span, the settings and a source of random numbers to at most ``num_frames`` indices into the
            span, rising.
        version: Raised when it chooses other frames: clips of the earlier version are made again.
        settings: Names of the settings that it reads.
    """

    choose: Callable[[Span, Sampling, random.Random], tuple[int, ...]]
    version: int
    settings: tuple[str, ...]


def even(span: Span, sampling: Sampling, _rng: random.Random) -> tuple[int, ...]:
    """The middle frame of each of ``num_frames`` equal parts.

    4 of 12           |. * .|. * .|. * .|. * .|
    variable rate     |.  *  |. .*. .|  .  * |       equal times instead of equal numbers of frames
    3 of 3, short     |*|*|*|
    """
    return _one_of_each_part(span, sampling.num_frames, None)


def random_segments(span: Span, sampling: Sampling, rng: random.Random) -> tuple[int, ...]:
    """A random frame of each of ``num_frames`` equal parts (Wang et al. 2016, Temporal Segment Networks).

    4 of 12           |* . .|. . *|. * .|* . .|
    """
    return _one_of_each_part(span, sampling.num_frames, rng)


def rate(span: Span, sampling: Sampling, _rng: random.Random) -> tuple[int, ...]:
    """The frames nearest to the ticks of a clock, from the middle of the span.

    4 of 12           |. . . * . * . * . * . .|

    It chooses no frame twice: a clock that is faster than the video, or a span that is shorter than the clip, gives
    fewer than ``num_frames``, and the frames still span the same time. A frame that is shown for long takes one tick.
    """
    times, frames_per_second = span.times_seconds, sampling.frames_per_second
    assert frames_per_second is not None
    if not span.steady:
        most = max(1 / frames_per_second, _UNUSUAL_GAP * _usual_gap(times))
        gaps = (min(later - earlier, most) for earlier, later in itertools.pairwise(times))
        times = list(itertools.accumulate(gaps, initial=times[0]))
    first, last = times[0], times[-1]
    ticks = min(sampling.num_frames, int((last - first) * frames_per_second + 1e-6) + 1)
    begin = first + ((last - first) - (ticks - 1) / frames_per_second) / 2
    chosen = (nearest(times, begin + tick / frames_per_second) for tick in range(ticks))
    return tuple(sorted(set(chosen)))


SAMPLERS = {
    "even": Sampler(even, 2, ("num_frames",)),
    "random_segments": Sampler(random_segments, 2, ("num_frames",)),
    "rate": Sampler(rate, 2, ("num_frames", "frames_per_second")),
}


def windows(start: float, end: float, sampling: Sampling) -> Iterator[tuple[float, float]]:
    """Start and end of each window of ``window_seconds`` in a part of a video; each is sampled like a video.

    A part that is shorter than a window, or has none, is one. No cache needs to know of windows: a clip is the same
    whatever gave its start and end.
    """
    length = sampling.window_seconds
    if length is None or end - start < length + _SAME_SECONDS:
        yield start, end
        return
    stride, number = sampling.stride_seconds or length, 0
    while start + number * stride + length <= end + _SAME_SECONDS:
        yield start + number * stride, start + number * stride + length
        number += 1


# What becomes of the indices of a clip with fewer than ``num_frames``.
SHORT_CLIPS: dict[str, Callable[[tuple[int, ...], int], tuple[int, ...]]] = {
    "mask": lambda indices, _: indices,
    "repeat_last": lambda indices, num_frames: indices + indices[-1:] * (num_frames - len(indices)),
    "wrap": lambda indices, num_frames: tuple(itertools.islice(itertools.cycle(indices), num_frames)),
    "drop": lambda _, __: (),
}


@dataclass(frozen=True, slots=True)
class Cut:
    """One clip to read.

    Attributes:
        segment: Number of the segment.
        variant: 0 for the clip of ``even`` or ``rate``, 1 and up for those of ``random_segments``.
        start_seconds, end_seconds: The part of the video, to the microsecond.
        indices: Frames of the video, rising, but where short clips are repeated or wrapped; none where one is dropped.
        stop: Index of the first frame after the part: once it is decoded, nothing later in the video changes the clip.
        identity: All that decides the choice of the frames in this part, for a cache key: the sampler, its version and
            settings, and the seed where something is random.
    """

    segment: int
    variant: int
    start_seconds: float
    end_seconds: float
    indices: tuple[int, ...]
    stop: int
    identity: tuple[object, ...]


def plan_cuts(
    times_seconds: Sequence[float],
    sampling: Sampling,
    segments: Sequence[Segment] = (Segment(),),
    *,
    seed: int = 0,
    key: str = "",
) -> list[Cut]:
    """All clips that ``sampling`` makes of the segments of a video.

    Args:
        times_seconds: When each frame is shown, rising, from the first frame's 0.
        sampling, segments: What to choose, and from which labeled parts of the video.
        seed: Of random clips.
        key: Names the video, so that random clips differ from video to video but not from run to run.

    Returns:
        The cuts in the order of segments, windows and variants; none for a segment without frames.
    """
    if not times_seconds:
        return []
    steady = has_steady_rate(times_seconds)
    end_of_video = end_of(times_seconds)
    names = _sampler_names(sampling)
    cuts = []
    for number, segment in enumerate(segments):
        begin, end = _bounds(segment, times_seconds, end_of_video)
        for start, stop in windows(begin, end, sampling):
            first, last = (bisect_left(times_seconds, time - _SAME_SECONDS) for time in (start, stop))
            if first >= last:
                continue
            span = Span(times_seconds[first:last], stop, steady)
            for variant, name in enumerate(names):
                draw = f"{seed}/{key}/{number}/{start:.3f}/{variant}" if variant else ""
                chosen = SAMPLERS[name].choose(span, sampling, random.Random(draw))
                if len(chosen) < sampling.num_frames:
                    chosen = SHORT_CLIPS[sampling.short_clips](chosen, sampling.num_frames)
                indices = tuple(first + index for index in chosen)
                made_by = (*_identity(name, sampling), draw)
                cuts.append(Cut(number, variant, round(start, 6), round(stop, 6), indices, last, made_by))
    return cuts


def end_of(times_seconds: Sequence[float]) -> float:
    """When the last frame of a video ends: it is shown as long as a usual one."""
    return times_seconds[-1] + _usual_gap(times_seconds)


def _bounds(segment: Segment, times_seconds: Sequence[float], end_of_video: float) -> tuple[float, float]:
    """Start and end of a segment, in seconds from the first frame; both the end of the video for one after it."""
    if segment.frames is None:
        end = segment.end_seconds
        return segment.start_seconds, end_of_video if end is None else min(end, end_of_video)
    # The last frame is part of the segment, so the segment ends where the next one begins.
    bounds = [*times_seconds, end_of_video]
    first, last = (len(times_seconds) if number is None else number for number in segment.frames)
    return bounds[min(first, len(times_seconds))], bounds[min(last + 1, len(times_seconds))]


def plan_identity(sampling: Sampling, seed: int) -> list[object]:
    """All that decides which clips :func:`plan_cuts` makes of the segments of a video, for a cache key."""
    samplers = [_identity(name, sampling) for name in _sampler_names(sampling)]
    return [samplers, sampling.window_seconds, sampling.stride_seconds, seed if len(samplers) > 1 else None]


def _sampler_names(sampling: Sampling) -> list[str]:
    """The sampler of each variant."""
    first = "even" if sampling.frames_per_second is None else "rate"
    return [first, *["random_segments"] * (sampling.clips_per_video - 1)]


def _identity(name: str, sampling: Sampling) -> tuple[object, ...]:
    _, version, settings = SAMPLERS[name]
    return name, version, sampling.short_clips, *((setting, getattr(sampling, setting)) for setting in settings)


def evenly_spaced(num_available: int, num_chosen: int, rng: random.Random | None = None) -> tuple[int, ...]:
    """The middle one of each of ``num_chosen`` equal parts, or a random one; all, if there are no more.

    The spacing is the same from both ends: a reversed video gives the same frames reversed wherever the middles are
    unique.
    """
    if num_available <= num_chosen:
        return tuple(range(num_available))
    if rng is None:
        return tuple((2 * part + 1) * num_available // (2 * num_chosen) for part in range(num_chosen))
    bounds = [part * num_available // num_chosen for part in range(num_chosen + 1)]
    return tuple(rng.randrange(low, high) for low, high in itertools.pairwise(bounds))


def has_steady_rate(times_seconds: Sequence[float]) -> bool:
    """Whether all frames are shown about equally long."""
    usual = _usual_gap(times_seconds)
    gaps = (later - earlier for earlier, later in itertools.pairwise(times_seconds))
    return all(
        usual / _UNUSUAL_GAP <= gap + _SAME_SECONDS and gap - _SAME_SECONDS <= usual * _UNUSUAL_GAP for gap in gaps
    )


def _one_of_each_part(span: Span, num_frames: int, rng: random.Random | None) -> tuple[int, ...]:
    times, end_seconds, steady = span
    if steady or len(times) <= num_frames:
        # Counting instead of time stamps: the same frames at any frame rate.
        return evenly_spaced(len(times), num_frames, rng)
    part_seconds = (end_seconds - times[0]) / num_frames
    moments = (times[0] + (part + (rng.random() if rng else 0.5)) * part_seconds for part in range(num_frames))
    shown = {max(0, bisect_right(times, moment + _SAME_SECONDS) - 1) for moment in moments}
    if len(shown) < num_frames:  # one is shown for long: others take the places that are left
        others = [index for index in range(len(times)) if index not in shown]
        shown |= {others[place] for place in evenly_spaced(len(others), num_frames - len(shown), rng)}
    return tuple(sorted(shown))


def _usual_gap(times_seconds: Sequence[float]) -> float:
    gaps = [later - earlier for earlier, later in itertools.pairwise(times_seconds)]
    return median(gaps) if gaps else 0.04


def nearest(times_seconds: Sequence[float], moment: float) -> int:
    """The index of the time that is nearest to a moment."""
    right = bisect_left(times_seconds, moment)
    beside = range(max(0, right - 1), min(right + 1, len(times_seconds)))
    return min(beside, key=lambda index: abs(times_seconds[index] - moment))
