"""One video file -> the frames that were asked for, and what is true of the file.

The only ``cv2.VideoCapture`` of the project. Every frame is grabbed (decoded), only the wanted ones
are retrieved (converted to RGB): exact on any codec, where seeking is not, and for short videos
faster than seeking. The header's frame count is only a guess that the decoding proves or refutes.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.config import SamplingConfig
from activity_cli.errors import MissingDependencyError, VideoError
from activity_cli.video.sampling import choose_frames

# Set before OpenCV loads. Decoders complain on stderr about every damaged packet, which a person
# cannot act on.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
# A "video" must never make the decoder open an address or another file: local files only, and only
# containers that hold the pictures themselves, so no playlists (m3u8, ffconcat, MPD). These come last
# and so win over whatever was set before.
_CONTAINERS = "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,webm"
_SAFE_OPTIONS = f"protocol_whitelist;file|format_whitelist;{_CONTAINERS}"
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

__all__ = ["Clip", "VideoInfo", "fit_frame", "read_clip"]

# A header may promise anything; more than this is not believed and the frames are counted first.
_MAX_BELIEVABLE_FRAMES = 10_000_000


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What was found out by decoding a video to its end.

    Attributes:
        num_frames: Frames that were decoded.
        header_frames: Frames that the header promises; 0 where it says nothing.
        frames_per_second: Of the container; 0 where it says nothing.
        duration_seconds: From the first frame's beginning to the last one's end.
        width, height: Pixels of a frame as shown, that is after rotation.
        rotation_degrees: How far the file says that frames must be turned, clockwise.
    """

    num_frames: int
    header_frames: int
    frames_per_second: float
    duration_seconds: float
    width: int
    height: int
    rotation_degrees: int


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The frames of a clip and the video they come from.

    Attributes:
        frames: ``uint8 [T, H, W, 3]``, RGB, ``T <= num_frames``, never padded.
        indices: Which decoded frames they are, counted from 0.
        info: The video.
    """

    frames: npt.NDArray[np.uint8]
    indices: tuple[int, ...]
    info: VideoInfo

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 [T, H, W, 3], got {self!r}")
        if len(self.indices) != self.frames.shape[0]:
            raise ValueError(f"{len(self.indices)} indices for {self.frames.shape[0]} frames")

    def __repr__(self) -> str:
        return f"Clip(frames={self.frames.dtype}{list(self.frames.shape)}, info={self.info})"


def read_clip(path: Path, sampling: SamplingConfig, *, threads: int = 0) -> Clip:
    """Decodes a video and returns the frames that ``sampling`` asks for.

    Args:
        path: The file.
        sampling: Which frames, and how they are fitted to the network's size.
        threads: Decoding threads; 0 leaves it to the decoder.

    Returns:
        The clip, ``uint8 [T, frame_size, frame_size, 3]`` with ``1 <= T <= num_frames``.

    Raises:
        VideoError: ``video.unreadable``, ``video.empty``, ``video.undecodable``.
        MissingDependencyError: OpenCV cannot load.
    """
    _check_file(path)
    with _opened(path, threads) as capture:
        guess = _guessed_times(capture)
        decoded = _decode(capture, choose_frames(guess, sampling), sampling)
    wanted = choose_frames(decoded.times_seconds, sampling)
    if not wanted:
        raise VideoError(f"{path.name}: no frame can be decoded.", "The file is damaged or its codec is not supported.")
    if any(index not in decoded.frames for index in wanted):
        # The header was wrong about the number or the times of the frames; now they are known.
        with _opened(path, threads) as capture:
            decoded = _decode(capture, wanted, sampling)
        if any(index not in decoded.frames for index in wanted):
            raise VideoError(f"{path.name}: decoding it twice gives two lengths.", "Re-encode the file.")
    return Clip(np.stack([decoded.frames[index] for index in wanted]), wanted, decoded.info)


def fit_frame(frame: npt.NDArray[np.uint8], size: int, fit: str) -> npt.NDArray[np.uint8]:
    """Makes a frame ``size`` x ``size`` pixels.

    Args:
        frame: ``uint8 [H, W, 3]``.
        size: Pixels of the result's height and width.
        fit: ``squash``, ``pad`` or ``crop``, see :class:`activity_cli.config.SamplingConfig`.

    Returns:
        ``uint8 [size, size, 3]``.
    """
    height, width = frame.shape[:2]
    if fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _resized(frame[top : top + side, left : left + side], size, size)
    if fit == "pad":
        scale = size / max(height, width)
        inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (size - inner_height) // 2, (size - inner_width) // 2
        padded = np.zeros((size, size, 3), np.uint8)
        padded[top : top + inner_height, left : left + inner_width] = _resized(frame, inner_height, inner_width)
        return padded
    return _resized(frame, size, size)


def _resized(frame: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    if frame.shape[:2] == (height, width):
        return frame
    shrinks = height * width < frame.shape[0] * frame.shape[1]
    # Area averaging keeps thin limbs when shrinking, where linear sampling would skip pixels.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, (width, height), interpolation=method), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    frames: dict[int, npt.NDArray[np.uint8]]
    times_seconds: list[float]
    info: VideoInfo


def _check_file(path: Path) -> None:
    """Says the plain reasons plainly; the decoder has one message for all of them."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            # Opening a pipe would wait for a writer that may never come.
            raise VideoError(
                f"{path.name}: a pipe or a device, not a video file.",
                "Save the video to a file first.",
                code="video.unreadable",
            )
        with path.open("rb") as file:
            if not file.read(1):
                raise VideoError(f"{path.name}: the file is empty.", "Copy it again.", code="video.empty")
    except FileNotFoundError:
        raise VideoError(f"{path.name}: no such file.", "Check the path.", code="video.missing") from None
    except IsADirectoryError:
        raise VideoError(
            f"{path.name}: a folder, not a video.", "Name the videos in it.", code="video.unreadable"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise VideoError(
            f"{path.name}: cannot be read: {reason}.", "Check the file's permissions.", code="video.unreadable"
        ) from None


@contextmanager
def _opened(path: Path, threads: int) -> Iterator[cv2.VideoCapture]:
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
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, options)
        try:
            if not capture.isOpened():
                raise VideoError(
                    f"{path.name}: not a video that can be decoded.",
                    "Try to play it; if it plays, re-encode it as mp4 (H.264).",
                )
            capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
            yield capture
        finally:
            capture.release()


