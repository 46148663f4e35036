"""Video files through PyAV: what OpenCV cannot decode, convert or turn upright.

That is interlaced video (bwdif makes whole frames of its half pictures), codecs such as AV1, and pictures that are to
be shown mirrored. Everything else gives the very pixels that OpenCV gives. Loaded only when it is needed.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.filter import Graph
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from activity_cli.errors import VideoError
from activity_cli.files import VIDEO_CONTAINERS, VIDEO_PROTOCOLS
from activity_cli.results import VideoInfo
from activity_cli.video.containers import explain
from activity_cli.video.packets import CUT_SHARE, Losses, Packets, packets_of
from activity_cli.video.source import Frame, JumpError, ReadOnce

__all__ = ["PyAvSource", "PyAvStream", "reaches_its_end"]

# Containers of sound alone are opened to say that there is nothing else in them.
_SOUND_CONTAINERS = ("aac", "aiff", "amr", "caf", "flac", "mp3", "wav")
_OPTIONS = {
    "protocol_whitelist": ",".join(VIDEO_PROTOCOLS),
    "format_whitelist": ",".join((*VIDEO_CONTAINERS, *_SOUND_CONTAINERS)),
}
# Containers whose only frame is a picture, not a video.
_PICTURE_CONTAINERS = ("apng", "gif")
# What addresses give besides the containers of files: sessions, and the pictures of simple cameras. No playlists.
_STREAM_FORMATS = ("rtsp", "mpjpeg")
# Numbers of frames pass through the filter as time stamps of this clock.
_CLOCK = Fraction(1, 1000)

# A decoded frame, with its number and its time.
_Decoded = tuple[int, float, VideoFrame]


class PyAvSource:
    """A video file. The arguments are those of :class:`activity_cli.video.opencv.FileSource`."""

    def __init__(self, path: Path, threads: int, max_pixels: int) -> None:
        self._path, self._threads, self._max_pixels = path, threads, max_pixels
        self._packets = Packets()
        self._info = VideoInfo()

    @property
    def name(self) -> str:
        return self._path.name

    def list_times(self) -> Sequence[float]:
        with self._opened() as (container, stream):
            packets = [packet for packet in container.demux(stream) if packet.pts is not None]
            times = array("d", (_seconds(stream, packet.pts) for packet in packets))
            keys = [time for time, packet in zip(times, packets, strict=True) if packet.is_keyframe]
        self._packets = packets_of(times, keys) or Packets()
        return self._packets.times_seconds

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        losses = Losses()
        with self._opened() as (container, stream):
            rate, frames = float(stream.guessed_rate or 0), stream.frames
            decoded = enumerate(_decode(container, stream, losses))
            numbered = ((index, _time(stream, frame), frame) for index, frame in decoded)
            for frame in self._pictures(numbered, lambda index: not index or wants(index), stream):
                losses.last_seconds = max(losses.last_seconds, frame.time_seconds)
                yield frame
        if not losses.shown:
            raise self._explain(codec=self._codec)
        if losses.shown == 1 and container.format.name in _PICTURE_CONTAINERS:
            raise self._explain("picture")
        missing = losses.missing_seconds(self._packets.times_seconds, frames, rate)
        self._info = replace(self._info, lost_frames=losses.frames, missing_seconds=missing)

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        return self._packets.worth_jumping(indices)

    def jump(self, indices: Sequence[int]) -> Iterator[Frame]:
        wanted = frozenset(indices)
        with self._opened() as (container, stream):
            for frame in self._pictures(self._jump_to(indices, container, stream), wanted.__contains__, stream):
                if frame.bgr is not None:
                    yield frame

    def info(self) -> VideoInfo:
        return self._info

    def _jump_to(self, indices: Sequence[int], container: InputContainer, stream: VideoStream) -> Iterator[_Decoded]:
        """The wanted frames and, for the half pictures of interlaced ones, those before and after each."""
        packets = self._packets
        end = [index for index, _, _ in self._decode_from(packets.last, container, stream)]
        if not end or end[-1] != packets.last:  # the list is longer or shorter than what can be decoded
            raise JumpError
        frames, at = self._decode_from(0, container, stream), -1
        for index in indices:
            first, stop = max(0, index - 1), min(index + 1, packets.last)
            if first > at and packets.cost(at, first) < first - at:
                frames, at = self._decode_from(first, container, stream), -1
            while at < stop:
                decoded = next(frames, None)
                if decoded is None or (at >= 0 and decoded[0] != at + 1) or (at < 0 and decoded[0] > first):
                    raise JumpError
                at = decoded[0]
                yield decoded

    def _decode_from(self, index: int, container: InputContainer, stream: VideoStream) -> Iterator[_Decoded]:
        """Decodes from the key frame before a frame on."""
        packets = self._packets
        key = packets.times_seconds[packets.key_frames[packets.key_before(index)]]
        assert stream.time_base is not None
        container.seek(round(key / stream.time_base) + (stream.start_time or 0), stream=stream)
        for frame in _decode(container, stream, Losses()):
            time = _time(stream, frame)
            yield packets.index_of(time), time, frame

    def _pictures(
        self, decoded: Iterator[_Decoded], wants: Callable[[int], bool], stream: VideoStream
    ) -> Iterator[Frame]:
        """Converts the wanted frames. An interlaced one waits for the next one, which completes it."""
        deinterlacer: _Deinterlacer | None = None
        pictures: dict[int, npt.NDArray[np.uint8]] = {}
        before: tuple[int, float] | None = None
        for index, time, frame in decoded:
            matrix = _matrix(frame)
            if frame.interlaced_frame and (deinterlacer is None or not deinterlacer.fits(frame)):
                deinterlacer = _Deinterlacer(frame, stream)
            if deinterlacer and deinterlacer.fits(frame):
                if wants(index) or wants(index + 1) or (index and wants(index - 1)):
                    for number, whole in deinterlacer.add(index, frame):
                        if wants(number):
                            pictures[number] = _upright(whole, matrix)
            elif wants(index):
                pictures[index] = _upright(frame, matrix)
            if before:
                yield self._frame(*before, pictures, stream)
            before = index, time
            if not deinterlacer:
                yield self._frame(index, time, pictures, stream)
                before = None
        if before and deinterlacer:
            pictures |= {number: _upright(whole, matrix) for number, whole in deinterlacer.add(0, None)}
        if before:
            yield self._frame(*before, pictures, stream)

    def _frame(self, index: int, time: float, pictures: dict[int, npt.NDArray[np.uint8]], stream: VideoStream) -> Frame:
        picture = pictures.pop(index, None)
        if picture is not None and not self._info.width:
            self._info = replace(self._info, width=picture.shape[1], height=picture.shape[0])
            turned = stream.codec_context.height == picture.shape[1] != picture.shape[0]
            ratio = float(stream.sample_aspect_ratio or 1)
            ratio = (1 / ratio if turned else ratio) if ratio > 0 else 1.0
            self._info = replace(self._info, sample_aspect_ratio=round(ratio, 6) if 0.1 < ratio < 10 else 1.0)
        return Frame(index, time, picture)

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        with self._container() as container:
            stream = self._stream(container)
            try:
                yield container, stream
            except MemoryError:
                raise
            except av.FFmpegError as error:
                reason = f"decoding failed: {error.strerror or error}"
                raise VideoError(f"{self.name}: {reason}.", "Re-encode the file.") from error

    @contextmanager
    def _container(self) -> Iterator[InputContainer]:
        with self._path.open("rb") as file:
            name = os.fspath(self._path.absolute())
            try:
                name.encode("utf-8")
            except UnicodeEncodeError:
                name = f"/dev/fd/{file.fileno()}"
            try:
                container = av.open(f"file:{name}", options=_OPTIONS)
            except (av.FFmpegError, ValueError):
                raise self._explain() from None
            with container:
                yield container

    def _explain(self, streams: str = "", codec: str = "") -> VideoError:
        return explain(self._path, streams, codec)

    def _stream(self, container: InputContainer) -> VideoStream:
        """The first stream of moving pictures."""
        streams = container.streams.video
        moving = [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
        if not moving:
            kind = "cover" if streams else "sound" if container.streams.audio else ""
            raise self._explain(kind)
        stream = moving[0]
        context = stream.codec_context
        self._codec = context.name if context else "unknown"
        if context is None:
            raise self._explain(codec=self._codec)
        if context.width * context.height > self._max_pixels:
            size = f"{context.width} x {context.height}"
            reason = f"its frames are {size} pixels, more than {self._max_pixels // 1_000_000} megapixels"
            raise VideoError(f"{self.name}: {reason}.", "Re-encode it at a smaller size.", code="video.too_large")
        stream.thread_type = "AUTO"
        context.thread_count = self._threads
        rate = float(stream.guessed_rate or 0)
        if not self._info.reader:
            self._info = VideoInfo(
                reader="pyav",
                header_frames=stream.frames,
                frames_per_second=rate if 0 < rate < 10_000 else 0.0,
            )
        return stream


def reaches_its_end(path: Path) -> bool:
    """Whether the sound of a file goes on to the end that the container promises, and only the pictures end before.

    False where the container says how many pictures there are.
    """
    with suppress(av.FFmpegError, ValueError, OSError), av.open(f"file:{path.absolute()}", options=_OPTIONS) as file:
        if file.duration is None or not file.streams.video or file.streams.video[0].frames:
            return False
        ends = [
            float((packet.pts + (packet.duration or 0)) * packet.time_base)
            for packet in file.demux()
            if packet.pts is not None and packet.time_base is not None
        ]
        start, promised = (file.start_time or 0) / av.time_base, file.duration / av.time_base
        return max(ends, default=0.0) - start > (1 - CUT_SHARE) * promised
    return False


class ReadableFile(Protocol):
    """What FFmpeg needs of a file that is only read forward."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""


