"""Video that is not in a file: addresses, cameras and pipes.

Nothing here is opened unless a user typed it. A live source sends frames at its own pace: where the reader is too slow,
the newest frames win, so that the delay never grows. A pipe, and an address that says how long its video is, wait for
the reader instead, and lose nothing.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Condition, Event, Thread
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from activity_cli.errors import VideoError
from activity_cli.files import scheme_of
from activity_cli.results import VideoInfo
from activity_cli.video.containers import reads_in_order
from activity_cli.video.opencv import MAX_FRAME_PIXELS, CameraSource
from activity_cli.video.source import Frame, ReadOnce, Source

__all__ = ["LiveSource", "Pipe", "PipeSource", "is_live"]

# What FFmpeg may open for an address, by its scheme. A file is never among it.
_PROTOCOLS = {
    "http": ("http", "https", "httpproxy", "tls", "tcp"),
    "https": ("http", "https", "httpproxy", "tls", "tcp"),
    "rtsp": ("rtsp", "rtp", "udp", "tcp"),
    "rtsps": ("rtsps", "tls", "rtsp", "rtp", "udp", "tcp"),
    "tcp": ("tcp",),
    "udp": ("udp",),
}
_CAMERA = re.compile(r"camera:(\d{1,3})")
_TIMEOUT_SECONDS = 10.0
# Frames that wait for a reader that is a little late now and then.
_WAITING = 3
# A connection begins with frames that were sent before. They are not dropped for this long.
_START_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0
_POLL_SECONDS = 0.1
_HEAD_BYTES = 1 << 16
# Time stamps that fall, or run ahead of the clock by more than this, are of another recording.
_LONGEST_JUMP_SECONDS = 10.0
_LEAST_GAP_SECONDS = 0.001


def is_live(text: str) -> bool:
    """Whether a user typed an address or a camera, such as ``camera:0``, and no path of a file."""
    return bool(scheme_of(text) or _CAMERA.fullmatch(text)) and not os.path.lexists(text)


class LiveSource(ReadOnce):
    """An address or a camera.

    Args:
        text: As typed, such as ``rtsp://10.0.0.7/stream1`` or ``camera:0``.
        reconnects: How often in a row it tries to connect again when the source stops; 0: the first stop is the end.
        note: Receives a line for each stop.
        timeout_seconds: How long it may send nothing.
        show: Receives each frame that is read, ``uint8 [H, W, 3]``, blue, green and red.

    Attributes:
        name: The address without the password.
        dropped_frames: Frames that came faster than they were taken.
        num_frames: Frames that came.
        is_finite: Whether it is a video of known length, which is read like a file: no frame is dropped.
        is_reading: Whether :meth:`read` has begun and not ended.

    Raises:
        VideoError: The scheme is unknown (``video.unsupported``).

    :meth:`read` raises VideoError where the source cannot be opened (``video.unreachable``), and, after its last frame,
    where it stopped for good (``video.stopped``).
    """

    def __init__(
        self,
        text: str,
        *,
        reconnects: int = 5,
        note: Callable[[str], None] | None = None,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        show: Callable[[npt.NDArray[np.uint8]], None] | None = None,
    ) -> None:
        self.name = re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", text)
        camera = _CAMERA.fullmatch(text)
        scheme = scheme_of(text).lower()
        if not camera and scheme not in _PROTOCOLS:
            raise VideoError(
                f"{self.name}: activity cannot read addresses that begin with {scheme}://.",
                f"Use one of {', '.join(_PROTOCOLS)}.",
                code="video.unsupported",
            )
        self._text, self._camera = text, int(camera[1]) if camera else None
        self._protocols = _PROTOCOLS.get(scheme, ())
        self._reconnects, self._note = reconnects, note or (lambda _: None)
        self._timeout, self._show = timeout_seconds, show
        self._info = VideoInfo()
        self._stopped = Event()
        self._wall: datetime | None = None
        self._queue = _Queue(self._stopped)
        self._last_seconds, self._last_arrival = 0.0, 0.0
        self.num_frames = 0
        self.is_finite = self.is_reading = False

    @property
    def dropped_frames(self) -> int:
        return self._queue.dropped

    def wall_time(self, seconds: float) -> str:
        """When a moment happened, in UTC, such as ``2026-01-31T09:00:00.250Z``; empty before the first frame."""
        if self._wall is None:
            return ""
        moment = self._wall + timedelta(seconds=seconds)
        return f"{moment.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        Thread(target=self._receive, name=f"receives {self.name}", daemon=True).start()
        self.is_reading = True
        try:
            for index, frame in enumerate(self._queue):
                if self._show and frame.bgr is not None:
                    self._show(frame.bgr)
                yield Frame(index, frame.time_seconds, frame.bgr)
        finally:
            self.is_reading = False

    def info(self) -> VideoInfo:
        return self._info

    def stop(self) -> None:
        """Ends :meth:`read`, which may be waiting in another thread."""
        self._stopped.set()

    def _receive(self) -> None:
        """Puts frames into the queue until the source ends for good."""
        failures, reason = 0, ""
        try:
            while not self._stopped.is_set():
                before = self.num_frames
                try:
                    self._receive_once()
                    reason = "it stopped"
                except VideoError as error:
                    if not self.num_frames:
                        raise
                    reason = error.message.removeprefix(f"{self.name}: ").rstrip(".")
                if self.is_finite or self._stopped.is_set():
                    break
                failures = 1 if self.num_frames > before else failures + 1
                if failures > self._reconnects:
                    tries = f" {self._reconnects} tries to connect again failed." if self._reconnects else ""
                    raise VideoError(f"{self.name}: {reason}.{tries}", "Start it again.", code="video.stopped")
                pause = min(2.0 ** (failures - 1), _LONGEST_PAUSE_SECONDS)
                self._note(f"{self.name}: {reason}; try {failures} of {self._reconnects} in {pause:.0f} s.")
                self._stopped.wait(pause)
            self._queue.end()
        except Exception as error:  # the reader raises it
            self._queue.end(error)

    def _receive_once(self) -> None:
        """One connection. Its times continue those of the one before, by the clock."""
        source = self._open()
        connected = start = None
        for frame in source.read(lambda _: True):
            now = time.monotonic()
            if connected is None or start is None:
                connected = now
                start = 0.0
                if self.num_frames:
                    start = self._last_seconds + now - self._last_arrival - frame.time_seconds
                self.is_finite = getattr(source, "is_finite", False)
            seconds, last = start + frame.time_seconds, self._last_seconds
            away = now - self._last_arrival
            if self.num_frames and not self.is_finite and not last < seconds < last + away + _LONGEST_JUMP_SECONDS:
                seconds = last + max(away, _LEAST_GAP_SECONDS)
                start = seconds - frame.time_seconds
            self._info = source.info()
            self._last_seconds, self._last_arrival = seconds, now
            self.num_frames += 1
            if not self.is_finite:
                self._wall = datetime.now(UTC) - timedelta(seconds=seconds)
            self._queue.put(Frame(0, seconds, frame.bgr), wait=self.is_finite or now - connected < _START_SECONDS)
            if self._stopped.is_set():
                return
        self._info = source.info()

    def _open(self) -> Source:
        if self._camera is not None:
            return CameraSource(self._camera, self.name)
        from activity_cli.video.pyav import PyAvStream

        return PyAvStream(self._text, self.name, MAX_FRAME_PIXELS, self._protocols, self._timeout)


class _Queue:
    """A few frames between two threads. Where it is full, the oldest is dropped, or the giver waits."""

    def __init__(self, stopped: Event) -> None:
        self._stopped, self._changed = stopped, Condition()
        self._frames: deque[Frame] = deque()
        self._ended = False
        self._error: Exception | None = None
        self.dropped = 0

    def put(self, frame: Frame, *, wait: bool) -> None:
        with self._changed:
            while wait and len(self._frames) >= _WAITING and not self._stopped.is_set():
                self._changed.wait(_POLL_SECONDS)
            if len(self._frames) >= _WAITING:
                self._frames.popleft()
                self.dropped += 1
            self._frames.append(frame)
            self._changed.notify_all()

    def end(self, error: Exception | None = None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                while not self._frames and not self._ended and not self._stopped.is_set():
                    self._changed.wait(_POLL_SECONDS)
                if self._stopped.is_set():
                    return
                if not self._frames:
                    break
                frame = self._frames.popleft()
                self._changed.notify_all()
            yield frame
        if self._error:
            raise self._error


class Pipe:
    """A file that is read forward only, and whose beginning can be looked at first.

    Args:
        file: The file, of which nothing has been read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._stopped = file, Event()
        self._ahead = b""
        try:
            self._number = file.fileno() if os.name == "posix" else None
        except OSError:
            self._number = None

    @property
    def holds_stream(self) -> bool:
        """Whether it begins as a video that can be decoded while it arrives. Waits for some kilobytes."""
        while len(self._ahead) < _HEAD_BYTES and not reads_in_order(self._ahead):
            block = self._read(_HEAD_BYTES - len(self._ahead))
            if not block:
                break
            self._ahead += block
        return reads_in_order(self._ahead)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """What there is, at most ``size`` bytes; waits where there is nothing yet; empty at the end."""
        size = size if size >= 0 else _HEAD_BYTES
        if self._ahead:
            block, self._ahead = self._ahead[:size], self._ahead[size:]
            return block
        return self._read(size)

    def stop(self) -> None:
        """Ends reading, which may be waiting in another thread."""
        self._stopped.set()

    def _read(self, size: int) -> bytes:
        if self._number is None:
            return self._file.read(size)
        while not self._stopped.is_set():
            if select.select([self._number], [], [], _POLL_SECONDS)[0]:
                return os.read(self._number, size)
        return b""


class PipeSource(ReadOnce):
    """A video that arrives through a pipe, and is read once, without loss.

    Args:
        pipe: The pipe; :attr:`Pipe.holds_stream` is true.
        name: What errors call it.

    Attributes:
        is_reading: Whether :meth:`read` has begun and not ended.
    """

    def __init__(self, pipe: Pipe, name: str) -> None:
        self._pipe, self._name = pipe, name
        self.is_reading = False
        self._source: Source | None = None

    @property
    def name(self) -> str:
        return self._name

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        from activity_cli.video.pyav import PyAvStream

        self._source = PyAvStream(self._pipe, self._name, MAX_FRAME_PIXELS)
        self.is_reading = True
        try:
            yield from self._source.read(wants)
        finally:
            self.is_reading = False

    def info(self) -> VideoInfo:
        return self._source.info() if self._source else VideoInfo()

    def stop(self) -> None:
        """Ends :meth:`read`, which may be waiting in another thread."""
        self._pipe.stop()
