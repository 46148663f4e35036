"""A source of video -> a row of numbers for each frame of a clock, in one pass: of an hour of video, of a live source.

    frames    |. . . . . . . . . . . . . . . . . . . . |
    tracked   |*   *   *   *   *   *   |*   *   *   *  |    as in :mod:`activity_cli.video.tracking`
    clock     |    *       *           *       *       |    every ``step_seconds``, from half a step on
    motion    |    . +     . +         . +     . +     |    and the frame 1/15 s later

Where a person is tracked, the clock takes tracked frames: a frame between two of these would be one more to search.

Which frames are read depends on their times alone, so that a file and a live source give the same rows. Each frame
passes through each stream once, and memory holds a few frames, however long the video is.

Following a person takes most of the time, and each frame needs the one before. So several readers share a file: each
follows through its own spans between two starts of the tracker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.errors import VideoError
from activity_cli.settings import Sampling
from activity_cli.video.fitting import fit_frame
from activity_cli.video.opencv import cv2
from activity_cli.video.reader import FrameDescriber, Row
from activity_cli.video.source import Frame, Source
from activity_cli.video.tracking import TRACKED_SECONDS, Follower, Pace, Place

__all__ = ["FrameRow", "RowReader"]

# Time stamps that differ by less are the same: containers and decoders round differently.
_SAME_SECONDS = 0.0006
# Frames that are described at the same time. Each holds a full frame.
_MOST_CALLS = 4
_USUAL_GAP = 1 / 25


@dataclass(frozen=True, slots=True, eq=False)
class FrameRow:
    """A frame of the clock.

    Attributes:
        tick: Number of the clock's tick, from 0.
        time_seconds: When the frame is shown, from the first frame of the video.
        rows: What each stream says of it, ``float32 [width]`` by the stream's name.
    """

    tick: int
    time_seconds: float
    rows: Mapping[str, Row]


class RowReader:
    """Reads the rows of a source once, from its first frame to its last.

    Args:
        source: The video.
        sampling: How frames are fitted to the network's size.
        describer: Describes frames.
        step_seconds: From a tick of the clock to the next.
        executor: Calls the describer while the next frames are decoded.
        part, parts: Number of this reader, from 0, and of all that share the file. Each needs its own source and
            describer.

    Attributes:
        end_seconds: When the last frame that was read ends, from the first frame.
        failure: Why the video cannot be decoded, or not to its end. It is read until then.
    """

    def __init__(
        self,
        source: Source,
        sampling: Sampling,
        describer: FrameDescriber,
        step_seconds: float,
        executor: Executor,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self._part, self._parts = part, parts
        self._source, self._sampling, self._describer, self._executor = source, sampling, describer, executor
        self._step = step_seconds
        self.end_seconds = 0.0
        self.failure: VideoError | None = None

    def __iter__(self) -> Iterator[FrameRow]:
        stamps = self._source.list_times()
        wanted = _Wanted(stamps, self._step, self._describer, self._is_mine)
        times, clock, pace = _Times(), _Clock(self._step, self._describer.tracks), Pace()
        follower = Follower(self._describer) if self._describer.tracks else None
        under_way: deque[_Row] = deque()
        first: Frame | None = None  # until a tick is reached: the only row of a video that is shorter
        for frame in self._frames(wanted):
            wanted.check(frame)
            time, gap = times.next(frame.time_seconds)
            self.end_seconds = time + gap
            place = pace.place(time)
            tick = clock.tick(time, place)
            if tick is not None:
                first = None
            if frame.bgr is None:
                continue
            ratio = self._source.info().sample_aspect_ratio
            self._measure_motion(under_way, frame.bgr, time, gap, ratio)
            if self._is_mine(place):
                pose = follower.read(place, tick is not None, frame.bgr, ratio) if follower else None
                if tick is not None:
                    under_way.append(self._row(tick, time, frame.bgr, ratio, pose))
                elif frame.index == 0:
                    first = frame
            while under_way and under_way[0].is_described and (under_way[0].is_done or len(under_way) > _MOST_CALLS):
                yield under_way.popleft().finish()
        if first and first.bgr is not None:
            ratio = self._source.info().sample_aspect_ratio
            pose = self._describer.follow(first.bgr, ratio, None)[0] if follower else None
            under_way.append(self._row(0, 0.0, first.bgr, ratio, pose))
        while under_way:
            yield under_way.popleft().finish()

    def _is_mine(self, place: Place) -> bool:
        return place.start % self._parts == self._part

    def _frames(self, wanted: _Wanted) -> Iterator[Frame]:
        try:
            yield from self._source.read(wanted)
        except VideoError as error:
            self.failure = error

    def _row(self, tick: int, time: float, bgr: npt.NDArray[np.uint8], ratio: float, pose: Row | None) -> _Row:
        fitted = fit_frame(bgr, self._sampling.frame_size, self._sampling.fit, ratio)
        rgb = np.asarray(cv2.cvtColor(fitted, cv2.COLOR_BGR2RGB), np.uint8)
        described = self._executor.submit(self._describer.describe, bgr, ratio, rgb, pose)
        shrunk = self._describer.shrink(bgr, ratio) if self._describer.motion_seconds else None
        return _Row(tick, time, described, shrunk, self._describer)

    def _measure_motion(
        self, under_way: Sequence[_Row], bgr: npt.NDArray[np.uint8], time: float, gap: float, ratio: float
    ) -> None:
        due = [row for row in under_way if row.shrunk is not None and row.motion is None]
        # The frame that is nearest to the moment, as no later frame can be.
        due = [row for row in due if time + gap / 2 + _SAME_SECONDS >= row.time + self._describer.motion_seconds]
        if due:
            later = self._describer.shrink(bgr, ratio)
            for row in due:
                row.motion = self._executor.submit(self._describer.motion, row.shrunk, later, time - row.time)


@dataclass(slots=True)
class _Row:
    """A row under way. The last one of a video has no later frame: nothing moves in it."""

    tick: int
    time: float
    described: Future[dict[str, Row]]
    shrunk: Any
    describer: FrameDescriber
    motion: Future[Row] | None = None

    @property
    def is_described(self) -> bool:
        """Whether nothing is missing but the end of calculations."""
        return self.shrunk is None or self.motion is not None

    @property
    def is_done(self) -> bool:
        return self.described.done() and (self.motion is None or self.motion.done())

    def finish(self) -> FrameRow:
        rows = dict(self.described.result())
        if self.shrunk is not None:
            rows["motion"] = (
                self.motion.result() if self.motion else self.describer.motion(self.shrunk, self.shrunk, 0.0)
            )
        return FrameRow(self.tick, self.time, rows)


class _Clock:
    def __init__(self, step_seconds: float, tracks: bool) -> None:
        self._step, self._next = step_seconds, 0
        self._only_tracked = tracks and step_seconds >= TRACKED_SECONDS

    def tick(self, time: float, place: Place) -> int | None:
        """The last tick that a frame is the first to reach; None: another frame reaches it."""
        if self._only_tracked and place.number is None:
            return None
        reached = int((time + _SAME_SECONDS) / self._step - 0.5)
        if time + _SAME_SECONDS < 0.5 * self._step or reached < self._next:
            return None
        self._next = reached + 1
        return reached


class _Times:
    """Times that rise, and the time to the next frame: the one before is as good a guess as any."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._gap = _USUAL_GAP

    def next(self, stamp: float) -> tuple[float, float]:
        if self._last is None:
            self._last = stamp
        elif stamp <= self._last:  # a container without time stamps, or a damaged one
            self._last += self._gap
        else:
            self._gap, self._last = stamp - self._last, stamp
        return self._last, self._gap