class PyAvStream(ReadOnce, PyAvSource):
    """Video that arrives: of a pipe, or from an address. It is read once, from wherever it begins.

    Args:
        place: An address, or a file.
        name: What errors call it.
        max_pixels: Larger frames are rejected.
        protocols: Names that FFmpeg may open for the address.
        timeout_seconds: How long no data may arrive; None: as long as it likes.

    Attributes:
        is_finite: Whether whoever sends it says how long it is; known once a frame has been read.
    """

    def __init__(
        self,
        place: str | ReadableFile,
        name: str,
        max_pixels: int,
        protocols: Sequence[str] = (),
        timeout_seconds: float | None = None,
    ) -> None:
        super().__init__(Path(name), 0, max_pixels)
        self._place, self._name, self._protocols, self._timeout = place, name, protocols, timeout_seconds
        self.is_finite = False

    @property
    def name(self) -> str:
        return self._name

    @contextmanager
    def _container(self) -> Iterator[InputContainer]:
        options = _OPTIONS
        if self._protocols:
            formats = (*VIDEO_CONTAINERS, *_STREAM_FORMATS)
            options = {
                "protocol_whitelist": ",".join(self._protocols),
                "format_whitelist": ",".join(formats),
                "rtsp_transport": "tcp",
                # The first frames are waited for no longer than this, in microseconds.
                "analyzeduration": "1000000",
            }
        try:
            container = av.open(self._place, mode="r", options=options, timeout=self._timeout)
        except (av.FFmpegError, ValueError) as error:
            raise self._why(error) from None
        with container:
            self.is_finite = container.size > 0
            yield container

    def _stream(self, container: InputContainer) -> VideoStream:
        stream = super()._stream(container)
        if self._protocols:
            stream.thread_type = "SLICE"  # threads for whole frames would hold some back
        return stream

    def _why(self, error: Exception) -> VideoError:
        if isinstance(error, av.InvalidDataError):
            return self._explain()
        if isinstance(error, av.ArgumentError):
            reason = "the address is incomplete, or what arrives is not a video, such as a playlist"
        elif isinstance(error, av.ExitError):
            reason = f"no data came for {self._timeout:g} s"
        else:
            reason = str(getattr(error, "strerror", "") or error).lower()
        return VideoError(f"{self.name}: {reason}.", "Check that it is being sent.", code="video.unreachable")

    def _explain(self, streams: str = "", codec: str = "") -> VideoError:
        what = f"no frame can be decoded (codec: {codec})" if codec else "what arrives is not a video"
        if streams:
            what = "what arrives has no moving picture"
        hint = "Send MPEG-TS, Matroska or fragmented MP4."
        return VideoError(f"{self.name}: {what}.", hint)


