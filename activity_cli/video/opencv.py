"""Video files through OpenCV: the only ``cv2.VideoCapture`` of the project.

Local files only, and only containers that hold the pictures themselves. Cameras, where a user asks for one.

Reading through is exact on any codec, and for short videos faster than jumping: every frame is grabbed (decoded), only
the wanted ones are retrieved (converted). Before that the container is taken apart: the time stamp of every packet, and
which packets are key frames. That gives the times of all frames at the price of opening the file, and the price of a
jump: decoding from the key frame before. A jump is believed only if the time stamps after it are the listed ones.
"""

from __future__ import annotations

import math
import os
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.errors import MissingDependencyError, VideoError
from activity_cli.files import VIDEO_CONTAINERS, VIDEO_PROTOCOLS
from activity_cli.results import VideoInfo
from activity_cli.video.containers import check_file, explain, read_header
from activity_cli.video.packets import RUN_UP_FRAMES, Losses, Packets, packets_of
from activity_cli.video.source import Frame, JumpError, ReadOnce, Source

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

__all__ = ["MAX_FRAME_PIXELS", "CameraSource", "FileSource", "cv2", "translate_cv_error"]

# Larger frames are rejected before one is decoded: each would take hundreds of megabytes.
MAX_FRAME_PIXELS = 100_000_000
# A header may promise any number of frames; a larger one is not believed.
_MAX_BELIEVABLE_FRAMES = 2_000_000
# Packets beyond those that were listed are not waited for.
_MOST_REFUSED = 100_000


class _UnprovenError(Exception):
    """OpenCV gives no picture, or one that it may not have written."""