class _Wanted:
    """Which frames need pictures, by the times that the container lists; all, once one of these proves wrong."""

    def __init__(
        self,
        stamps: Sequence[float],
        step_seconds: float,
        describer: FrameDescriber,
        is_mine: Callable[[Place], bool],
    ) -> None:
        self._stamps = stamps
        self._agrees = bool(len(stamps))
        self._wanted = np.zeros(len(stamps), np.bool_)
        times, clock, pace = _Times(), _Clock(step_seconds, describer.tracks), Pace()
        waiting: list[float] = []
        for index, stamp in enumerate(stamps):
            time, gap = times.next(stamp)
            still = [one for one in waiting if time + gap / 2 + _SAME_SECONDS < one + describer.motion_seconds]
            moves, waiting = len(still) < len(waiting), still
            place = pace.place(time)
            is_tracked = describer.tracks and place.number is not None
            ticks = clock.tick(time, place) is not None
            if ticks and describer.motion_seconds and is_mine(place):
                waiting.append(time)
            self._wanted[index] = moves or ((is_tracked or ticks) and is_mine(place))

    def __call__(self, index: int) -> bool:
        return not self._agrees or index >= len(self._wanted) or bool(self._wanted[index])

    def check(self, frame: Frame) -> None:
        self._agrees = (
            self._agrees
            and frame.index < len(self._stamps)
            and abs(frame.time_seconds - self._stamps[frame.index]) < _SAME_SECONDS
        )