class _Deinterlacer:
    """Makes whole frames of half pictures, each from those of the frames before and after, too."""

    def __init__(self, frame: VideoFrame, stream: VideoStream) -> None:
        self._form = _form(frame)
        graph = Graph()
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=_CLOCK)
        chain = [source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("setfield", "prog")]
        chain.append(graph.add("buffersink"))
        graph.link_nodes(*chain).configure()
        self._graph = graph

    def fits(self, frame: VideoFrame) -> bool:
        return _form(frame) == self._form

    def add(self, index: int, frame: VideoFrame | None) -> Iterator[tuple[int, VideoFrame]]:
        """Takes a frame, None after the last one; yields those that are complete, by their numbers."""
        if frame is not None:
            frame.pts, frame.time_base = index, _CLOCK
        self._graph.push(frame)
        while True:
            try:
                whole = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            assert isinstance(whole, VideoFrame)
            assert whole.pts is not None
            assert whole.time_base is not None
            yield round(whole.pts * whole.time_base / _CLOCK), whole


def _form(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _decode(container: InputContainer, stream: VideoStream, losses: Losses) -> Iterator[VideoFrame]:
    """The frames of a file from where it is; packets that the decoder refuses are counted."""
    packets = container.demux(stream)
    ended = False
    while not ended:
        frames: Collection[VideoFrame] = ()
        try:
            packet = next(packets, None)
            ended = packet is None
            frames = packet.decode() if packet is not None else ()  # type: ignore[assignment]
        except MemoryError:
            raise
        except EOFError:
            continue  # the decoder was emptied by the packet before
        except av.FFmpegError:
            losses.refuse()
        for frame in frames:
            losses.show(losses.last_seconds)
            yield frame


def _time(stream: VideoStream, frame: VideoFrame) -> float:
    return _seconds(stream, frame.pts if frame.pts is not None else frame.dts)


def _seconds(stream: VideoStream, pts: int | None) -> float:
    """When a frame is shown; 0 where the container does not say."""
    if pts is None or stream.time_base is None:
        return 0.0
    return float((pts - (stream.start_time or 0)) * stream.time_base)


def _matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """The signs of the four numbers that turn and mirror the picture."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    # Not of the library's types, which do not know that it is a buffer.
    numbers = np.frombuffer(bytes(data), "<i4")[:5] / 65536  # type: ignore[call-overload]
    a, b, _, c, d = (int(np.sign(round(number))) for number in numbers)
    return a, b, c, d


def _upright(frame: VideoFrame, matrix: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """The picture as it is to be shown, ``uint8 [H, W, 3]``, blue, green and red."""
    # OpenCV converts with the same interpolation: both give the same pixels.
    picture = frame.to_ndarray(format="bgr24", interpolation="BICUBIC")
    a, b, c, d = matrix
    across, down = (a, d) if a else (c, b)
    if not a:
        picture = picture.transpose(1, 0, 2)
    picture = picture[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
    return np.ascontiguousarray(picture, np.uint8)
