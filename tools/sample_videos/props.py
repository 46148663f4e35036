"""What the persons use: a chair, a box, an umbrella."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from drawing import Canvas, Color, Floats, color, shade
from figure import ANKLE, Joints, View
from motions import CHANNELS, SEATED
from persons import Person

_WOOD, _SEAT = color("#9A6A43"), color("#C98B5A")
_CARD, _TAPE = color("#D9A566"), color("#F3E3C3")
_CANOPY = (color("#E63946"), color("#F8F1E7"))
_STICK = color("#3B3440")

_BOX_HALF = np.array([0.105, 0.095, 0.085])
_UMBRELLA = 0.42


def _corners(center: Floats, half: Floats) -> Floats:
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    return np.asarray(center + signs * half)


class Chair:
    """A wooden chair, placed so that the person's seated pose is on it."""

    def __init__(self, person: Person) -> None:
        hip_height = SEATED.hip_up * person.leg + ANKLE
        self._top = hip_height - 0.058
        self._middle = SEATED.hip_forward * person.leg + 0.02
        self._deep, self._wide, self._back = 0.125, 0.125, 0.34

    def extent(self, frame: int) -> Floats:
        """Corners, for keeping all of it in the picture."""
        ends = np.array([[self._middle, 0.0, 0.0], [self._middle, self._top + self._back, 0.0]])
        return np.concatenate([_corners(end, np.array([0.14, 0, 0.14])) for end in ends])

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draw all of it; the person comes on top, as the view is from ahead of the chair's back."""

        def spot(forward: float, up: float, right: float) -> tuple[float, float]:
            pixel, _ = view.project(np.array([self._middle + forward, up, right]))
            return float(pixel[0]), float(pixel[1])

        thin, deep, wide, top = 0.014 * view.scale, self._deep, self._wide, self._top
        for forward, right in ((-deep, -wide), (deep, -wide), (-deep, wide), (deep, wide)):
            leg = shade(_WOOD, 0.85 if right < 0 else 1.0)
            canvas.blob([(spot(forward, 0.01, right), thin * 0.8), (spot(forward, top, right), thin)], leg)
        for right in (-wide, wide):
            ends = [(spot(-deep, top, right), thin), (spot(-deep - 0.02, top + self._back, right), thin)]
            canvas.blob(ends, _WOOD)
        for low, high in ((0.25, 0.34), (0.13, 0.18)):
            slat = [(spot(-deep - 0.015, top + up, z), thin * 0.9) for up in (low, high) for z in (-wide, wide)]
            canvas.blob(slat, shade(_SEAT, 0.92))
        rim = [(spot(x, top - 0.012, z), thin * 1.1) for x in (-deep, deep) for z in (-wide, wide)]
        canvas.blob(rim, shade(_SEAT, 0.78))
        canvas.blob([(spot(x, top, z), thin) for x in (-deep, deep) for z in (-wide, wide)], _SEAT)


class Box:
    """A cardboard box that lies on the ground or is held."""

    def __init__(self, poses: Floats, joints: Joints) -> None:
        hands = (joints["right_hand"] + joints["left_hand"]) / 2
        held = poses[:, CHANNELS["box_held"]] > 0.5
        # Where the hands are lowest they grasp it: there it lies, there it is taken, there it is left.
        grasp = hands[int(np.argmin(hands[:, 1]))]
        lying = np.array([grasp[0] + 0.02, _BOX_HALF[1], 0.0])
        self._centers = np.where(held[:, None], hands + (lying - grasp), lying)

    def extent(self, frame: int) -> Floats:
        """Corners, for keeping all of it in the picture."""
        return _corners(self._centers[frame], _BOX_HALF)

    def draw(self, canvas: Canvas, view: View, frame: int) -> None:
        """Draw the three faces that the camera sees."""
        pixels, _ = view.project(self.extent(frame))
        keys = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
        at = {key: (float(x), float(y)) for key, (x, y) in zip(keys, pixels, strict=True)}
        canvas.polygon([at[1, 0, 0], at[1, 0, 1], at[1, 1, 1], at[1, 1, 0]], shade(_CARD, 0.88))
        canvas.polygon([at[0, 0, 1], at[1, 0, 1], at[1, 1, 1], at[0, 1, 1]], shade(_CARD, 0.74))
        canvas.polygon([at[0, 1, 0], at[1, 1, 0], at[1, 1, 1], at[0, 1, 1]], shade(_CARD, 1.08))

        def across(x: int, y: int, share: float) -> tuple[float, float]:
            (x0, y0), (x1, y1) = at[x, y, 0], at[x, y, 1]
            return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share

        canvas.polygon([across(0, 1, 0.4), across(1, 1, 0.4), across(1, 1, 0.6), across(0, 1, 0.6)], _TAPE)
        canvas.polygon([across(1, 1, 0.4), across(1, 0, 0.4), across(1, 0, 0.6), across(1, 1, 0.6)], shade(_TAPE, 0.88))


