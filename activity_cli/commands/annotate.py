"""predict --annotate: the video again, with the activity, its confidence and a strip of the timeline below."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.errors import VideoError
from activity_cli.files import atomic_write, translate_os_error
from activity_cli.reports.canvas import GRID, INK, MUTED, Canvas, Color
from activity_cli.reports.text import clock_time, percent
from activity_cli.results import TimelineSegment
from activity_cli.video.opencv import FileSource, cv2

__all__ = ["annotate"]

Pixels = npt.NDArray[np.uint8]

_TEXT_HEIGHT, _STRIP_HEIGHT, _MARGIN = 34, 14, 6
_PANEL_HEIGHT = _TEXT_HEIGHT + _STRIP_HEIGHT + 2 * _MARGIN  # even, as the codec needs it
# A narrower picture has no room for a line of text.
_LEAST_WIDTH = 320
_CLOCK = Fraction(1, 90_000)


def annotate(video: Path, segments: Sequence[TimelineSegment], out: Path) -> None:
    """Writes a video with its timeline: H.264 in MP4, without sound.

    Frames are upright, of square pixels, and shown when those of the video are. Below them stand the activity and its
    confidence, and a strip of all segments with a mark at the present.

    Args:
        video: A video file.
        segments: Its segments, without holes.
        out: The file to write. It gets its name when it is complete.

    Raises:
        VideoError: The video cannot be decoded.
        OutputError: The file cannot be written.
    """
    import av  # here: few runs need it

    source = FileSource(video)
    source.list_times()
    frames = source.read(lambda _: True)
    panel: _Panel | None = None
    with atomic_write(out) as aside, translate_os_error(out), av.open(str(aside), "w", format="mp4") as container:
        stream = container.add_stream("libx264" if "libx264" in av.codecs_available else "mpeg4", rate=30)
        last = -1
        for frame in frames:
            if frame.bgr is None:
                continue
            picture = _shown(frame.bgr, source.info().sample_aspect_ratio, panel.size if panel else None)
            if panel is None:
                panel = _Panel(picture.shape[1], picture.shape[0], segments)
                stream.width, stream.height = picture.shape[1], picture.shape[0] + _PANEL_HEIGHT
                stream.pix_fmt, stream.codec_context.time_base = "yuv420p", _CLOCK
            whole = np.concatenate([picture, panel.at(frame.time_seconds)])
            image = av.VideoFrame.from_ndarray(whole, "rgb24")
            last = max(last + 1, round(frame.time_seconds / _CLOCK))  # the container takes only rising times
            image.pts, image.time_base = last, _CLOCK
            container.mux(stream.encode(image))
        if panel is None:
            raise VideoError(f"{video.name}: no frame can be decoded.", "Re-encode the file.")
        container.mux(stream.encode())


def _shown(bgr: Pixels, sample_aspect_ratio: float, size: tuple[int, int] | None) -> Pixels:
    """A frame as it is shown, RGB, of even width and height, no narrower than the text needs."""
    height, width = bgr.shape[0], bgr.shape[1] * sample_aspect_ratio
    scale = max(1.0, _LEAST_WIDTH / width)
    size = size or (round(width * scale / 2) * 2, round(height * scale / 2) * 2)
    if size != (bgr.shape[1], bgr.shape[0]):
        bgr = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


class _Panel:
    """What stands below the frames of a video."""

    def __init__(self, width: int, height: int, segments: Sequence[TimelineSegment]) -> None:
        self.size = width, height
        self._segments, self._end = segments, max((one.end_seconds for one in segments), default=0.0)
        self._number, self._drawn = -1, np.zeros((0, 0, 3), np.uint8)
        labels = sorted({one.label for one in segments if one.label is not None})
        self._color_of = {label: _color(number, len(labels)) for number, label in enumerate(labels)}

    def at(self, seconds: float) -> Pixels:
        """The panel at a moment, RGB."""
        later = (number for number, one in enumerate(self._segments) if seconds < one.end_seconds)
        number = next(later, len(self._segments) - 1)
        if number != self._number:
            self._number, self._drawn = number, self._draw(self._segments[number])
        panel = self._drawn.copy()
        x = self._x(seconds)
        panel[_TEXT_HEIGHT : _TEXT_HEIGHT + _STRIP_HEIGHT + _MARGIN, max(0, x - 1) : x + 1] = INK
        return panel

    def _x(self, seconds: float) -> int:
        share = seconds / self._end if self._end else 0.0
        return min(self.size[0] - 1, round(share * self.size[0]))

    def _draw(self, now: TimelineSegment) -> Pixels:
        width = self.size[0]
        canvas = Canvas(width, _PANEL_HEIGHT)
        until = clock_time(now.end_seconds)
        room = width - 3 * _MARGIN - canvas.text_width(until, 14)
        text = now.reason if now.label is None else now.label
        if now.label is not None and now.confidence is not None:
            text = f"{percent(now.confidence)}  {text}"
        canvas.text(_MARGIN, 24, text, size=18, color=MUTED if now.label is None else INK, weight=600, max_width=room)
        canvas.text(width - _MARGIN - canvas.text_width(until, 14), 24, until, size=14, color=MUTED)
        for one in self._segments:
            x, end = self._x(one.start_seconds), self._x(one.end_seconds)
            color = GRID if one.label is None else self._color_of[one.label]
            canvas.rectangle(x, _TEXT_HEIGHT + _MARGIN // 2, max(1, end - x), _STRIP_HEIGHT, color)
        return canvas.pixels


def _color(number: int, count: int) -> Color:
    red, green, blue = colorsys.hls_to_rgb(number / max(1, count), 0.45 + 0.12 * (number % 2), 0.65)
    return round(red * 255), round(green * 255), round(blue * 255)
