"""A white sheet for text and frames, drawn by OpenCV; its fonts draw all common scripts."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from activity_cli.errors import MissingDependencyError, OutputError
from activity_cli.files import write_bytes
from activity_cli.reports.text import escape_control

__all__ = ["GRID", "INK", "MUTED", "ORANGE", "Canvas", "Color", "Pixels", "fit_into"]

Color = tuple[int, int, int]
Pixels = npt.NDArray[np.uint8]

INK: Color = (28, 32, 40)
MUTED: Color = (107, 114, 128)
GRID: Color = (226, 230, 236)
ORANGE: Color = (226, 105, 20)


class Canvas:
    """An RGB picture under construction; ``pixels``: uint8 [height, width, 3]. Coordinates start at the top left.

    Raises:
        MissingDependencyError: OpenCV is older than 5, and has no TrueType fonts.
    """

    def __init__(self, width: int, height: int) -> None:
        if not hasattr(cv2, "FontFace"):
            hint = "Install it: pip install --upgrade 'opencv-python-headless>=5'."
            raise MissingDependencyError(
                f"Images need OpenCV 5 or newer; version {cv2.__version__} is installed.", hint
            )
        self.width, self.height = width, height
        self.pixels: Pixels = np.full((height, width, 3), 255, np.uint8)
        # OpenCV's type stubs lack the calls with a FontFace.
        self._font: Any = cv2.FontFace("sans")

    def text_width(self, text: str, size: int, weight: int = 400) -> int:
        """Measures a line of text in pixels."""
        shown = escape_control(text)
        if not shown:
            return 0
        measure: Any = cv2.getTextSize
        # OpenCV breaks the line at the width of the picture.
        _, _, width, _ = measure((1_000_000, 100), shown, (0, 0), self._font, size, weight)
        return int(width)

    def text(
        self, x: int, y: int, text: str, *, size: int = 14, color: Color = INK, weight: int = 400, max_width: int = 9999
    ) -> int:
        """Writes one line from ``x`` to the right, with the lower end of its letters at ``y``, and returns its width.

        Control characters are written as escapes. Text of more than ``max_width`` pixels ends in an ellipsis. The
        ``size`` is in pixels; a ``weight`` of 300 is light, 400 regular, 600 semi-bold.
        """
        shown = escape_control(text)  # also because OpenCV 5.0 crashes the process on a lone surrogate
        if self.text_width(shown, size, weight) > max_width:
            shown = shown[: self._fitting(shown, "…", size, weight, max_width)].rstrip() + "…"
        write: Any = cv2.putText
        wrap = (0, 1_000_000)  # never a second line, also where the text leaves the picture
        write(self.pixels, shown, (x, y), color, self._font, size, weight, cv2.PUT_TEXT_ALIGN_LEFT, wrap)
        return self.text_width(shown, size, weight)

    def wrap(self, text: str, size: int, max_width: int, lines: int) -> list[str]:
        """Breaks a text into lines, anywhere, since paths have no spaces. The last line may be too long."""
        rest = escape_control(text)
        broken: list[str] = []
        while rest and len(broken) < lines - 1:
            length = self._fitting(rest, "", size, 400, max_width)
            broken.append(rest[:length].strip())
            rest = rest[length:]
        return [*broken, rest.strip()] if rest else broken

    def _fitting(self, shown: str, ending: str, size: int, weight: int, max_width: int) -> int:
        """Counts the characters that fit together with an ending; at least one."""

        def width(length: int) -> int:
            return self.text_width(shown[:length] + ending, size, weight)

        return max(1, bisect_right(range(len(shown) + 1), max_width, key=width) - 1)

    def rectangle(self, x: int, y: int, width: int, height: int, fill: Color) -> None:
        """Fills a rectangle."""
        self.pixels[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = fill

    def paste(self, x: int, y: int, picture: Pixels) -> None:
        """Copies a picture onto the sheet; parts that would lie outside are cut off."""
        left, top = max(x, 0), max(y, 0)
        inside = picture[top - y : self.height - y, left - x : self.width - x]
        if y < self.height and x < self.width:
            self.pixels[top : top + inside.shape[0], left : left + inside.shape[1]] = inside

    def save(self, path: Path) -> None:
        """Writes the sheet as PNG.

        Raises:
            OutputError: The sheet cannot be encoded or written.
        """
        done, encoded = cv2.imencode(".png", cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR))
        if not done:
            raise OutputError(f"{path} cannot be written: PNG encoding failed.")
        write_bytes(path, encoded.tobytes())


def fit_into(frame: Pixels, width: int, height: int) -> Pixels:
    """Scales a frame into a box; its aspect ratio stays."""
    scale = min(width / frame.shape[1], height / frame.shape[0])
    size = (max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(frame, size, interpolation=method).astype("uint8")