def _frame_rate(capture: cv2.VideoCapture) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if math.isfinite(rate) and 0 < rate < 10_000 else 0.0


def _header_frames(capture: cv2.VideoCapture) -> int:
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if math.isfinite(count) and 0 < count < _MAX_BELIEVABLE_FRAMES else 0


def _guessed_times(capture: cv2.VideoCapture) -> list[float]:
    rate = _frame_rate(capture) or 25.0
    return [index / rate for index in range(_header_frames(capture))]


def _decode(capture: cv2.VideoCapture, wanted: tuple[int, ...], sampling: SamplingConfig) -> _Decoded:
    """Decodes to the end and keeps the wanted frames, already fitted, so that memory stays small."""
    frames: dict[int, npt.NDArray[np.uint8]] = {}
    times: list[float] = []
    to_keep = frozenset(wanted)
    width = height = 0
    while capture.grab():
        index = len(times)
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        if index in to_keep or index == 0:
            ok, frame = capture.retrieve()
            if not ok or frame is None:
                times.pop()
                break
            if index == 0:
                height, width = frame.shape[:2]
            if index in to_keep:
                fitted = fit_frame(np.asarray(frame, np.uint8), sampling.frame_size, sampling.fit)
                frames[index] = np.ascontiguousarray(fitted[..., ::-1])  # OpenCV is BGR, the project RGB
    rate = _frame_rate(capture)
    times = _plausible_times(times, rate)
    info = VideoInfo(
        num_frames=len(times),
        header_frames=_header_frames(capture),
        frames_per_second=rate,
        duration_seconds=_duration_seconds(times, rate),
        width=width,
        height=height,
        rotation_degrees=int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360,
    )
    return _Decoded(frames, times, info)


def _plausible_times(times: list[float], rate: float) -> list[float]:
    """The container's time stamps, or the frame rate's where they do not rise."""
    if all(earlier < later for earlier, later in pairwise(times)):
        return times
    return [index / (rate or 25.0) for index in range(len(times))]


def _duration_seconds(times: list[float], rate: float) -> float:
    if not times:
        return 0.0
    frame_seconds = 1 / rate if rate else (times[-1] - times[0]) / max(1, len(times) - 1)
    return times[-1] - times[0] + frame_seconds
