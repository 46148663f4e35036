"""Opening a video file: the only ``cv2.VideoCapture`` of the project.

Local files only, and only containers that hold the pictures themselves.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from activity_cli.errors import MissingDependencyError, VideoError

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

__all__ = ["check_file", "cv2", "frame_rate", "header_frames", "opened"]

# Larger frames are refused before one is decoded: each would take hundreds of megabytes.
_MAX_FRAME_PIXELS = 100_000_000
# A header may promise anything; more than this is not believed.
_MAX_BELIEVABLE_FRAMES = 2_000_000


def check_file(path: Path) -> None:
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
def opened(path: Path, threads: int, *, packets: bool = False) -> Iterator[cv2.VideoCapture]:
    """Opens a video.

    Args:
        path: The file.
        threads: Decoding threads; 0 leaves it to the decoder.
        packets: Take the container apart only: each grab is one packet, undecoded, in the order of
            the file, and as fast as reading it.

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
                    f"{path.name}: not a video that can be decoded.",
                    "Try to play it; if it plays, re-encode it as mp4 (H.264).",
                )
            width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            if width * height > _MAX_FRAME_PIXELS:
                raise VideoError(
                    f"{path.name}: its frames are {width} x {height} pixels, more than 100 megapixels.",
                    "Re-encode it smaller.",
                    code="video.too_large",
                )
            capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
            yield capture
        finally:
            capture.release()


def frame_rate(capture: cv2.VideoCapture) -> float:
    """Frames a second of the container; 0 where it says nothing believable."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if math.isfinite(rate) and 0 < rate < 10_000 else 0.0


def header_frames(capture: cv2.VideoCapture) -> int:
    """The number of frames that the header promises; 0 where it says nothing believable."""
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if math.isfinite(count) and 0 < count < _MAX_BELIEVABLE_FRAMES else 0
