"""Video files through OpenCV: the only ``cv2.VideoCapture`` of the project.

Local files only, and only containers that hold the pictures themselves.

Reading through is exact on any codec, and for short videos faster than jumping: every frame is grabbed (decoded), only
the wanted ones are retrieved (converted). Before that the container is taken apart: the time stamp of every packet, and
which packets are key frames. That gives the times of all frames at the price of opening the file, and the price of a
jump: decoding from the key frame before. A jump is believed only if the time stamps after it are the listed ones.
"""

from __future__ import annotations

import math
import os
import stat
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from activity_cli.errors import MissingDependencyError, VideoError
from activity_cli.files import VIDEO_CONTAINERS, VIDEO_PROTOCOLS
from activity_cli.results import VideoInfo
from activity_cli.video.source import Frame, JumpError

# Set before OpenCV loads. FFmpeg reports every damaged packet on stderr, which does not help anybody.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
# A "video" must never make the decoder open an address or another file. These options come last and so override
# whatever was set before.
_SAFE_OPTIONS = f"protocol_whitelist;{','.join(VIDEO_PROTOCOLS)}|format_whitelist;{','.join(VIDEO_CONTAINERS)}"
_given = os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS", "")
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"{_given}|{_SAFE_OPTIONS}" if _given else _SAFE_OPTIONS

try:
    import cv2
except ImportError as error:
    raise MissingDependencyError(
        f"OpenCV cannot be loaded: {error}.",
        "On Debian or Ubuntu: apt-get install libgl1 libglib2.0-0 (or: pip install opencv-python-headless).",
        code="dependency.opencv",
    ) from error

__all__ = ["FileSource", "cv2", "translate_cv_error"]

# Larger frames are rejected before one is decoded: each would take hundreds of megabytes.
_MAX_FRAME_PIXELS = 100_000_000
# A header may promise any number of frames; a larger one is not believed.
_MAX_BELIEVABLE_FRAMES = 2_000_000
# OpenCV starts decoding at the key frame before a place this many frames ahead of the wanted one, so
# that frames which refer back over a key frame (open GOP) come out whole.
_RUN_UP_FRAMES = 16
# What a jump costs beside decoding, in frames; and how much cheaper jumping must be to be tried.
_JUMP_COST_FRAMES = 20
_WORTHWHILE = 1.5
# Reading a shorter video through takes a second at most.
_LONG_FRAMES = 600
_SAME_SECONDS = 0.0006


