"""What is drawn over a video: the label of the moment, its confidence, a strip of the timeline, and the skeleton."""

from __future__ import annotations

import colorsys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from activity_cli.reports.canvas import Canvas, Color, Pixels
from activity_cli.reports.poses import draw_skeleton
from activity_cli.results import TimelineSegment

__all__ = ["Overlay", "Skeletons", "color_of"]

_BAND: Color = (28, 32, 40)
_TEXT: Color = (255, 255, 255)
_GAP: Color = (75, 85, 99)
# Of the band over the picture; the strip and the text hide what is behind them.
_OPACITY = 0.6
# Each hue is this much of the color circle after the one before, so that any number of labels differ well.
_HUE_STEP = 0.618034
_MIN_TEXT = 10
# Between moments that lie farther apart, nothing is known.
_LONGEST_GAP_SECONDS = 1.0


def color_of(label: str | None, labels: Sequence[str]) -> Color:
    """The color of a label, RGB, among all labels of a model; gray: a gap."""
    if label is None or label not in labels:
        return _GAP
    number = labels.index(label)
    red, green, blue = colorsys.hsv_to_rgb(0.08 + number * _HUE_STEP, 0.75, 0.95 if number % 2 else 0.8)
    return round(255 * red), round(255 * green), round(255 * blue)


@dataclass(frozen=True, slots=True, eq=False)
class Skeletons:
    """The joints of a person at some moments of a video.

    Attributes:
        times_seconds: The moments, rising.
        joints: In pixels of the video's frame, at each moment, as ``draw_skeleton`` draws them; None: nobody was found.
    """

    times_seconds: Sequence[float]
    joints: Sequence[npt.NDArray[np.float32] | None]

    def at(self, time_seconds: float) -> npt.NDArray[np.float32] | None:
        """The joints at any moment, between those of the moments around it; None: nobody is known there."""
        after = bisect_right(self.times_seconds, time_seconds)
        first, last = max(0, after - 1), min(after, len(self.times_seconds) - 1)
        if not self.joints or self.times_seconds[last] - self.times_seconds[first] > _LONGEST_GAP_SECONDS:
            return None
        before, following = self.joints[first], self.joints[last]
        if before is None or following is None:
            return None
        span = self.times_seconds[last] - self.times_seconds[first]
        share = (time_seconds - self.times_seconds[first]) / span if span else 0.0
        return np.asarray(before + share * (following - before), np.float32)


class Overlay:
    """Draws the timeline of one video over its frames, at the lower edge.

    Args:
        segments: All segments of the video, at least one, one after the other.
        labels: All labels of the model: a label has the same color in each video.
        width, height: Of a frame, in pixels.
        skeletons: The person in the video; None, or of no moments: the model does not read the pose.
    """

    def __init__(
        self,
        segments: Sequence[TimelineSegment],
        labels: Sequence[str],
        width: int,
        height: int,
        skeletons: Skeletons | None = None,
    ) -> None:
        self._skeletons = skeletons
        self._segments, self._labels, self._width = segments, labels, width
        self._text_size = max(_MIN_TEXT, height // 20)
        self._strip = max(4, height // 40)
        self._height = min(height, 2 * self._text_size + self._strip)
        self._ends = [segment.end_seconds for segment in segments]
        self._end = max(self._ends[-1], 1e-9)
        self._number = -1
        self._band = self._opaque = np.zeros((0, 0, 0), np.uint8)

    def draw(self, bgr: Pixels, time_seconds: float) -> Pixels:
        """A copy of a frame ``uint8 [H, W, 3]``, blue, green and red, with what holds at this moment."""
        number = min(bisect_right(self._ends, time_seconds), len(self._ends) - 1)
        if number != self._number:
            self._number = number
            self._write(number)
        picture = bgr.copy()
        joints = self._skeletons.at(time_seconds) if self._skeletons else None
        if joints is not None:
            rgb = np.ascontiguousarray(picture[..., ::-1])
            draw_skeleton(rgb, joints)
            picture = np.ascontiguousarray(rgb[..., ::-1])
        band = picture[-self._height :]
        cv2.addWeighted(band, 1 - _OPACITY, self._band, _OPACITY, 0, dst=band)
        np.copyto(band, self._band, where=self._opaque)
        place = round(min(1.0, time_seconds / self._end) * (self._width - 1))
        marker = max(1, self._strip // 4)
        band[-self._strip - marker :, max(0, place - marker) : place + marker + 1] = _TEXT
        return picture

    def _write(self, number: int) -> None:
        """The band of a segment, and which of its pixels hide the picture."""
        canvas = Canvas(self._width, self._height)
        canvas.rectangle(0, 0, self._width, self._height, _BAND)
        size, top = self._text_size, self._height - self._strip
        for segment in self._segments:
            left, right = (round(at / self._end * self._width) for at in (segment.start_seconds, segment.end_seconds))
            canvas.rectangle(left, top, max(1, right - left), self._strip, color_of(segment.label, self._labels))
        segment, left = self._segments[number], size // 2
        canvas.rectangle(left, size // 2, size, size, color_of(segment.label, self._labels))
        left += 3 * size // 2
        is_known = segment.label is not None and segment.confidence is not None
        share = f"  {segment.confidence:.0%}" if is_known else ""
        room = self._width - left - size // 2 - canvas.text_width(share, size)
        name = segment.label if segment.label is not None else segment.reason.replace("_", " ")
        baseline = size // 2 + round(0.85 * size)
        left += canvas.text(left, baseline, name, size=size, color=_TEXT, weight=600, max_width=max(size, room))
        canvas.text(left, baseline, share, size=size, color=_TEXT)
        self._opaque = np.any(canvas.pixels != _BAND, axis=-1, keepdims=True)
        self._band = np.ascontiguousarray(canvas.pixels[..., ::-1])
