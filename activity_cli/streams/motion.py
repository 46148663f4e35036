"""The motion stream: histograms of optical flow, the second stream of LRCN (Donahue et al. 2015).

Dense optical flow (DIS: Kroeger et al. 2016) from a frame to the one a moment later, without the movement of the
camera. On a spatial pyramid, it is described by histograms of the flow's direction (HOF: Laptev et al. 2008) and of
motion boundaries (MBH: Dalal et al. 2006; Wang et al. 2013).
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.video.opencv import cv2

__all__ = ["MOTION_SECONDS", "MOTION_WIDTH", "MotionDescriber", "mean_flow"]

# Time from a frame to the one that it is compared with.
MOTION_SECONDS = 1 / 15
# Pixels: of a frame's longer side, and of the shorter one at least: with fewer, OpenCV reads past the end of a patch.
_LONG_SIDE, _LEAST_SIDE = 256, 32
_CELLS = (1, 2, 4)
_BINS = 8
_CAMERA = 5
MOTION_WIDTH = 3 * _BINS * sum(cells**2 for cells in _CELLS) + _CAMERA
# Every eighth pixel is used to find the movement of the camera, and so many rounds of reweighting.
_STEP, _ROUNDS, _CAUCHY_PIXELS = 8, 5, 0.5

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


class MotionDescriber:
    """Describes what moves between two frames. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        # OpenCV's type stubs lack this class.
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    @staticmethod
    def shrink(frame: Picture) -> Picture:
        """What of a frame ``uint8 [H, W, 3]``, blue, green and red, is needed: brightness, small; ``uint8 [h, w]``."""
        scale = _LONG_SIDE / max(frame.shape[:2])
        width, height = (max(_LEAST_SIDE, round(side * scale)) for side in (frame.shape[1], frame.shape[0]))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        return np.asarray(cv2.resize(gray, (width, height), interpolation=interpolation), np.uint8)

    def describe(self, now: Picture, later: Picture, seconds: float) -> Floats:
        """A row for two shrunk frames of the same size.

        Args:
            now, later: ``uint8 [h, w]``.
            seconds: Time from one to the other, more than 0.

        Returns:
            ``float32 [MOTION_WIDTH]``, square roots: histograms of the flow and of the gradients of its two parts, each
            for 1 x 1, 2 x 2 and 4 x 4 cells; then of the camera how far it shifts, zooms and turns; then the deviation
            and the 95th percentile of the flow's length. Lengths are pixels of a frame 256 pixels wide or high, in
            :data:`MOTION_SECONDS`.
        """
        with self._lock:
            flow = self._flow.calc(now, later, None)
        flow = flow * np.float32(MOTION_SECONDS / seconds)
        height, width = now.shape
        camera = _camera_movement(flow)
        x, y = _grid(height, width)
        parts = [
            flow[..., part] - (shift + along_x * x + along_y * y)
            for part, (shift, along_x, along_y) in enumerate(camera)
        ]
        fields = [(parts[0], parts[1])]
        for part in parts:
            fields.append(tuple(cv2.Sobel(part, cv2.CV_32F, dx, 1 - dx, ksize=3, scale=1 / 8) for dx in (1, 0)))
        lengths, _ = cv2.cartToPolar(*parts)
        shift = camera[:, 0] + camera[:, 1] * width / 2 + camera[:, 2] * height / 2
        zoom, turn = (camera[0, 1] + camera[1, 2]) / 2, (camera[1, 1] - camera[0, 2]) / 2
        whole = (np.linalg.norm(shift), abs(zoom) * width, abs(turn) * width, lengths.std(), np.percentile(lengths, 95))
        histograms = [_pyramid(*field) for field in fields]
        return np.asarray(np.sqrt(np.concatenate([*histograms, np.array(whole)])), np.float32)


def mean_flow(rows: Floats) -> Floats:
    """The mean flow ``float32 [T, 4, 4, 2]`` in each of 4 x 4 cells, right and down, of rows ``[T, MOTION_WIDTH]``.

    It is summed from the histograms, so it is up to a twelfth too short. In the pixels of
    :meth:`MotionDescriber.describe`.
    """
    finest = _CELLS[-1]
    start = _BINS * sum(cells**2 for cells in _CELLS[:-1])
    histograms = rows[:, start : start + _BINS * finest**2].reshape(len(rows), finest, finest, _BINS) ** 2
    angles = 2 * np.pi / _BINS * np.arange(_BINS)
    return np.asarray(histograms @ np.stack([np.cos(angles), np.sin(angles)], axis=1), np.float32)


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    """The places ``x`` and ``y`` of all pixels, ``[height, width]``."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x, y


@lru_cache(maxsize=8)
def _cells(height: int, width: int) -> npt.NDArray[np.int32]:
    """The first bin of the finest cell that each pixel is in, ``[height, width]``."""
    finest = _CELLS[-1]
    rows, columns = np.arange(height) * finest // height, np.arange(width) * finest // width
    return ((rows[:, np.newaxis] * finest + columns) * _BINS).astype(np.int32)


def _camera_movement(flow: Floats) -> Floats:
    """The affine movement ``[2, 3]`` (shift, and change along x and y) that most of the frame shares.

    Least squares, reweighted in rounds so that what moves by itself counts little (Cauchy's weights).
    """
    some = flow[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP]
    y, x = np.mgrid[_STEP // 2 : flow.shape[0] : _STEP, _STEP // 2 : flow.shape[1] : _STEP].astype(np.float64)
    known = np.stack([np.ones(x.size), x.ravel(), y.ravel()], axis=1)
    moved = some.reshape(-1, 2).astype(np.float64)
    weights = np.ones(len(known))
    solution = np.zeros((3, 2))
    for _ in range(_ROUNDS):
        weighted = known * weights[:, np.newaxis]
        solution = np.linalg.lstsq(weighted.T @ known, weighted.T @ moved, rcond=None)[0]
        errors = np.linalg.norm(moved - known @ solution, axis=1)
        weights = 1 / (1 + (errors / _CAUCHY_PIXELS) ** 2)
    return np.asarray(solution.T, np.float32)


def _pyramid(x: Floats, y: Floats) -> npt.NDArray[np.float64]:
    """Histograms of the directions of vectors ``[h, w]``, weighted by length, of all cells of a pyramid.

    The first bin is to the right, and they go on clockwise. A cell's histogram is divided by its area.
    """
    lengths, angles = cv2.cartToPolar(x, y)
    # Each vector counts for the two nearest directions, by how near it is.
    places = angles * np.float32(_BINS / (2 * np.pi))
    low = places.astype(np.int32)
    upper = lengths * (places - low)
    height, width = lengths.shape
    cells, finest = _cells(height, width), _CELLS[-1]
    size = finest * finest * _BINS
    counts = np.bincount((cells + low % _BINS).ravel(), (lengths - upper).ravel(), size)
    counts += np.bincount((cells + (low + 1) % _BINS).ravel(), upper.ravel(), size)
    fine = counts.reshape(finest, finest, _BINS)
    levels = []
    for per_side in _CELLS:
        each = finest // per_side
        summed = fine.reshape(per_side, each, per_side, each, _BINS).sum(axis=(1, 3))
        levels.append((summed * (per_side**2 / (height * width))).ravel())
    return np.concatenate(levels)
