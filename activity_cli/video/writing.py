"""Frames with time stamps -> an MP4 file, through PyAV. Sound is not written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from activity_cli.errors import OutputError
from activity_cli.files import atomic_write
from activity_cli.video.opencv import cv2
from activity_cli.video.source import Frame

__all__ = ["write_video"]

# H.264 needs a library that not every build of FFmpeg has.
_CODECS = ("libx264", "mpeg4")
# Constant quality; without frames that refer to later ones, the first frame is shown at 0 in every player.
_OPTIONS = {
    "libx264": {"crf": "20", "preset": "veryfast", "bf": "0"},
    "mpeg4": {"qmin": "2", "qmax": "6"},
}
# MPEG-4 counts time in 16 bits. All usual frame rates divide this clock.
_CLOCK = Fraction(1, 60_000)
_USUAL_RATE = 25


def write_video(frames: Iterable[Frame], path: Path, sample_aspect_ratio: float, rate: float) -> None:
    """Writes all frames at their times. A frame of odd width or height gets one more column or row, a copy.

    Args:
        frames: With pictures. Those of another size than the first are scaled to it.
        path: An MP4 file, written aside and renamed once it is complete.
        sample_aspect_ratio: Width of a pixel over its height.
        rate: Usual number of frames in a second, for the encoder; 0: not known.

    Raises:
        OutputError: The file cannot be written, or the disk is full.
    """
    name = next(codec for codec in _CODECS if codec in av.codecs_available)
    # FFmpeg gets the open file, since it takes no name that is not UTF-8.
    with (
        atomic_write(path) as aside,
        aside.open("wb") as file,
        _translated(path),
        av.open(file, "w", format="mp4") as container,
    ):
        stream = container.add_stream(name, rate=Fraction(rate or _USUAL_RATE).limit_denominator(1001))
        assert isinstance(stream, VideoStream)
        stream.codec_context.options = _OPTIONS[name]
        stream.codec_context.time_base = _CLOCK
        stream.codec_context.sample_aspect_ratio = Fraction(sample_aspect_ratio).limit_denominator(255)
        stream.pix_fmt = "yuv420p"
        for frame in _converted(frames, stream):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise OutputError(f"{path} cannot be written: {error.strerror}.", "Choose another path.") from error


def _converted(frames: Iterable[Frame], stream: VideoStream) -> Iterator[av.VideoFrame]:
    last, size = -1, (0, 0)
    for frame in frames:
        assert frame.bgr is not None
        height, width = frame.bgr.shape[:2]
        size = size if last >= 0 else (width, height)
        bgr = frame.bgr if size == (width, height) else np.asarray(cv2.resize(frame.bgr, size), np.uint8)
        even = np.pad(bgr, ((0, size[1] % 2), (0, size[0] % 2), (0, 0)), "edge")
        if last < 0:
            stream.width, stream.height = even.shape[1], even.shape[0]
        converted = av.VideoFrame.from_ndarray(even, "bgr24")
        last = max(last + 1, round(frame.time_seconds / _CLOCK))
        converted.pts, converted.time_base = last, _CLOCK
        yield converted
