"""Flat-illustration drawing: colors, and a canvas that fills round-cornered shapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Color = tuple[int, int, int]
Point = tuple[float, float]
Disc = tuple[Point, float]

# Everything is painted this many times larger and averaged down: cheaper than anti-aliasing each edge, and
# neighboring shapes meet without seams.
SUPERSAMPLE = 4

_SHIFT = 4


def _circle(corners: int) -> Floats:
    angles = np.arange(corners) * (2 * np.pi / corners)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


_SMALL, _LARGE = _circle(20), _circle(72)


def color(code: str) -> Color:
    """Turn "#RRGGBB" into the blue-green-red triple that OpenCV draws with."""
    red, green, blue = (int(code[i : i + 2], 16) for i in (1, 3, 5))
    return blue, green, red


def shade(base: Color, factor: float) -> Color:
    """Darken (factor < 1) or lighten (factor > 1) a color."""
    blue, green, red = (min(255, max(0, round(channel * factor))) for channel in base)
    return blue, green, red


def mix(first: Color, second: Color, share: float) -> Color:
    """Blend two colors; share is that of the second."""
    blue, green, red = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return blue, green, red


def _fixed(points: Floats) -> NDArray[np.int32]:
    """Round to OpenCV's fixed-point coordinates, so that shapes move in fractions of a pixel."""
    return np.round(points * (1 << _SHIFT)).astype(np.int32)


class Canvas:
    """A picture to fill shapes into, in pixels of that picture."""

    def __init__(self, image: Image) -> None:
        self.image = image

    def polygon(self, points: Iterable[Point], fill: Color) -> None:
        """Fill a polygon, convex or not."""
        corners = _fixed(np.array(list(points), dtype=np.float64))
        cv2.fillPoly(self.image, [corners], fill, cv2.LINE_8, _SHIFT)

    def blob(self, discs: Sequence[Disc], fill: Color) -> None:
        """Fill the convex hull of some discs: a limb is two of them, a torso four."""
        rims = np.concatenate(
            [(_SMALL if radius < 40 else _LARGE) * radius + np.array(center) for center, radius in discs]
        )
        hull = cv2.convexHull(rims.astype(np.float32))[:, 0].astype(np.float64)
        cv2.fillConvexPoly(self.image, _fixed(hull), fill, cv2.LINE_8, _SHIFT)

    def lit_blob(self, discs: Sequence[Disc], fill: Color, light: Point) -> None:
        """Fill like `blob`, with a darker rim on the side away from the light."""
        self.blob(discs, shade(fill, 0.80))
        self.blob([((x + light[0] * r, y + light[1] * r), r * 0.84) for (x, y), r in discs], fill)

    def shadow(self, center: Point, axes: Point, strength: float) -> None:
        """Darken an ellipse, soft at its rim."""
        for grow, share in ((1.0, 0.5), (0.8, 0.5)):
            width, height = axes[0] * grow, axes[1] * grow
            x0, x1 = int(center[0] - width) - 1, int(center[0] + width) + 2
            y0, y1 = int(center[1] - height) - 1, int(center[1] + height) + 2
            x0, y0 = max(x0, 0), max(y0, 0)
            region = self.image[y0:y1, x0:x1]
            if region.size == 0:
                continue
            rows, columns = np.mgrid[y0 : y0 + region.shape[0], x0 : x0 + region.shape[1]]
            inside = ((columns - center[0]) / width) ** 2 + ((rows - center[1]) / height) ** 2 <= 1
            region[inside] = np.round(region[inside] * (1 - strength * share)).astype(np.uint8)
