"""One video file -> the frames that were asked for, and what is true of the file.

Every frame is grabbed (decoded), only the wanted ones are retrieved (converted to RGB): exact on any
codec, and for short videos faster than seeking. The header's frame count is only a guess that the
decoding proves or refutes. Of a long video the packets are listed first, undecoded; where that shows
that jumping from key frame to key frame saves time, the reader jumps, and believes a jump only if the
time stamps after it are the listed ones (see :mod:`activity_cli.video.seeking`).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.errors import VideoError
from activity_cli.sampling.plan import Cut, Segment, has_steady_rate, plan_cuts
from activity_cli.settings import Sampling
from activity_cli.video.fitting import fit_frame
from activity_cli.video.opening import check_file, cv2, frame_rate, header_frames, opened
from activity_cli.video.seeking import SeekingFailedError, list_packets, seek_frames, worth_seeking

__all__ = ["Clip", "VideoInfo", "fit_frame", "read_clip", "read_clips"]

# From this many frames on, listing the packets first costs next to nothing.
_LONG_FRAMES = 600


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What was found out by decoding a video.

    Attributes:
        num_frames: Frames that were decoded (or listed, see ``counted_by``).
        header_frames: Frames that the header promises; 0 where it says nothing.
        frames_per_second: Of the container; 0 where it says nothing.
        duration_seconds: From the first frame's beginning to the last one's end.
        width, height: Pixels of a frame as stored, after rotation.
        rotation_degrees: How far the file says that frames must be turned, clockwise.
        sample_aspect_ratio: Width over height of a stored pixel as it is shown; 1 for square ones.
        variable_frame_rate: Whether frames are shown for clearly different times.
        counted_by: ``decoding``: to the end; ``packets``: the reader jumped, and counted the packets
            of the container.
    """

    num_frames: int
    header_frames: int
    frames_per_second: float
    duration_seconds: float
    width: int
    height: int
    rotation_degrees: int
    sample_aspect_ratio: float = 1.0
    variable_frame_rate: bool = False
    counted_by: str = "decoding"


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The frames of a clip and where they come from.

    Attributes:
        frames: ``uint8 [T, H, W, 3]``, RGB, ``T <= num_frames``, never padded.
        indices: Which frames of the video they are, counted from 0 in the order they are shown.
        info: The video; None for a clip that is delivered before the video is known to its end.
        start_seconds, end_seconds: The part of the video that the clip stands for.
        segment: Number of the segment it was asked for in.
        take: 0 for the middle frames, 1 and up for those drawn at random.
        times_seconds: When each frame is shown, from the video's beginning.
    """

    frames: npt.NDArray[np.uint8]
    indices: tuple[int, ...]
    info: VideoInfo | None = None
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    segment: int = 0
    variant: int = 0
    times_seconds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 [T, H, W, 3], got {self!r}")
        if len(self.indices) != self.frames.shape[0]:
            raise ValueError(f"{len(self.indices)} indices for {self.frames.shape[0]} frames")

    def __repr__(self) -> str:
        return f"Clip(frames={self.frames.dtype}{list(self.frames.shape)}, info={self.info})"


def read_clip(path: Path, sampling: Sampling, *, threads: int = 0) -> Clip:
    """The first clip of a whole video; see :func:`read_clips`.

    Raises:
        VideoError: Also ``video.short``, where ``sampling`` drops a video of this length.
    """
    clips: dict[float, Clip] = {}

    def keep(clip: Clip) -> None:
        if clip.variant == 0:
            clips[clip.start_seconds] = clip

    info = read_clips(path, sampling, threads=threads, deliver=keep)
    if not clips:
        raise VideoError(f"{path.name}: {info.num_frames} frames, fewer than a clip has.", code="video.short")
    first = clips[min(clips)]
    return replace(first, info=info)


def read_clips(
    path: Path,
    sampling: Sampling,
    segments: Sequence[Segment] = (Segment(),),
    *,
    threads: int = 0,
    key: str = "",
    deliver: Callable[[Clip], None],
) -> VideoInfo:
    """Reads a video once and hands over the clips that ``sampling`` makes of its segments.

    Memory holds the frames of the clips under way, not of the whole video.

    Args:
        path: The file.
        sampling: Which frames, and how they are fitted to the network's size.
        segments: The parts to make clips of.
        threads: Decoding threads; 0 leaves it to the decoder.
        key: Names the video for random draws, as by its content.
        deliver: Gets each clip as it is complete, ``uint8 [T, frame_size, frame_size, 3]`` with
            ``1 <= T <= num_frames``. If the file turns out to be other than its header said, clips
            are delivered again, and the last delivery of a place counts.

    Raises:
        VideoError: ``video.unreadable``, ``video.empty``, ``video.undecodable``, ``video.too_large``.
        MissingDependencyError: OpenCV cannot load.
        MemoryError: A frame does not fit into memory.
    """
    check_file(path)
    try:
        return _read_clips(path, sampling, segments, threads, key, deliver)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise VideoError(f"{path.name}: the decoder fails: {error.err}.", "Re-encode the file.") from error


def _read_clips(
    path: Path,
    sampling: Sampling,
    segments: Sequence[Segment],
    threads: int,
    key: str,
    deliver: Callable[[Clip], None],
) -> VideoInfo:
    with opened(path, threads) as capture:
        promised, rate = header_frames(capture), frame_rate(capture)
    times = array("d", (index / (rate or 25.0) for index in range(promised)))
    if promised >= _LONG_FRAMES:
        listed = list_packets(path)
        cuts = plan_cuts(listed.times_seconds, sampling, segments, key)
        wanted = sorted({index for cut in cuts for index in cut.indices})
        if worth_seeking(listed, wanted):
            try:
                collector = _Collector(cuts, sampling, deliver)
                with opened(path, threads) as capture:
                    seek_frames(capture, listed, wanted, collector.take)
                    return _info(capture, collector, listed.times_seconds, "packets")
            except SeekingFailedError:
                pass  # the container lies, or the codec cannot jump: reading through always works
        times = listed.times_seconds or times
    for _ in range(2):
        cuts = plan_cuts(times, sampling, segments, key)
        collector = _Collector(cuts, sampling, deliver)
        with opened(path, threads) as capture:
            decoded = _read_through(capture, collector)
            info = _info(capture, collector, decoded, "decoding")
        if not decoded:
            hint = "The file is damaged or its codec is not supported."
            raise VideoError(f"{path.name}: no frame can be decoded.", hint)
        if plan_cuts(decoded, sampling, segments, key) == cuts:
            return info
        # The header was wrong about the number or the times of the frames; now they are known.
        times = decoded
    raise VideoError(f"{path.name}: decoding it twice gives two lengths.", "Re-encode the file.")


class _Collector:
    """Gathers frames, fitted at once, and delivers each clip when its last frame is there."""

    def __init__(self, cuts: Sequence[Cut], sampling: Sampling, deliver: Callable[[Clip], None]) -> None:
        self._sampling, self._deliver = sampling, deliver
        self._ending: dict[int, list[Cut]] = {}
        self._needed: Counter[int] = Counter()
        for cut in cuts:
            if cut.indices:
                self._ending.setdefault(cut.indices[-1], []).append(cut)
                self._needed.update(set(cut.indices))
        for cut in cuts:
            # A looped clip ends with an early frame: what counts is the last one to be decoded.
            if cut.indices and cut.indices[-1] != max(cut.indices):
                self._ending[cut.indices[-1]].remove(cut)
                self._ending.setdefault(max(cut.indices), []).append(cut)
        self._frames: dict[int, npt.NDArray[np.uint8]] = {}
        self._times: dict[int, float] = {}
        self._rate = 25.0
        self.size: tuple[int, int] = (0, 0)

    def wants(self, index: int) -> bool:
        # The first frame also tells the size.
        return index in self._needed or self.size == (0, 0)

    def take(self, index: int, capture: cv2.VideoCapture) -> bool:
        """Converts the frame that was just grabbed; False where that fails."""
        ok, frame = capture.retrieve()
        if not ok or frame is None:
            return False
        self.size = frame.shape[:2]
        if index in self._needed:
            ratio = _sample_aspect_ratio(capture)
            fitted = fit_frame(np.asarray(frame, np.uint8), self._sampling.frame_size, self._sampling.fit, ratio)
            self._frames[index] = np.asarray(cv2.cvtColor(fitted, cv2.COLOR_BGR2RGB), np.uint8)
            self._times[index] = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            self._rate = frame_rate(capture) or 25.0
            for cut in self._ending.pop(index, ()):
                self._hand_over(cut)
        return True

    def _hand_over(self, cut: Cut) -> None:
        frames = np.stack([self._frames[index] for index in cut.indices])
        place = (cut.start_seconds, cut.end_seconds, cut.segment, cut.variant)
        self._deliver(Clip(frames, cut.indices, None, *place, self._times_of(cut.indices)))
        for index in set(cut.indices):
            self._needed[index] -= 1
            if not self._needed[index]:
                del self._frames[index]

    def _times_of(self, indices: tuple[int, ...]) -> tuple[float, ...]:
        times = {index: self._times[index] for index in sorted(set(indices))}
        if not all(earlier < later for earlier, later in pairwise(times.values())):
            times = {index: index / self._rate for index in times}  # time stamps that do not rise say nothing
        return tuple(times[index] for index in indices)


def _read_through(capture: cv2.VideoCapture, collector: _Collector) -> array[float]:
    """Decodes to the end; returns when each frame is shown."""
    times = array("d")
    while capture.grab():
        if collector.wants(len(times)) and not collector.take(len(times), capture):
            break
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    if all(earlier < later for earlier, later in pairwise(times)):
        return times
    rate = frame_rate(capture) or 25.0  # time stamps that do not rise say nothing
    return array("d", (index / rate for index in range(len(times))))


def _info(capture: cv2.VideoCapture, collector: _Collector, times: array[float], counted_by: str) -> VideoInfo:
    rate = frame_rate(capture)
    height, width = collector.size
    return VideoInfo(
        num_frames=len(times),
        header_frames=header_frames(capture),
        frames_per_second=rate,
        duration_seconds=_duration_seconds(times, rate),
        width=width,
        height=height,
        rotation_degrees=int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360,
        sample_aspect_ratio=_sample_aspect_ratio(capture),
        variable_frame_rate=not has_steady_rate(times),
        counted_by=counted_by,
    )


def _sample_aspect_ratio(capture: cv2.VideoCapture) -> float:
    across, down = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    ratio = across / down if across > 0 and down > 0 else 1.0
    if int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 180:
        ratio = 1 / ratio
    return ratio if 0.1 < ratio < 10 else 1.0


def _duration_seconds(times: array[float], rate: float) -> float:
    if not times:
        return 0.0
    frame_seconds = 1 / rate if rate else (times[-1] - times[0]) / max(1, len(times) - 1)
    return times[-1] - times[0] + frame_seconds
