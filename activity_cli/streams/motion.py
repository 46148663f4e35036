"""The motion stream: histograms of optical flow, the second stream of LRCN (Donahue et al. 2015).

Dense optical flow (DIS: Kroeger et al. 2016) from a frame to the one a moment later, without the movement of the
camera. On a spatial pyramid, it is described by histograms of the flow's direction (HOF: Laptev et al. 2008) and of
motion boundaries (MBH: Dalal et al. 2006; Wang et al. 2013).
"""

from __future__ import annotations

from threading import Lock

import numpy as np
import numpy.typing as npt

from activity_cli.video.opencv import cv2

__all__ = ["MOTION_SECONDS", "MOTION_WIDTH", "MotionDescriber"]

# Time from a frame to the one that it is compared with.
MOTION_SECONDS = 1 / 15
_LONG_SIDE = 256
_CELLS = (1, 2, 4)
_BINS = 8
_CAMERA = 5
MOTION_WIDTH = 3 * _BINS * sum(cells**2 for cells in _CELLS) + _CAMERA
# Every eighth pixel tells the movement of the camera, and so many rounds of reweighting.
_STEP, _ROUNDS, _CAUCHY_PIXELS = 8, 5, 0.5

Floats = npt.NDArray[np.float32]


class MotionDescriber:
    """Describes what moves between two frames. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    @staticmethod
    def shrink(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """What of a frame ``uint8 [H, W, 3]``, blue, green and red, is needed: brightness, small; ``uint8 [h, w]``."""
        scale = _LONG_SIDE / max(frame.shape[:2])
        size = tuple(max(16, round(side * scale)) for side in (frame.shape[1], frame.shape[0]))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return np.asarray(
            cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), size, interpolation=interpolation), np.uint8
        )

    def describe(self, now: npt.NDArray[np.uint8], later: npt.NDArray[np.uint8], seconds: float) -> Floats:
        """A row ``float32 [MOTION_WIDTH]`` for two shrunk frames, shown ``seconds`` apart."""
        with self._lock:
            flow = self._flow.calc(now, later, None)
        flow = flow * (MOTION_SECONDS / seconds)
        camera = _camera(flow)
        y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
        left = flow - np.stack([camera[i, 0] + camera[i, 1] * x + camera[i, 2] * y for i in range(2)], axis=-1)
        fields = [left]
        for part in range(2):
            channel = np.ascontiguousarray(left[..., part])
            gradients = [cv2.Sobel(channel, cv2.CV_32F, dx, 1 - dx, ksize=3) / 8 for dx in (1, 0)]
            fields.append(np.stack(gradients, axis=-1))
        histograms = [_pyramid(field) for field in fields]
        lengths = np.linalg.norm(left, axis=-1)
        height, width = lengths.shape
        shift = camera[:, 0] + camera[:, 1] * width / 2 + camera[:, 2] * height / 2
        zoom, turn = (camera[0, 1] + camera[1, 2]) / 2, (camera[1, 1] - camera[0, 2]) / 2
        whole = [
            float(np.linalg.norm(shift)),
            abs(zoom) * width,
            abs(turn) * width,
            float(lengths.std()),
            float(np.percentile(lengths, 95)),
        ]
        return np.sqrt(np.concatenate([*histograms, whole])).astype(np.float32)


def _camera(flow: Floats) -> Floats:
    """The affine movement ``[2, 3]`` (shift, and change along x and y) that most of the frame shares."""
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
    return solution.T.astype(np.float32)


def _pyramid(field: Floats) -> Floats:
    """Histograms of the directions of a field ``[h, w, 2]``, weighted by length, of all cells of a pyramid."""
    lengths = np.linalg.norm(field, axis=-1)
    # Each vector counts for the two nearest directions, by how near it is.
    place = np.arctan2(field[..., 1], field[..., 0]) * (_BINS / (2 * np.pi)) % _BINS
    low = place.astype(np.int32) % _BINS
    share = place - np.floor(place)
    height, width = lengths.shape
    finest = _CELLS[-1]
    rows, columns = np.arange(height) * finest // height, np.arange(width) * finest // width
    cell = (rows[:, np.newaxis] * finest + columns) * _BINS
    size = finest * finest * _BINS
    counts = np.bincount((cell + low).ravel(), (lengths * (1 - share)).ravel(), size)
    counts += np.bincount((cell + (low + 1) % _BINS).ravel(), (lengths * share).ravel(), size)
    fine = counts.reshape(finest, finest, _BINS)
    levels = []
    for cells in _CELLS:
        each = finest // cells
        summed = fine.reshape(cells, each, cells, each, _BINS).sum(axis=(1, 3))
        levels.append((summed * (cells**2 / (height * width))).ravel())
    return np.concatenate(levels).astype(np.float32)