class FileSource:
    """A video file.

    Args:
        path: The file.
        threads: Decoding threads; 0 leaves it to the decoder.

    Raises:
        VideoError: The file cannot be read (``video.missing``, ``video.unreadable``) or is empty (``video.empty``).
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        _check_file(path)
        self._path, self._threads = path, threads
        self._packets = _Packets(array("d"), array("q"))
        self._info = VideoInfo()

    @property
    def name(self) -> str:
        return self._path.name

    def list_times(self) -> Sequence[float]:
        times, keys = array("d"), array("d")
        try:
            with _opened(self._path, 1, packets=True) as capture:
                header = _header(capture, 0, 0)
                while capture.grab():
                    times.append(_time_seconds(capture))
                    if capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME):
                        keys.append(times[-1])
        except VideoError:
            return ()  # reading it gives the reason
        times = array("d", sorted(times))
        if not times or times[0] < 0 or any(earlier >= later for earlier, later in pairwise(times)):
            rate = header.frames_per_second or 25.0
            return array("d", (index / rate for index in range(header.header_frames)))
        self._packets = _Packets(times, array("q", sorted(bisect_left(times, key) for key in keys)))
        return times

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        with _opened(self._path, self._threads) as capture:
            index = 0
            while capture.grab():
                frame: Frame | None = Frame(index, _time_seconds(capture), None)
                if not index or wants(index):  # the first frame shows the size
                    frame = self._retrieve(capture, index)
                if frame is None:
                    return
                yield frame
                index += 1

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        packets = self._packets
        if not indices or not packets.key_frames or len(packets.times_seconds) < _LONG_FRAMES:
            return False
        steps = zip([-1, *indices], [*indices, packets.last], strict=True)
        return sum(packets.cost(before, index) for before, index in steps) * _WORTHWHILE < len(packets.times_seconds)

    def jump(self, indices: Sequence[int]) -> Iterator[Frame]:
        with _opened(self._path, self._threads) as capture:
            place = _Place(capture, self._packets)
            place.read_on_to(0)
            # A list that is longer than what can be decoded (edit lists, cut files) shows at the end.
            place.reach(self._packets.last)
            if capture.grab():
                raise JumpError
            for index in indices:
                place.reach(index)
                frame = self._retrieve(capture, index)
                if frame is None:
                    raise JumpError
                yield frame

    def info(self) -> VideoInfo:
        return self._info

    def _retrieve(self, capture: cv2.VideoCapture, index: int) -> Frame | None:
        """The frame that was just grabbed, with its picture; None where the picture cannot be converted."""
        ok, bgr = capture.retrieve()
        if not ok or bgr is None:
            return None
        if not self._info.width:
            self._info = _header(capture, *bgr.shape[:2])
        return Frame(index, _time_seconds(capture), np.asarray(bgr, np.uint8))


@dataclass(frozen=True, slots=True)
class _Packets:
    """What the container lists.

    Attributes:
        times_seconds: When each frame is shown, rising from 0; empty where the container does not say.
        key_frames: Indices of the frames that can be decoded without others, rising.
    """

    times_seconds: array[float]
    key_frames: array[int]

    @property
    def last(self) -> int:
        return len(self.times_seconds) - 1

    def cost(self, before: int, index: int) -> int:
        """Frames to decode to get to a frame from the one before, jumping or reading on."""
        begin = max(0, bisect_right(self.key_frames, max(0, index - _RUN_UP_FRAMES)) - 1)
        jump = index - self.key_frames[begin] + _JUMP_COST_FRAMES
        return min(jump, index - before)


class _Place:
    """Which frame a capture has grabbed last, by its time stamp."""

    def __init__(self, capture: cv2.VideoCapture, packets: _Packets) -> None:
        self._capture, self._packets = capture, packets
        self._rate = _frame_rate(capture) or 25.0
        self._index = -1

    def reach(self, index: int) -> None:
        """Jumps to a frame, or reads on where that is nearer."""
        if index == self._index:
            return
        if index < self._index or self._packets.cost(self._index, index) < index - self._index:
            self._jump(index)
        self.read_on_to(index)

    def read_on_to(self, index: int) -> None:
        while self._index < index:
            if not self._capture.grab() or self._grabbed() != self._index + 1:
                raise JumpError
            self._index += 1

    def _jump(self, index: int) -> None:
        times, key_frames = self._packets.times_seconds, self._packets.key_frames
        place = bisect_right(key_frames, index) - 1
        # OpenCV counts frames from the key frame on, at the nominal rate: where frames are sparser than
        # that it must be asked for an earlier one, or it would run past.
        while True:
            key = key_frames[max(0, place)]
            ahead = min(index - key, int((times[index] - times[key]) * self._rate))
            if ahead > _RUN_UP_FRAMES or place <= 0:
                break
            place -= 1  # with its run-up, OpenCV would start from this one
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, max(0, round(times[key] * self._rate) + ahead - 1))
        if not self._capture.grab():
            raise JumpError
        self._index = self._grabbed()
        if self._index > index:
            raise JumpError

    def _grabbed(self) -> int:
        """The index of the frame that was just grabbed."""
        times, time = self._packets.times_seconds, _time_seconds(self._capture)
        index = bisect_left(times, time - _SAME_SECONDS)
        if index == len(times) or abs(times[index] - time) > _SAME_SECONDS:
            raise JumpError
        return index


@contextmanager
def translate_cv_error(name: str) -> Iterator[None]:
    """Turns OpenCV's errors into those of one file.

    Raises:
        VideoError: OpenCV fails.
        MemoryError: A frame does not fit into memory.
    """
    try:
        yield
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise VideoError(f"{name}: decoding failed: {error.err}.", "Re-encode the file.") from error


def _check_file(path: Path) -> None:
    """Gives the plain reasons; the decoder has one message for all of them."""
    code = "video.unreadable"
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                if file.read(1):
                    return
            reason, hint, code = "the file is empty", "Copy it again.", "video.empty"
        elif stat.S_ISDIR(mode):
            reason, hint = "a folder, not a video", "Name the videos in it."
        else:  # opening a pipe would wait for a writer that may never come
            reason, hint = "a pipe or a device, not a video file", "Save the video to a file first."
    except FileNotFoundError:
        reason, hint, code = "no such file", "Check the path.", "video.missing"
    except OSError as error:
        reason, hint = f"cannot be read: {(error.strerror or str(error)).lower()}", "Check the file's permissions."
    raise VideoError(f"{path.name}: {reason}.", hint, code=code)


@contextmanager
def _opened(path: Path, threads: int, *, packets: bool = False) -> Iterator[cv2.VideoCapture]:
    """Opens a video; with ``packets`` each grab is one packet, undecoded, in the order of the file.

    Raises:
        VideoError: ``video.undecodable``, ``video.too_large``.
    """
    name = os.fspath(path.absolute())
    with path.open("rb") as file:
        try:
            name.encode("utf-8")
            # An explicit protocol: a name with a colon in it must not be taken for another one.
            source = f"file:{name}"
        except UnicodeEncodeError:
            # OpenCV takes UTF-8 only; any other name is opened here and handed over as a number.
            source = f"file:/dev/fd/{file.fileno()}"
        options = [cv2.CAP_PROP_N_THREADS, threads] if threads else []
        options += [cv2.CAP_PROP_FORMAT, -1] if packets else []
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, options)
        try:
            if not capture.isOpened():
                raise VideoError(
                    f"{path.name}: activity cannot decode this file.",
                    "Check whether it plays. If it does, re-encode it as mp4 (H.264).",
                )
            width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            if width * height > _MAX_FRAME_PIXELS:
                raise VideoError(
                    f"{path.name}: its frames are {width} x {height} pixels, more than 100 megapixels.",
                    "Re-encode it at a smaller size.",
                    code="video.too_large",
                )
            capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
            yield capture
        finally:
            capture.release()


def _header(capture: cv2.VideoCapture, height: int, width: int) -> VideoInfo:
    """What the container says of a video with frames of this size."""
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    rotation = int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
    across, down = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    ratio = across / down if across > 0 and down > 0 else 1.0
    ratio = 1 / ratio if rotation % 180 else ratio
    return VideoInfo(
        header_frames=int(count) if math.isfinite(count) and 0 < count < _MAX_BELIEVABLE_FRAMES else 0,
        frames_per_second=_frame_rate(capture),
        width=width,
        height=height,
        rotation_degrees=rotation,
        sample_aspect_ratio=round(ratio, 6) if 0.1 < ratio < 10 else 1.0,
    )


def _frame_rate(capture: cv2.VideoCapture) -> float:
    """Frames per second of the container; 0 where it says nothing believable."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if math.isfinite(rate) and 0 < rate < 10_000 else 0.0


def _time_seconds(capture: cv2.VideoCapture) -> float:
    return float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
