"""predict --timeline: which activity happens when, in one pass over a video of any length."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from activity_cli.errors import BundleError
from activity_cli.model.bundle import Bundle
from activity_cli.results import TimelineSegment, TimelineWindow
from activity_cli.runtime.litert import NetworkRuntime
from activity_cli.runtime.segmentation import Piece, Segmenter
from activity_cli.streams.frames import FrameStreams
from activity_cli.video.live import LiveSource, PipeSource
from activity_cli.video.opencv import FileSource
from activity_cli.video.rows import FrameRow, RowReader
from activity_cli.video.source import Source
from activity_cli.video.tracking import START_SECONDS

__all__ = ["BACKGROUND", "NO_FRAMES", "UNKNOWN", "Timeline", "TimelinePlan", "plan_timeline"]

BACKGROUND, UNKNOWN = "background", "unknown"
NO_FRAMES = "no_frames"

# Of the median training clip. Longer windows see the activity before and after, shorter ones too little of one;
# docs/measurements.md compares them.
_WINDOW_SHARE = 0.5
# Windows that begin within one: more cost little, since frames are shared, and find borders more exactly.
_STRIDES = 8
# Price of a change of the label in nats, what all windows of one moment count together, and the share of a label's
# short clips that an activity lasts at least.
_SWITCH_COST = 1.0
_WEIGHT = 4.0
_SHORTEST_SHARE = 0.7
# Rows that are read ahead of the window that is answered.
_AHEAD = 8

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class TimelinePlan:
    """The windows of a timeline.

    Attributes:
        num_frames: Ticks of the clock in a window; a frame for each is read.
        step_seconds: From a tick to the next.
        stride: Ticks from a window to the next.
        shortest_steps: For each label the least number of windows that an activity lasts.
    """

    num_frames: int
    step_seconds: float
    stride: int
    shortest_steps: tuple[int, ...]

    @property
    def window_seconds(self) -> float:
        return self.num_frames * self.step_seconds

    @property
    def stride_seconds(self) -> float:
        return self.stride * self.step_seconds


def plan_timeline(bundle: Bundle, stride_seconds: float | None) -> TimelinePlan:
    """The windows that fit a model.

    A window is half as long as the median training clip, with frames as close together as in this clip. Where the
    model was trained on windows, it is as long as these.

    Args:
        bundle: The model.
        stride_seconds: From a window to the next, at most a window; None: an eighth of a window.

    Raises:
        BundleError: The bundle does not know how long its training clips are (``model.schema``).
    """
    sampling, data = bundle.sampling, bundle.document.data
    seconds = sampling.window_seconds or data.median_seconds
    num_frames = sampling.num_frames if sampling.window_seconds else max(1, round(sampling.num_frames * _WINDOW_SHARE))
    if not seconds:
        raise BundleError(
            f"{bundle.folder} does not know how long its training clips are.",
            "Train the model again.",
            code="model.schema",
        )
    rate = sampling.frames_per_second or sampling.num_frames / seconds
    step = 1 / rate
    stride = max(1, round(stride_seconds * rate if stride_seconds else num_frames / _STRIDES))
    stride = min(stride, num_frames)
    shortest = (data.shortest_seconds.get(label, 0.0) * _SHORTEST_SHARE for label in bundle.labels)
    steps = tuple(max(1, round(one / (stride * step))) for one in shortest)
    return TimelinePlan(num_frames, step, stride, steps)


class Timeline:
    """Windows and segments of one video, in the order in which they are decided.

    Args:
        bundle: The model.
        network: Its network.
        streams: Describe frames; each reads a part of a file.
        plan: The windows.
        describing: Describes frames while the next ones are decoded.
        is_known: Says of the scores ``[classes]`` of a segment whether they are good enough for a label.
    """

    def __init__(
        self,
        bundle: Bundle,
        network: NetworkRuntime,
        streams: Sequence[FrameStreams],
        plan: TimelinePlan,
        describing: Executor,
        is_known: Callable[[npt.NDArray[np.floating]], bool],
    ) -> None:
        self._bundle, self._network, self._plan, self._describing = bundle, network, plan, describing
        self._streams, self._is_known = streams, is_known
        self._background = frozenset(bundle.document.background)

    def read(
        self, source: Source, name: str, see_row: Callable[[FrameRow], None] | None = None
    ) -> Iterator[TimelineWindow | TimelineSegment]:
        """The windows of a source as soon as each is decided, and the segments as soon as each is final.

        ``see_row`` receives what the streams say of each frame of the windows.

        Segments cover the video from its first frame to its last, without holes.

        Raises:
            VideoError: The source cannot be decoded; what came before is right.
        """
        gap: TimelineSegment | None = None
        for found in self._found(source, name, see_row):
            if isinstance(found, TimelineSegment) and gap and found.reason == gap.reason:
                gap = _joined(gap, found)
            elif isinstance(found, TimelineSegment):
                if gap:
                    yield gap
                gap = found if found.label is None else None
                if not gap:
                    yield found
            else:
                yield found
        if gap:
            yield gap

    def _found(
        self, source: Source, name: str, see_row: Callable[[FrameRow], None] | None
    ) -> Iterator[TimelineWindow | TimelineSegment]:
        plan, last_seconds = self._plan, 0.0
        sources = [source]
        if isinstance(source, FileSource):
            sources += [source.again() for _ in self._streams[1:]]
        sampling, step, parts = self._bundle.sampling, plan.step_seconds, len(sources)
        readers = [
            RowReader(one, sampling, streams, step, self._describing, part, parts)
            for part, (one, streams) in enumerate(zip(sources, self._streams, strict=False))
        ]
        reader, run = readers[0], _Run(plan, 0, 0.0)
        with _rows_of(readers, _AHEAD + math.ceil(START_SECONDS / step) * (parts > 1)) as rows, _stopped(source):
            for window in _windows(_seen(rows, see_row) if see_row else rows, plan):
                if window.number != run.next_number:  # for a while there were no frames
                    yield from self._segments(run.finish(last_seconds + plan.step_seconds / 2), name)
                    end, run = run.end_seconds, _Run(plan, window.number, window.times_seconds[0])
                    yield TimelineSegment(name, None, end, run.end_seconds, None, NO_FRAMES, self._bundle.name)
                probabilities = self._network.answer(window.rows, window.times_seconds)
                start, last_seconds = window.number * plan.stride_seconds, window.times_seconds[-1]
                end = start + plan.window_seconds
                if window.is_last:
                    end = min(end, max(reader.end_seconds, last_seconds))
                yield self._window(window, probabilities, name, start, end)
                yield from self._segments(run.add(probabilities), name)
        yield from self._segments(run.finish(reader.end_seconds), name)
        if reader.failure:
            raise reader.failure

    def _window(
        self, window: _Window, probabilities: npt.NDArray[np.float32], name: str, start: float, end: float
    ) -> TimelineWindow:
        labels, order = self._bundle.labels, np.argsort(-probabilities, kind="stable")
        scores = {labels[number]: float(probabilities[number]) for number in order}
        label, confidence = next(iter(scores.items()))
        frames_used = len(window.times_seconds)
        return TimelineWindow(name, label, start, end, confidence, scores, frames_used, self._bundle.name)

    def _segments(self, pieces: Iterator[tuple[Piece, float, float]], name: str) -> Iterator[TimelineSegment]:
        for piece, start, end in pieces:
            label: str | None = self._bundle.labels[piece.label]
            reason = ""
            if label in self._background:
                label, reason = None, BACKGROUND
            elif not self._is_known(piece.scores):
                label, reason = None, UNKNOWN
            yield TimelineSegment(name, label, start, end, float(piece.scores[piece.label]), reason, self._bundle.name)


def _joined(one: TimelineSegment, following: TimelineSegment) -> TimelineSegment:
    """Two gaps of one reason as one."""
    lengths = [part.end_seconds - part.start_seconds for part in (one, following)]
    confidences = [part.confidence or 0.0 for part in (one, following)]
    mean = float(np.average(confidences, weights=lengths)) if sum(lengths) else confidences[0]
    return replace(one, end_seconds=following.end_seconds, confidence=mean)


class _Run:
    """Consecutive windows, and the segments that they make: borders lie between the middles of two windows.

    Attributes:
        next_number: Of the window that comes next.
        end_seconds: When the last segment ends; before the first one, when that begins.
    """

    def __init__(self, plan: TimelinePlan, first_number: int, start_seconds: float) -> None:
        self._plan, self._first, self._start = plan, first_number, start_seconds
        self.next_number, self.end_seconds = first_number, start_seconds
        self._segmenter = Segmenter(plan.shortest_steps, _SWITCH_COST, _WEIGHT * plan.stride / plan.num_frames)

    def add(self, probabilities: npt.NDArray[np.float32]) -> Iterator[tuple[Piece, float, float]]:
        """Takes the answer of the next window; yields what is final, from when to when."""
        self.next_number += 1
        for piece in self._segmenter.add(probabilities):
            yield from self._between(piece, self._border(piece.start), self._border(piece.stop))

    def finish(self, end_seconds: float) -> Iterator[tuple[Piece, float, float]]:
        """Yields the rest, until the frames end."""
        pieces, end_seconds = list(self._segmenter.finish()), max(end_seconds, self.end_seconds)
        for piece in pieces:
            end = end_seconds if piece is pieces[-1] else min(self._border(piece.stop), end_seconds)
            yield from self._between(piece, self._border(piece.start), end)

    def _border(self, step: int) -> float:
        """Before a window; the first ones may begin before the frames do."""
        if not step:
            return self._start
        middle = (self._first + step) * self._plan.stride_seconds + self._plan.window_seconds / 2
        return max(self._start, middle - self._plan.stride_seconds / 2)

    def _between(self, piece: Piece, start: float, end: float) -> Iterator[tuple[Piece, float, float]]:
        if start < end:
            self.end_seconds = end
            yield piece, start, end


@contextmanager
def _stopped(source: Source) -> Iterator[None]:
    """A source that a thread may be waiting for at the end of the block is stopped."""
    try:
        yield
    finally:
        if isinstance(source, (LiveSource, PipeSource)):
            source.stop()


@dataclass(frozen=True, slots=True)
class _Window:
    number: int
    rows: Mapping[str, npt.NDArray[np.float32]]
    times_seconds: Sequence[float]
    is_last: bool


def _windows(rows: Iterator[FrameRow], plan: TimelinePlan) -> Iterator[_Window]:
    """The windows in which there are frames, each as soon as its last frame is there.

    The last one may be shorter; a video that is shorter than a window is one window.
    """
    kept: deque[FrameRow] = deque()
    number = 0

    def window(is_last: bool = False) -> Iterator[_Window]:
        start = number * plan.stride
        inside = [row for row in kept if start <= row.tick < start + plan.num_frames]
        if inside:
            stacked = {name: np.stack([row.rows[name] for row in inside]) for name in inside[0].rows}
            yield _Window(number, stacked, [row.time_seconds for row in inside], is_last)

    for row in rows:
        while number * plan.stride + plan.num_frames <= row.tick:
            yield from window()
            number += 1
        while kept and kept[0].tick < number * plan.stride:
            kept.popleft()
        kept.append(row)
        if number * plan.stride + plan.num_frames - 1 == row.tick:
            yield from window()
            number += 1
    ended_at = (number - 1) * plan.stride + plan.num_frames
    if kept and (not number or kept[-1].tick >= ended_at):
        yield from window(is_last=True)


def _seen(rows: Iterator[FrameRow], see: Callable[[FrameRow], None]) -> Iterator[FrameRow]:
    for row in rows:
        see(row)
        yield row


@contextmanager
def _rows_of(readers: Sequence[RowReader], ahead: int) -> Iterator[Iterator[FrameRow]]:
    """The rows of all readers in their order, so many of each read ahead by a thread of its own."""
    executors = [ThreadPoolExecutor(1) for _ in readers]
    try:
        parts = [_ahead(iter(one), executor, ahead) for one, executor in zip(readers, executors, strict=True)]
        yield heapq.merge(*parts, key=attrgetter("tick"))
    finally:
        for executor in executors:
            executor.shutdown(cancel_futures=True)


def _ahead(items: Iterator[_Item], executor: ThreadPoolExecutor, number: int) -> Iterator[_Item]:
    waiting: deque[Future[_Item | None]] = deque(executor.submit(next, items, None) for _ in range(number))
    while (item := waiting.popleft().result()) is not None:
        waiting.append(executor.submit(next, items, None))
        yield item
