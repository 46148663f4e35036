"""A source of video -> clips, each delivered once and final.

The plan of the clips needs the times of all frames, to the last one. The source lists them before anything is decoded,
and decoding proves or refutes each time:

    listed      . . . . . . . . . . . .
    decoded     . . . . . . x               from here on the list is wrong: at the end of the video the true times are
                [*.*.*][*.                  known, and clips that came out wrong are read again

While the list is right, a clip is final as soon as the frame after its part is decoded; from then on at the end of the
video. So an ordinary file is decoded once, and memory holds the clips under way, however long the video is.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from activity_cli.errors import VideoError
from activity_cli.results import VideoInfo
from activity_cli.sampling.plan import Cut, Segment, has_steady_rate, nearest, plan_cuts
from activity_cli.settings import Sampling
from activity_cli.video.fitting import fit_frame
from activity_cli.video.opencv import cv2, translate_cv_error
from activity_cli.video.source import Frame, JumpError, Source
from activity_cli.video.tracking import Track

__all__ = ["Clip", "ClipReader", "FrameDescriber"]

# Time stamps that differ by less are the same: containers and decoders round differently.
_SAME_SECONDS = 0.0006
# Of clips that wait for the end of a video whose list is wrong; more are dropped and read again.
_MOST_WAITING_BYTES = 64 << 20
# Calls of the describer that an executor has not finished; each may hold a full frame.
_MOST_CALLS = 4

Row = npt.NDArray[np.float32]
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The frames of a clip.

    Attributes:
        frames: ``uint8 [T, H, W, 3]``, RGB, ``T <= num_frames``, never padded.
        cut: Which frames of which part of the video they are.
        times_seconds: When each is shown, from the first frame of the video.
        rows: What the streams that need full frames say of each, ``float32 [T, width]`` by the stream's name.
    """

    frames: npt.NDArray[np.uint8]
    cut: Cut
    times_seconds: tuple[float, ...]
    rows: Mapping[str, Row] = field(default_factory=dict)


class FrameDescriber(Protocol):
    """What describes full frames while they are read: :class:`activity_cli.streams.frames.FrameStreams`."""

    @property
    def motion_seconds(self) -> float:
        """Time from a frame to the one that its motion is measured to; 0: motion is not measured."""

    @property
    def tracks(self) -> bool:
        """Whether it follows a person, as a :class:`activity_cli.video.tracking.Tracker`."""

    def follow(self, bgr: npt.NDArray[np.uint8], sample_aspect_ratio: float, region: Any) -> tuple[Row, Any]:
        """The row of the tracked person, and where to look in the next frame."""

    def describe(
        self,
        bgr: npt.NDArray[np.uint8],
        sample_aspect_ratio: float,
        fitted: npt.NDArray[np.uint8],
        pose: Row | None,
    ) -> dict[str, Row]:
        """The rows of the streams that need one frame alone, by name.

        ``fitted`` is that frame in the clip, ``pose`` the row of the tracked person.
        """

    def shrink(self, bgr: npt.NDArray[np.uint8], sample_aspect_ratio: float) -> npt.NDArray[np.uint8]:
        """What measuring motion needs of a frame."""

    def motion(self, earlier: npt.NDArray[np.uint8], later: npt.NDArray[np.uint8], seconds: float) -> Row:
        """The row of the motion stream for two shrunk frames, shown ``seconds`` apart."""