class Umbrella:
    """An umbrella in the right hand."""

    def __init__(self, poses: Floats, joints: Joints) -> None:
        tilt = poses[:, CHANNELS["umbrella_tilt"]]
        self._open = np.clip(poses[:, CHANNELS["umbrella_open"]], 0.0, 1.0)
        self._hand = joints["right_hand"]
        self._along = np.stack([np.cos(tilt), np.sin(tilt), np.zeros_like(tilt)], axis=1)

    def extent(self, frame: int) -> Floats:
        """Tip, and the rim as wide as it shows from any side."""
        hand, along = self._hand[frame], self._along[frame]
        wide = (0.03 + 0.29 * self._open[frame]) * np.array([[0, 0, 1.0], [0, 0, -1], [1, 0, 0], [-1, 0, 0]])
        return np.concatenate([[hand + along * (_UMBRELLA + 0.03)], hand + along * (_UMBRELLA - 0.1) + wide])

    def draw(self, canvas: Canvas, view: View, frame: int) -> None:
        """Draw the stick and the canopy, whose panels fan out as it opens."""
        hand, along, opened = self._hand[frame], self._along[frame], float(self._open[frame])
        ends, _ = view.project(np.stack([hand - along * 0.05, hand + along * (_UMBRELLA + 0.03)]))
        low, tip = ends
        size = view.scale
        canvas.blob([((float(x), float(y)), 0.009 * size) for x, y in ends], _STICK)
        axis = (tip - low) / max(float(np.linalg.norm(tip - low)), 1e-6)
        aside = np.array([-axis[1], axis[0]])
        top = tip - axis * 0.03 * size
        wide, drop = (0.024 + 0.296 * opened) * size, (0.30 - 0.16 * opened) * size
        if opened > 0.3:
            # The inside shows below the rim.
            rim = [top - axis * drop * 0.93 + aside * wide * x - axis * 0.03 * size * (1 - x * x) for x in _RIM]
            canvas.polygon([(float(x), float(y)) for x, y in rim], shade(_CANOPY[0], 0.55))
        self._panels(canvas, top, axis * drop, aside * wide)

    @staticmethod
    def _panels(canvas: Canvas, top: Floats, down: Floats, aside: Floats) -> None:
        edges = np.linspace(-1, 1, 7)
        sweep = np.linspace(0, np.pi / 2, 8)[:, None]
        for i, (first, last) in enumerate(pairwise(edges)):
            left = top + aside * first * np.sin(sweep) - down * (1 - np.cos(sweep))
            right = top + aside * last * np.sin(sweep) - down * (1 - np.cos(sweep))
            scallop = (left[-1:] + right[-1:]) / 2 + down * 0.12
            outline = np.concatenate([left, scallop, right[::-1]])
            fill: Color = _CANOPY[i % 2]
            canvas.polygon([(float(x), float(y)) for x, y in outline], shade(fill, 1.0 if i < 3 else 0.92))


_RIM = np.linspace(-1, 1, 9)