class FileSource:
    """A video file. PyAV reads what OpenCV cannot decode, convert or turn upright.

    Args:
        path: The file.
        threads: Decoding threads; 0 leaves it to the decoder.

    Raises:
        VideoError: The file cannot be read (``video.missing``, ``video.unreadable``), is empty (``video.empty``) or
            encrypted (``video.undecodable``).
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        check_file(path)
        header = read_header(path)
        if header.encrypted or header.picture or not header.has_index:
            raise explain(path)
        self._path, self._threads = path, threads
        self._reader: Source = _OpenCvSource(path, threads)
        self._is_opencv = True
        if header.mirrored:
            self._read_with_pyav()

    @property
    def name(self) -> str:
        return self._path.name

    def again(self) -> FileSource:
        """The same file, for another thread."""
        return FileSource(self._path, self._threads)

    def list_times(self) -> Sequence[float]:
        try:
            return self._reader.list_times()
        except VideoError as error:
            if not self._is_opencv or error.code != VideoError.code:
                return ()  # reading it gives the reason
        self._read_with_pyav()
        return self.list_times()

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        done = 0
        try:
            for frame in self._reader.read(wants):
                done = frame.index + 1
                yield frame
            return
        except (_UnprovenError, VideoError, cv2.error) as error:
            if not self._may_be_of_pyav(error):
                raise
        self._read_with_pyav()
        # Both readers number the frames alike: what has been handed out is not read again.
        for frame in self._reader.read(lambda index: index >= done and wants(index)):
            if frame.index >= done:
                yield frame

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        return self._reader.worth_jumping(indices)

    def jump(self, indices: Sequence[int]) -> Iterator[Frame]:
        done = 0
        try:
            for frame in self._reader.jump(indices):
                done += 1
                yield frame
            return
        except (_UnprovenError, VideoError, cv2.error) as error:
            if not self._may_be_of_pyav(error):
                raise
        self._read_with_pyav()
        self._reader.list_times()
        if not self._reader.worth_jumping(indices[done:]):
            raise JumpError
        yield from self._reader.jump(indices[done:])

    def info(self) -> VideoInfo:
        return self._reader.info()

    def _may_be_of_pyav(self, error: Exception) -> bool:
        if isinstance(error, cv2.error):
            return self._is_opencv and error.code != cv2.Error.StsNoMem
        return self._is_opencv and getattr(error, "code", VideoError.code) == VideoError.code

    def _read_with_pyav(self) -> None:
        from activity_cli.video.pyav import PyAvSource  # here: few files need it

        self._reader, self._is_opencv = PyAvSource(self._path, self._threads, MAX_FRAME_PIXELS), False


class CameraSource(ReadOnce):
    """A camera of this computer. The time of a frame is that of its arrival.

    Args:
        number: Counted from 0.
        name: What errors call it.

    :meth:`read` raises VideoError where there is no such camera (``video.unreachable``).
    """

    def __init__(self, number: int, name: str) -> None:
        self._number, self.name = number, name
        self._info = VideoInfo()

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        capture = cv2.VideoCapture(self._number, cv2.CAP_ANY)
        try:
            if not capture.isOpened():
                hint = "Connect it, close the programs that use it, or choose another number."
                raise VideoError(f"{self.name}: there is no such camera.", hint, code="video.unreachable")
            index, began = 0, time.monotonic()
            while True:
                ok, bgr = capture.read()
                if not ok or bgr is None:
                    return
                picture = np.asarray(bgr, np.uint8)
                self._info = VideoInfo(height=picture.shape[0], width=picture.shape[1], reader="opencv")
                yield Frame(index, time.monotonic() - began, picture)
                index += 1
        finally:
            capture.release()

    def info(self) -> VideoInfo:
        return self._info


class _OpenCvSource:
    def __init__(self, path: Path, threads: int) -> None:
        self._path, self._threads = path, threads
        self._packets = Packets()
        self._num_packets = 0
        self._info = VideoInfo()
        self._picture: npt.NDArray[np.uint8] | None = None

    @property
    def name(self) -> str:
        return self._path.name

    def list_times(self) -> Sequence[float]:
        times, keys, refused = array("d"), array("d"), 0
        with _opened(self._path, 1, packets=True) as capture:
            header = _header(capture, 0, 0)
            while True:
                if capture.grab():
                    times.append(_time_seconds(capture))
                    if capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME):
                        keys.append(times[-1])
                elif (refused := refused + 1) + len(times) > header.header_frames:
                    break  # a damaged packet ends nothing, the end of the file does
        self._num_packets = max(len(times), min(header.header_frames, _MOST_REFUSED + len(times)))
        packets = packets_of(times, keys)
        if packets is None:
            rate = header.frames_per_second or 25.0
            return array("d", (index / rate for index in range(header.header_frames)))
        self._packets = packets
        return packets.times_seconds

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        self._picture = None
        losses = Losses()
        first: Frame | None = None
        with _opened(self._path, self._threads) as capture:
            while losses.tried <= self._num_packets:
                if not capture.grab():
                    losses.refuse()
                    continue
                index, time = losses.shown, _time_seconds(capture)
                losses.show(time)
                # The first frame shows the size, and the second one proves that the first was written.
                frame = self._retrieve(capture, index) if index < 2 or wants(index) else Frame(index, time, None)
                if not index:
                    first = frame
                    continue
                if first:
                    yield first
                    first = None
                yield frame
        if losses.shown < 2:  # a cover picture, perhaps, of sound or of a video
            raise _UnprovenError
        info, listed = self._info, self._packets.times_seconds
        missing = losses.missing_seconds(listed, info.header_frames, info.frames_per_second)
        if missing:
            from activity_cli.video.pyav import reaches_its_end  # here: few files need it

            missing = 0.0 if reaches_its_end(self._path) else missing
        self._info = replace(info, lost_frames=losses.frames, missing_seconds=missing)

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        return self._packets.worth_jumping(indices)

    def jump(self, indices: Sequence[int]) -> Iterator[Frame]:
        self._picture = None
        first: Frame | None = None
        with _opened(self._path, self._threads) as capture:
            place = _Place(capture, self._packets)
            place.read_on_to(0)
            baseline = self._retrieve(capture, 0)
            # A list that is longer than what can be decoded (edit lists, cut files) shows at the end.
            place.reach(self._packets.last)
            if capture.grab():
                raise JumpError
            for index in indices:
                if not index:
                    first = baseline
                    continue
                place.reach(index)
                frame = self._retrieve(capture, index)
                if first:
                    yield first
                    first = None
                yield frame
        if first:
            raise _UnprovenError

    def info(self) -> VideoInfo:
        return self._info

    def _retrieve(self, capture: cv2.VideoCapture, index: int) -> Frame:
        """The frame that was just grabbed, with its picture.

        Where the conversion fails, as of interlaced video, OpenCV says that it worked and hands out what was in memory:
        the picture before. So a picture that differs from the one before has been written; others are not believed.

        Raises:
            _UnprovenError: There is no picture, or the same one as before.
        """
        ok, bgr = capture.retrieve()
        if not ok or bgr is None:
            raise _UnprovenError
        picture, before = np.asarray(bgr, np.uint8), self._picture
        if before is not None and _are_equal(picture, before):
            raise _UnprovenError
        self._picture = picture
        if not self._info.width:
            self._info = replace(_header(capture, *picture.shape[:2]), reader="opencv")
        return Frame(index, _time_seconds(capture), picture)


def _are_equal(picture: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> bool:
    if picture.shape != other.shape:
        return False
    # A few pixels show most differences.
    return np.array_equal(picture[::32, ::32], other[::32, ::32]) and np.array_equal(picture, other)


class _Place:
    """Which frame a capture has grabbed last, by its time stamp."""

    def __init__(self, capture: cv2.VideoCapture, packets: Packets) -> None:
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
            if ahead > RUN_UP_FRAMES or place <= 0:
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
        return self._packets.index_of(_time_seconds(self._capture))


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
                raise VideoError(f"{path.name}: OpenCV cannot decode this file.", "Re-encode the file.")
            width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            if width * height > MAX_FRAME_PIXELS:
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
