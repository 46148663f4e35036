"""A white sheet to draw on: text, lines, rectangles and frames, in RGB.

Text needs the TrueType fonts of OpenCV 5, which draw all common scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from activity_cli.errors import MissingDependencyError, OutputError
from activity_cli.files import write_bytes
from activity_cli.reports.text import visible

__all__ = ["BLUE", "FAINT", "GRID", "INK", "MUTED", "ORANGE", "WHITE", "Align", "Canvas", "Color", "Pixels", "fit_into"]

Color = tuple[int, int, int]
Pixels = npt.NDArray[np.uint8]
Align = Literal["left", "center", "right"]

WHITE: Color = (255, 255, 255)
INK: Color = (28, 32, 40)
MUTED: Color = (107, 114, 128)
GRID: Color = (226, 230, 236)
FAINT: Color = (241, 243, 246)
# Told apart also with a red-green weakness, and by their lightness in print.
BLUE: Color = (29, 99, 210)
ORANGE: Color = (226, 105, 20)

_SUBPIXEL_BITS = 4  # OpenCV's fixed-point coordinates: 1/16 of a pixel


class Canvas:
    """An RGB picture under construction; coordinates are pixels from the top left corner.

    Args:
        width: Pixels.
        height: Pixels.

    Attributes:
        pixels: uint8 [height, width, 3].
    """

    def __init__(self, width: int, height: int) -> None:
        if not hasattr(cv2, "FontFace"):
            raise MissingDependencyError(
                f"Pictures need OpenCV 5 or newer; installed is {cv2.__version__}.",
                "Install it: pip install --upgrade 'opencv-python-headless>=5'.",
            )
        self.pixels: Pixels = np.full((height, width, 3), 255, np.uint8)
        # OpenCV's published types lack the calls with a FontFace.
        self._font: Any = cv2.FontFace("sans")

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    def text_width(self, text: str, size: int, weight: int = 400) -> int:
        """Measures a line of text in pixels."""
        return self._measure(visible(text), size, weight)

    def _measure(self, shown: str, size: int, weight: int) -> int:
        if not shown:
            return 0
        measure: Any = cv2.getTextSize
        # The size of the picture is where the line would be broken.
        _, _, width, _ = measure((1_000_000, 100), shown, (0, 0), self._font, size, weight)
        return int(width)

    def text(
        self,
        x: float,
        baseline: float,
        text: str,
        *,
        size: int = 14,
        color: Color = INK,
        weight: int = 400,
        align: Align = "left",
        max_width: int | None = None,
    ) -> int:
        """Writes one line.

        Args:
            x: Where it begins, has its middle or ends, as ``align`` says.
            baseline: Where its letters stand.
            text: Control characters are written as escapes.
            size: Pixels.
            color: Of the letters.
            weight: 300 light, 400 regular, 600 semi-bold.
            align: What ``x`` is.
            max_width: Pixels; what is longer ends in an ellipsis.

        Returns:
            The width that was used.
        """
        # Not only for the looks: OpenCV 5.0 crashes the process on a lone surrogate.
        shown = visible(text)
        if max_width is not None:
            shown = self._shorten(shown, size, weight, max_width)
        width = self._measure(shown, size, weight)
        left = x - {"left": 0.0, "center": width / 2, "right": float(width)}[align]
        write: Any = cv2.putText
        origin = (round(left), round(baseline))
        wrap = (0, 1_000_000)  # never a second line, also where the text leaves the picture
        write(self.pixels, shown, origin, color, self._font, size, weight, cv2.PUT_TEXT_ALIGN_LEFT, wrap)
        return width

    def vertical_text(self, x: float, bottom: float, text: str, *, size: int, max_width: int) -> None:
        """Writes one line that reads upwards, its letters standing on ``x``, its begin at ``bottom``."""
        strip = Canvas(max_width, 2 * size)
        strip.text(0, round(1.4 * size), text, size=size, max_width=max_width)
        self.paste(round(x) - round(1.4 * size), round(bottom) - max_width, np.rot90(strip.pixels))

    def wrap(self, text: str, size: int, max_width: int, lines: int) -> list[str]:
        """Breaks a text into lines, anywhere: a path has no spaces. The last line may be too long."""
        rest = visible(text)
        broken: list[str] = []
        while rest and len(broken) < lines - 1:
            length = self._fitting(rest, "", size, 400, max_width)
            broken.append(rest[:length].strip())
            rest = rest[length:]
        return [*broken, rest.strip()] if rest else broken

    def _shorten(self, shown: str, size: int, weight: int, max_width: int) -> str:
        if self._measure(shown, size, weight) <= max_width:
            return shown
        return shown[: self._fitting(shown, "…", size, weight, max_width)].rstrip() + "…"

    def _fitting(self, shown: str, ending: str, size: int, weight: int, max_width: int) -> int:
        """Counts the characters that fit with an ending after them; one at least."""
        low, high = 1, len(shown)
        while low < high:
            middle = (low + high + 1) // 2
            if self._measure(shown[:middle] + ending, size, weight) <= max_width:
                low = middle
            else:
                high = middle - 1
        return low

    def rectangle(self, x: float, y: float, width: float, height: float, fill: Color) -> None:
        """Fills a rectangle; the edges are rounded to pixels, so that neighbors touch."""
        left, top, right, bottom = round(x), round(y), round(x + width), round(y + height)
        self.pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = fill

    def line(self, points: Sequence[tuple[float, float]], color: Color, thickness: int = 1) -> None:
        """Draws a line through points, smoothed at its edges."""
        scaled = np.round(np.asarray(points, np.float64) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.polylines(self.pixels, [scaled], False, color, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)

    def dot(self, x: float, y: float, radius: float, color: Color) -> None:
        """Draws a filled circle with a white rim, which lifts it off a line beneath."""
        scale = 1 << _SUBPIXEL_BITS
        center = (round(x * scale), round(y * scale))
        for size, fill in ((radius + 2, WHITE), (radius, color)):
            cv2.circle(self.pixels, center, round(size * scale), fill, -1, cv2.LINE_AA, _SUBPIXEL_BITS)

    def paste(self, x: int, y: int, picture: Pixels) -> None:
        """Copies a picture onto the sheet; what would lie outside is cut off."""
        left, top = max(x, 0), max(y, 0)
        inside = picture[top - y : self.height - y, left - x : self.width - x]
        if y < self.height and x < self.width:
            self.pixels[top : top + inside.shape[0], left : left + inside.shape[1]] = inside

    def save(self, path: Path) -> None:
        """Writes the sheet as PNG, whole or not at all.

        Raises:
            OutputError: It cannot be encoded or written.
        """
        done, encoded = cv2.imencode(".png", cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR))
        if not done:
            raise OutputError(f"{path} cannot be written: PNG encoding failed.")
        write_bytes(path, encoded.tobytes())


def fit_into(frame: Pixels, width: int, height: int) -> Pixels:
    """Scales a frame into a box without changing its shape."""
    scale = min(width / frame.shape[1], height / frame.shape[0])
    size = (max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(frame, size, interpolation=method).astype("uint8")
