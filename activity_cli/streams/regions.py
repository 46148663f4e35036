"""Turned squares of a frame: what is cut out for a landmark model, and the way back to the frame."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from activity_cli.video.opencv import cv2

__all__ = ["Region", "cut_out"]

Floats = npt.NDArray[np.float32]


class Region(NamedTuple):
    """A square of a frame, turned so that what it shows stands upright in the picture that is cut out.

    Attributes:
        x, y: Its middle, in pixels of the frame.
        side: In pixels of the frame.
        turn: How far it is turned, clockwise, in radians.
    """

    x: float
    y: float
    side: float
    turn: float

    @classmethod
    def upright(cls, x: float, y: float, side: float, up: Floats) -> Region:
        """The region in whose picture the direction ``up`` ``(x, y)`` of the frame points up."""
        return cls(x, y, side, math.atan2(float(up[0]), -float(up[1])))

    def to_frame(self, points: Floats) -> Floats:
        """Points ``[..., 2]`` of the picture, where 0 and 1 are its borders -> pixels of the frame."""
        middle = np.array([self.x, self.y], np.float32)
        return np.asarray(self.turned_back((points - 0.5) * self.side) + middle, np.float32)

    def turned_back(self, vectors: Floats) -> Floats:
        """Vectors ``[..., 2 or 3]`` of the picture -> the same in the frame's orientation; depth stays."""
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        result = np.array(vectors, np.float32)
        result[..., 0] = cos * vectors[..., 0] - sin * vectors[..., 1]
        result[..., 1] = sin * vectors[..., 0] + cos * vectors[..., 1]
        return result


def cut_out(frame: npt.NDArray[np.uint8], region: Region, size: int) -> npt.NDArray[np.uint8]:
    """The picture of a region, ``uint8 [size, size, 3]``; what lies outside the frame is black."""
    cos, sin = (function(region.turn) * region.side / size for function in (math.cos, math.sin))
    half = (size - 1) / 2
    # From a pixel of the picture to one of the frame.
    matrix = np.array(
        [[cos, -sin, region.x - half * (cos - sin)], [sin, cos, region.y - half * (sin + cos)]], np.float64
    )
    return np.asarray(
        cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP), np.uint8
    )
