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
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from activity_cli.errors import VideoError
from activity_cli.results import VideoInfo
from activity_cli.sampling.plan import Cut, Segment, has_steady_rate, plan_cuts
from activity_cli.settings import Sampling
from activity_cli.video.fitting import fit_frame
from activity_cli.video.opencv import cv2, translate_cv_error
from activity_cli.video.source import Frame, JumpError, Source

__all__ = ["Clip", "ClipReader"]

# Time stamps that differ by less are the same: containers and decoders round differently.
_SAME_SECONDS = 0.0006
# Of clips that wait for the end of a video whose list is wrong; more are dropped and read again.
_MOST_WAITING_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The frames of a clip.

    Attributes:
        frames: ``uint8 [T, H, W, 3]``, RGB, ``T <= num_frames``, never padded.
        cut: Which frames of which part of the video they are.
        times_seconds: When each is shown, from the first frame of the video.
    """

    frames: npt.NDArray[np.uint8]
    cut: Cut
    times_seconds: tuple[float, ...]


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
    ) -> None:
        self._source, self._sampling, self._segments, self._seed, self._key = source, sampling, segments, seed, key
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
        wanted = sorted({index for cut in self._plan(stamps) for index in cut.indices})
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
        """When each frame is shown; time stamps that do not rise are replaced by those of a steady rate."""
        if all(earlier < later for earlier, later in pairwise(stamps)):
            return stamps
        rate = self._source.info().frames_per_second or 25.0
        return array("d", (index / rate for index in range(len(stamps))))

    def _jump(self, stamps: Sequence[float], wanted: Sequence[int]) -> Iterator[Clip]:
        gathering = _Gathering(self._plan(stamps), stamps, self._sampling)
        for frame in self._source.jump(wanted):
            yield from gathering.add(frame, self._source.info().sample_aspect_ratio)
        self._note(stamps, "packets")

    def _read_through(self, stamps: Sequence[float]) -> Generator[Clip, None, Sequence[float]]:
        """Delivers the clips that come out right with these time stamps; returns the true time stamps."""
        gathering = _Gathering(self._plan(stamps), self._times(stamps), self._sampling)
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
            if (clip := found.get(_place(cut))) is not None and clip.cut.indices == cut.indices:
                yield Clip(clip.frames, cut, tuple(times[index] for index in cut.indices))
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
    """The frames of the clips under way, fitted at once."""

    def __init__(self, cuts: Sequence[Cut], times_seconds: Sequence[float], sampling: Sampling) -> None:
        self._times, self._sampling = times_seconds, sampling
        self._needed = Counter(index for cut in cuts for index in set(cut.indices))
        self._completed_by: dict[int, list[Cut]] = defaultdict(list)
        for cut in cuts:
            self._completed_by[max(cut.indices)].append(cut)
        self._frames: dict[int, npt.NDArray[np.uint8]] = {}

    def wants(self, index: int) -> bool:
        return index in self._needed

    def add(self, frame: Frame, sample_aspect_ratio: float) -> list[Clip]:
        """Keeps a frame that is wanted; returns the clips that it completes."""
        if frame.bgr is None or frame.index not in self._needed:
            return []
        fitted = fit_frame(frame.bgr, self._sampling.frame_size, self._sampling.fit, sample_aspect_ratio)
        self._frames[frame.index] = np.asarray(cv2.cvtColor(fitted, cv2.COLOR_BGR2RGB), np.uint8)
        return [self._take(cut) for cut in self._completed_by.pop(frame.index, ())]

    def clear(self) -> None:
        """Gives all clips up: no frame is wanted any more."""
        self._needed.clear()
        self._completed_by.clear()
        self._frames.clear()

    def _take(self, cut: Cut) -> Clip:
        frames = np.stack([self._frames[index] for index in cut.indices])
        for index in set(cut.indices):
            self._needed[index] -= 1
            if not self._needed[index]:
                del self._frames[index]
        return Clip(frames, cut, tuple(self._times[index] for index in cut.indices))


def _place(cut: Cut) -> tuple[int, int, float]:
    return cut.segment, cut.variant, cut.start_seconds