class ClipReader:
    """The clips of a video, in the order in which they become final.

        reader = ClipReader(FileSource(path), sampling)
        for clip in reader: ...
        reader.info

    Args:
        source, segments: The video, and the parts of it to make clips of.
        sampling: Which frames, and how they are fitted to the network's size.
        seed: Of random clips.
        key: Names the video for random clips, as by its content.
        describer: Describes full frames, each once, however many clips it is in; None: clips have no rows.
        executor: Calls the describer while the next frames are decoded, from several threads at once if it has several;
            None: the describer is called in between.

    Attributes:
        info: What is known of the video, once all clips have been read.

    Iterating raises VideoError where the video cannot be decoded, and MemoryError where a frame does not fit into
    memory.
    """

    def __init__(
        self,
        source: Source,
        sampling: Sampling,
        segments: Sequence[Segment] = (Segment(),),
        *,
        seed: int = 0,
        key: str = "",
        describer: FrameDescriber | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._source, self._sampling, self._segments, self._seed, self._key = source, sampling, segments, seed, key
        self._describer, self._executor = describer, executor or _AtOnce()
        self._delivered: set[tuple[int, int, float]] = set()
        self.info = VideoInfo()

    def __iter__(self) -> Iterator[Clip]:
        self._delivered.clear()
        with translate_cv_error(self._source.name):
            for clip in self._read():
                self._delivered.add(_place(clip.cut))
                yield clip

    def _read(self) -> Iterator[Clip]:
        source = self._source
        stamps = source.list_times()
        wanted = self._gathering(stamps).wanted
        if source.worth_jumping(wanted):
            try:
                yield from self._jump(stamps, wanted)
                return
            except JumpError:
                pass  # the container lists wrong times, or the codec cannot jump: reading through always works
        for _ in range(2):
            decoded = yield from self._read_through(stamps)
            self._note(decoded, "decoding")
            if not self._plan(decoded):
                return
            stamps = decoded
        raise VideoError(f"{source.name}: decoding it twice gave different numbers of frames.", "Re-encode the file.")

    def _plan(self, stamps: Sequence[float]) -> list[Cut]:
        """The clips that were not yet delivered."""
        cuts = plan_cuts(self._times(stamps), self._sampling, self._segments, seed=self._seed, key=self._key)
        return [cut for cut in cuts if cut.indices and _place(cut) not in self._delivered]

    def _times(self, stamps: Sequence[float]) -> Sequence[float]:
        """When each frame is shown. Time stamps that do not rise are sorted, or replaced by those of a steady rate.

        Damage confuses a few time stamps; a container without any gives all frames the same.
        """
        if all(earlier < later for earlier, later in pairwise(stamps)):
            return stamps
        rising = array("d", sorted(stamps))
        if all(later - earlier > _SAME_SECONDS for earlier, later in pairwise(rising)):
            return rising
        rate = self._source.info().frames_per_second or 25.0
        return array("d", (index / rate for index in range(len(stamps))))

    def _gathering(self, stamps: Sequence[float]) -> _Gathering:
        return _Gathering(self._plan(stamps), self._times(stamps), self._sampling, self._describer, self._executor)

    def _jump(self, stamps: Sequence[float], wanted: Sequence[int]) -> Iterator[Clip]:
        gathering = self._gathering(stamps)
        for frame in self._source.jump(wanted):
            yield from gathering.add(frame, self._source.info().sample_aspect_ratio)
        self._note(stamps, "packets")

    def _read_through(self, stamps: Sequence[float]) -> Generator[Clip, None, Sequence[float]]:
        """Delivers the clips that come out right with these time stamps; returns the true time stamps."""
        gathering = self._gathering(stamps)
        decoded, waiting = array("d"), list[Clip]()
        agrees = True
        for frame in self._source.read(gathering.wants):
            index = frame.index
            agrees = agrees and index < len(stamps) and abs(frame.time_seconds - stamps[index]) < _SAME_SECONDS
            decoded.append(frame.time_seconds)
            waiting += gathering.add(frame, self._source.info().sample_aspect_ratio)
            if agrees:
                yield from (clip for clip in waiting if clip.cut.stop <= index)
                waiting = [clip for clip in waiting if clip.cut.stop > index]
            elif sum(clip.frames.nbytes for clip in waiting) > _MOST_WAITING_BYTES:
                waiting.clear()
                gathering.clear()
        if not decoded:
            hint = "The file is damaged or its codec is not supported."
            raise VideoError(f"{self._source.name}: no frame can be decoded.", hint)
        times, found = self._times(decoded), {_place(clip.cut): clip for clip in waiting}
        for cut in self._plan(decoded):
            clip = found.get(_place(cut))
            if clip is not None and clip.cut.indices == cut.indices and gathering.is_right(cut, times):
                yield replace(clip, cut=cut, times_seconds=tuple(times[index] for index in cut.indices))
        return decoded

    def _note(self, stamps: Sequence[float], counted_by: str) -> None:
        info, times = self._source.info(), self._times(stamps)
        rate = info.frames_per_second
        frame_seconds = 1 / rate if rate else (times[-1] - times[0]) / max(1, len(times) - 1)
        self.info = replace(
            info,
            num_frames=len(times),
            counted_by=counted_by,
            duration_seconds=round(times[-1] - times[0] + frame_seconds, 6),
            variable_frame_rate=not has_steady_rate(times),
        )


class _Gathering:
    """The frames of the clips under way, fitted and described at once.

    Motion is measured from a frame to a later one, at the end of the video from an earlier one: its ``pair``.
    """

    def __init__(
        self,
        cuts: Sequence[Cut],
        times_seconds: Sequence[float],
        sampling: Sampling,
        describer: FrameDescriber | None,
        executor: Executor,
    ) -> None:
        self._times, self._sampling, self._describer, self._executor = times_seconds, sampling, describer, executor
        self._calls: deque[Future[Any]] = deque()
        self._needed = Counter(index for cut in cuts for index in set(cut.indices))
        self._pairs: dict[int, tuple[int, int]] = {}
        if describer and describer.motion_seconds:
            self._pairs = {index: _pair(index, times_seconds, describer.motion_seconds) for index in self._needed}
        self._measured_at: dict[int, list[int]] = defaultdict(list)
        for index, (_, later) in self._pairs.items():
            self._measured_at[later].append(index)
        self._shrunk_for = Counter(one for pair in self._pairs.values() for one in pair)
        self._track = Track(times_seconds, self._needed, describer) if describer and describer.tracks else None
        self._tracked = frozenset(self._track.frames if self._track else ())
        self._completed_by: dict[int, list[Cut]] = defaultdict(list)
        for cut in cuts:
            self._completed_by[max(max(self._pairs.get(index, (index,))) for index in cut.indices)].append(cut)
        self._frames: dict[int, npt.NDArray[np.uint8]] = {}
        self._rows: dict[int, Future[dict[str, Row]]] = {}
        self._motion: dict[int, Future[Row]] = {}
        self._shrunk: dict[int, npt.NDArray[np.uint8]] = {}

    @property
    def wanted(self) -> list[int]:
        """The frames whose pictures are needed, rising."""
        return sorted({*self._needed, *self._shrunk_for, *self._tracked})

    def wants(self, index: int) -> bool:
        return index in self._needed or index in self._shrunk_for or index in self._tracked

    def add(self, frame: Frame, sample_aspect_ratio: float) -> list[Clip]:
        """Keeps a frame that is wanted; returns the clips that it completes."""
        index, bgr, describer = frame.index, frame.bgr, self._describer
        if bgr is None or not self.wants(index):
            return []
        # In the order of the frames, and so not by the executor.
        pose = self._track.read(index, bgr, sample_aspect_ratio) if self._track and index in self._tracked else None
        if index in self._needed:
            fitted = fit_frame(bgr, self._sampling.frame_size, self._sampling.fit, sample_aspect_ratio)
            self._frames[index] = np.asarray(cv2.cvtColor(fitted, cv2.COLOR_BGR2RGB), np.uint8)
            if describer:
                fitted = self._frames[index]
                self._rows[index] = self._call(describer.describe, bgr, sample_aspect_ratio, fitted, pose)
        if describer and index in self._shrunk_for:
            self._shrunk[index] = describer.shrink(bgr, sample_aspect_ratio)
            for measured in self._measured_at.pop(index, ()):
                self._measure(measured, describer)
        return [self._take(cut) for cut in self._completed_by.pop(index, ())]

    def clear(self) -> None:
        """Gives all clips up: no frame is wanted any more."""
        self._track, self._tracked = None, frozenset()
        for kept in (self._needed, self._pairs, self._shrunk_for, self._measured_at, self._completed_by):
            kept.clear()  # type: ignore[attr-defined]
        for rows in (self._frames, self._rows, self._motion, self._shrunk):
            rows.clear()  # type: ignore[attr-defined]

    def is_right(self, cut: Cut, times_seconds: Sequence[float]) -> bool:
        """Whether a clip's frames were described as these time stamps, the true ones, say."""
        if not self._describer:
            return True
        read = max(max(self._pairs.get(index, (index,))) for index in cut.indices) + 1
        if read > min(len(self._times), len(times_seconds)):
            return False
        return bool(np.abs(np.subtract(self._times[:read], times_seconds[:read])).max() < _SAME_SECONDS)

    def _measure(self, index: int, describer: FrameDescriber) -> None:
        earlier, later = self._pairs[index]
        seconds = self._times[later] - self._times[earlier]
        self._motion[index] = self._call(describer.motion, self._shrunk[earlier], self._shrunk[later], seconds)
        for one in (earlier, later):
            self._shrunk_for[one] -= 1
            if not self._shrunk_for[one]:
                del self._shrunk[one]

    def _call(self, function: Callable[..., _Answer], *arguments: object) -> Future[_Answer]:
        while len(self._calls) >= _MOST_CALLS:
            self._calls.popleft().result()
        future = self._executor.submit(function, *arguments)
        self._calls.append(future)
        return future

    def _take(self, cut: Cut) -> Clip:
        frames = np.stack([self._frames[index] for index in cut.indices])
        each = [self._rows_of(index) for index in cut.indices]
        rows = {name: np.stack([one[name] for one in each]) for name in each[0]}
        for index in set(cut.indices):
            self._needed[index] -= 1
            if not self._needed[index]:
                del self._frames[index]
                self._rows.pop(index, None)
                self._motion.pop(index, None)
        return Clip(frames, cut, tuple(self._times[index] for index in cut.indices), rows)

    def _rows_of(self, index: int) -> dict[str, Row]:
        rows = dict(self._rows[index].result()) if index in self._rows else {}
        return rows | {"motion": self._motion[index].result()} if index in self._motion else rows


class _AtOnce(Executor):
    """Calls a function when it is submitted."""

    def submit(self, function: Callable[..., _Answer], /, *arguments: Any, **keywords: Any) -> Future[_Answer]:
        future: Future[_Answer] = Future()
        future.set_result(function(*arguments, **keywords))
        return future


def _pair(index: int, times_seconds: Sequence[float], motion_seconds: float) -> tuple[int, int]:
    """The frames, earlier and later, that the motion of a frame is measured between; twice itself in a video of one."""
    now, last = times_seconds[index], len(times_seconds) - 1
    later = min(last, max(index + 1, nearest(times_seconds, now + motion_seconds)))
    if later > index and times_seconds[later] - now > motion_seconds / 2:
        return index, later
    return max(0, min(index - 1, nearest(times_seconds, now - motion_seconds))), index


def _place(cut: Cut) -> tuple[int, int, float]:
    return cut.segment, cut.variant, cut.start_seconds
