"""Backgrounds: one flat illustration for each place, drawn to whatever shape a clip has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drawing import Canvas, Image, color, mix


class Painter:
    """Draws in frame heights: x from 0 in the middle to both sides, y from 0 at the top down to 1."""

    def __init__(self, width: int, height: int, frame_height: float) -> None:
        self.image: Image = np.zeros((height, width, 3), dtype=np.uint8)
        self._canvas = Canvas(self.image)
        self._unit = frame_height
        self._left, self._top = width / 2, (height - frame_height) / 2

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return self._left + x * self._unit, self._top + y * self._unit

    def box(self, x0: float, y0: float, x1: float, y1: float, code: str) -> None:
        """Fill an upright rectangle."""
        self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], code)

    def band(self, y0: float, y1: float, code: str) -> None:
        """Fill all of the width between two heights."""
        self.box(-2, y0, 2, y1, code)

    def shape(self, points: list[tuple[float, float]], code: str) -> None:
        """Fill a polygon."""
        self._canvas.polygon([self._at(*point) for point in points], color(code))

    def disc(self, x: float, y: float, radius: float, code: str) -> None:
        """Fill a circle."""
        self._canvas.blob([(self._at(x, y), radius * self._unit)], color(code))

    def bar(self, x0: float, y0: float, x1: float, y1: float, radius: float, code: str) -> None:
        """Fill a thick line with round ends."""
        ends = [(self._at(x0, y0), radius * self._unit), (self._at(x1, y1), radius * self._unit)]
        self._canvas.blob(ends, color(code))

    def sky(self, top: str, bottom: str, horizon: float) -> None:
        """Fill down to the horizon in eight bands: a smooth gradient would cost a codec more."""
        for i in range(8):
            blue, green, red = mix(color(top), color(bottom), i / 7)
            y = -0.1 + (horizon + 0.1) * i / 8
            self.band(y, horizon + 0.10, f"#{red:02X}{green:02X}{blue:02X}")

    def cloud(self, x: float, y: float, size: float, code: str = "#FFFFFF") -> None:
        """Draw a cloud of three puffs."""
        self.bar(x - size, y, x + size, y, size * 0.28, code)
        self.disc(x - size * 0.25, y - size * 0.25, size * 0.42, code)
        self.disc(x + size * 0.4, y - size * 0.15, size * 0.32, code)

    def tree(self, x: float, foot: float, size: float, leaf: str, trunk: str = "#7A5638") -> None:
        """Draw a round tree."""
        self.bar(x, foot, x, foot - size * 0.6, size * 0.05, trunk)
        for dx, dy, radius in ((-0.16, -0.62, 0.22), (0.17, -0.66, 0.2), (0.0, -0.84, 0.24)):
            self.disc(x + dx * size, foot + dy * size, radius * size, leaf)


def _living_room(p: Painter) -> None:
    p.band(-0.1, 0.80, "#CFE3DF")
    p.band(0.80, 1.1, "#D9B38C")
    p.band(0.785, 0.805, "#F5F0E6")
    p.box(-0.50, 0.12, -0.24, 0.44, "#FFFFFF")
    p.box(-0.48, 0.14, -0.26, 0.42, "#F2B880")
    p.disc(-0.37, 0.27, 0.07, "#FBE8C8")
    p.bar(0.42, 0.80, 0.42, 0.42, 0.008, "#7D6B5D")
    p.shape([(0.35, 0.42), (0.49, 0.42), (0.46, 0.27), (0.38, 0.27)], "#FFE9A8")
    p.bar(0.60, 0.66, 0.95, 0.66, 0.12, "#6C8EAD")
    p.bar(0.58, 0.72, 0.95, 0.72, 0.07, "#7FA3C4")
    p.bar(-0.36, 0.93, 0.36, 0.93, 0.05, "#B9D2CB")


def _park(p: Painter) -> None:
    p.sky("#8ECDF0", "#DDF2FA", 0.70)
    p.cloud(-0.42, 0.16, 0.13)
    p.cloud(0.36, 0.09, 0.10)
    p.disc(-0.55, 0.86, 0.35, "#93CB74")
    p.disc(0.48, 0.98, 0.45, "#86C168")
    p.tree(-0.60, 0.76, 0.48, "#4F9D5B")
    p.tree(0.55, 0.75, 0.55, "#5BAA62")
    p.band(0.74, 1.1, "#A6D884")
    p.band(0.84, 1.1, "#E9D8AE")


def _gym(p: Painter) -> None:
    p.band(-0.1, 0.78, "#C9CED6")
    p.band(0.50, 0.60, "#F4A259")
    p.band(0.78, 1.1, "#6B7A8F")
    p.box(-0.60, 0.10, -0.30, 0.42, "#E4EDF5")
    p.box(-0.458, 0.10, -0.442, 0.42, "#AEB6C2")
    for i in range(7):
        p.box(0.32, 0.16 + i * 0.09, 0.58, 0.18 + i * 0.09, "#A87B51")
    p.box(0.31, 0.10, 0.335, 0.78, "#8C643F")
    p.box(0.565, 0.10, 0.59, 0.78, "#8C643F")
    p.bar(-0.46, 0.93, 0.46, 0.93, 0.045, "#3FA7A0")


def _office(p: Painter) -> None:
    p.band(-0.1, 0.80, "#E6E2D8")
    p.band(0.80, 1.1, "#8A95A5")
    p.box(-0.62, 0.10, -0.16, 0.46, "#FFFFFF")
    p.box(-0.60, 0.12, -0.18, 0.44, "#A9D3EE")
    for x, top in ((-0.56, 0.26), (-0.46, 0.20), (-0.36, 0.30), (-0.27, 0.24)):
        p.box(x, top, x + 0.07, 0.44, "#86B4D3")
    p.box(0.34, 0.54, 0.90, 0.57, "#9C7350")
    p.box(0.38, 0.57, 0.41, 0.80, "#7E5B3D")
    p.box(0.44, 0.38, 0.62, 0.50, "#39424E")
    p.box(0.52, 0.50, 0.54, 0.54, "#39424E")
    p.disc(-0.40, 0.62, 0.07, "#5C9E6E")
    p.disc(-0.34, 0.57, 0.06, "#6DB07F")
    p.shape([(-0.43, 0.68), (-0.31, 0.68), (-0.33, 0.80), (-0.41, 0.80)], "#D98C5F")


def _street(p: Painter) -> None:
    p.sky("#F6C89A", "#FCE9CF", 0.70)
    houses = ((-0.95, 0.22, "#B5838D"), (-0.62, 0.10, "#D9A78B"), (-0.28, 0.26, "#9AA9B8"),
              (0.02, 0.14, "#C68B77"), (0.36, 0.24, "#A5A58D"), (0.68, 0.12, "#B7998A"))  # fmt: skip
    for x, top, code in houses:
        p.box(x, top, x + 0.335, 0.76, code)
        for column in range(3):
            for row in range(3):
                left, up = x + 0.05 + column * 0.09, top + 0.06 + row * 0.14
                p.box(left, up, left + 0.05, up + 0.08, "#F7E7C6")
    p.band(0.74, 0.86, "#D8D2C8")
    p.band(0.86, 0.875, "#B6AFA4")
    p.band(0.875, 1.1, "#C7C0B5")


def _beach(p: Painter) -> None:
    p.sky("#6EC1E8", "#E4F5FB", 0.48)
    p.disc(0.36, 0.16, 0.08, "#FFF3B8")
    p.band(0.46, 0.72, "#3D9BBF")
    p.band(0.60, 0.72, "#56B3CF")
    p.band(0.70, 0.725, "#F4FBFC")
    p.band(0.72, 1.1, "#F1DDA9")
    p.shape([(-0.52, 0.46), (-0.36, 0.46), (-0.40, 0.50), (-0.48, 0.50)], "#B04A3F")
    p.shape([(-0.44, 0.28), (-0.44, 0.45), (-0.34, 0.45)], "#FFFFFF")
    p.bar(0.60, 0.90, 0.54, 0.40, 0.014, "#8A6240")
    for dx, dy in ((-0.18, 0.02), (-0.12, -0.09), (0.08, -0.10), (0.17, 0.0)):
        p.bar(0.54, 0.40, 0.54 + dx, 0.40 + dy, 0.026, "#4E9F5A")


def _kitchen(p: Painter) -> None:
    p.band(-0.1, 0.80, "#F6E7C8")
    p.band(0.80, 1.1, "#B5886A")
    p.band(0.10, 0.30, "#7FB0A8")
    for x in (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9):
        p.box(x - 0.004, 0.10, x + 0.004, 0.30, "#5F938B")
    p.band(0.55, 0.80, "#E9F0EE")
    p.band(0.535, 0.56, "#8D6E58")
    for x in (-0.75, -0.45, -0.15, 0.15, 0.45, 0.75):
        p.box(x - 0.004, 0.57, x + 0.004, 0.80, "#C9D6D2")
    p.bar(-0.47, 0.49, -0.40, 0.49, 0.035, "#D1495B")
    p.bar(0.42, 0.515, 0.58, 0.515, 0.012, "#EDAE49")
    p.disc(0.46, 0.48, 0.028, "#E76F51")
    p.disc(0.53, 0.48, 0.028, "#8AB17D")


def _mountains(p: Painter) -> None:
    p.sky("#7FB2E5", "#EAF3FB", 0.70)
    p.shape([(-1.2, 0.72), (-0.52, 0.16), (0.10, 0.72)], "#8D9DB6")
    p.shape([(-0.66, 0.275), (-0.52, 0.16), (-0.40, 0.268), (-0.48, 0.31), (-0.55, 0.27)], "#FFFFFF")
    p.shape([(-0.10, 0.72), (0.50, 0.22), (1.20, 0.72)], "#7487A6")
    p.shape([(0.40, 0.305), (0.50, 0.22), (0.62, 0.305), (0.54, 0.34), (0.48, 0.30)], "#FFFFFF")
    for x in (-0.70, -0.50, 0.36, 0.52, 0.72):
        p.shape([(x - 0.09, 0.76), (x, 0.46), (x + 0.09, 0.76)], "#3F7D63")
    p.band(0.74, 1.1, "#DDE7EE")
    p.band(0.85, 1.1, "#EDF3F7")


def _library(p: Painter) -> None:
    p.band(-0.1, 0.80, "#8A6548")
    p.band(0.80, 1.1, "#C9A27E")
    books = ("#D6A04A", "#7C9C80", "#B5656B", "#7189A5", "#E3D2B0")
    for row in range(3):
        y = 0.06 + row * 0.25
        p.band(y, y + 0.22, "#6B4B34")
        for i in range(26):
            if (i * 7 + row * 3) % 9 < 7:
                x, top = -1.04 + i * 0.08, y + 0.04 + ((i * 5 + row) % 3) * 0.02
                p.box(x, top, x + 0.07, y + 0.22, books[(i * 3 + row * 2) % 5])
    p.bar(-0.40, 0.93, 0.40, 0.93, 0.05, "#9E5A4F")


def _night_street(p: Painter) -> None:
    p.sky("#232B57", "#5B5A94", 0.72)
    p.disc(0.40, 0.14, 0.06, "#FBF3CF")
    p.disc(0.425, 0.125, 0.052, "#2B3260")
    for x, top in ((-0.95, 0.30), (-0.62, 0.20), (-0.33, 0.36), (0.02, 0.28), (0.34, 0.38), (0.66, 0.22)):
        p.box(x, top, x + 0.28, 0.78, "#343A6B")
        for i in range(6):
            if (i + round(x * 100)) % 3:
                left, up = x + 0.05 + (i % 2) * 0.11, top + 0.06 + (i // 2) * 0.12
                p.box(left, up, left + 0.06, up + 0.06, "#F2C572")
    p.bar(-0.44, 0.80, -0.44, 0.26, 0.008, "#1D2145")
    p.disc(-0.44, 0.24, 0.035, "#FFE7A3")
    p.band(0.78, 1.1, "#6A6C98")
    p.band(0.78, 0.80, "#8587B0")


def _garden(p: Painter) -> None:
    p.sky("#BFE3F2", "#F3FAF4", 0.60)
    p.band(0.40, 0.76, "#6FAE75")
    for i in range(14):
        p.disc(-1.04 + i * 0.16, 0.40, 0.09, "#6FAE75")
    for i in range(17):
        p.box(-1.04 + i * 0.13, 0.54, -0.97 + i * 0.13, 0.78, "#FBF6EA")
    p.band(0.60, 0.63, "#FBF6EA")
    p.band(0.76, 1.1, "#A9D18E")
    for i, x in enumerate((-0.78, -0.58, -0.40, 0.40, 0.58, 0.78)):
        p.bar(x, 0.79, x, 0.72, 0.006, "#3F7F4C")
        p.disc(x, 0.71, 0.026, ("#E76F8A", "#F4C95D", "#FFFFFF")[i % 3])


def _studio(p: Painter) -> None:
    p.band(-0.1, 0.80, "#F3D9DC")
    p.disc(0.0, 0.48, 0.40, "#F9E9EA")
    p.band(0.80, 1.1, "#DDB7BC")
    p.bar(-0.56, 0.82, -0.50, 0.34, 0.008, "#4A4E69")
    p.shape([(-0.60, 0.20), (-0.40, 0.28), (-0.44, 0.40), (-0.62, 0.34)], "#4A4E69")
    p.bar(0.52, 0.80, 0.52, 0.62, 0.055, "#7FB3A6")
    p.disc(0.46, 0.46, 0.07, "#4F8A6D")
    p.disc(0.56, 0.42, 0.08, "#5E9C7D")


_PLACES: dict[str, Callable[[Painter], None]] = {
    "living_room": _living_room, "park": _park, "gym": _gym, "office": _office, "street": _street,
    "beach": _beach, "kitchen": _kitchen, "mountains": _mountains, "library": _library,
    "night_street": _night_street, "garden": _garden, "studio": _studio,
}  # fmt: skip


def paint_place(place: str, width: int, height: int, frame_height: float) -> Image:
    """Draw a place onto a picture that is a little larger than the frame, for the camera to wander in."""
    painter = Painter(width, height, frame_height)
    _PLACES[place](painter)
    return painter.image
