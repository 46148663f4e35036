"""The pose stream: the joints of a person in each frame, by BlazePose (Bazarevsky et al. 2020).

A detector finds a person, and a landmark model finds 33 joints in the square around. It runs twice: the joints of the
first run give a better square. Every frame is read by itself, so that its joints do not depend on where a clip starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from activity_cli.streams.model_files import landmark_model
from activity_cli.streams.regions import Region, cut_out
from activity_cli.video.opencv import cv2

__all__ = ["NUM_JOINTS", "POSE_WIDTH", "PoseEstimator", "PoseRows", "split_pose"]

NUM_JOINTS = 33
# found, then of each joint: x and y in the picture, x, y and z around the hips, and visibility.
POSE_WIDTH = 1 + NUM_JOINTS * (2 + 3 + 1)

_DETECTOR_SIZE, _LANDMARK_SIZE = 224, 256
# Strides of the detector's layers, and anchors at each place of a layer (BlazePose's configuration in MediaPipe).
_ANCHORS = ((8, 2), (16, 2), (32, 6))
# Least probability that there is a person: of the detector, and of the landmark model.
_MIN_DETECTION, _MIN_PRESENCE = 0.5, 0.5
# The square around a person, in parts of the circle that the detector sees.
_MARGIN = 1.25
# Rows and columns of the tiles in which small persons are looked for, and how much of the frame a tile has.
_TILES, _TILE_SHARE = 2, 2 / 3

Floats = npt.NDArray[np.float32]


class PoseRows(NamedTuple):
    """Rows of the pose stream, taken apart.

    Attributes:
        found: Probability that there is a person, ``[T]``; 0 where nobody was found, and then all else is 0, too.
        picture: Joints in the picture, in heights of the frame from its top left corner, ``[T, 33, 2]``.
        world: Joints in meters around the middle of the hips: right, down, away from the camera, ``[T, 33, 3]``.
        visibility: Probability that a joint is seen, ``[T, 33]``.
    """

    found: Floats
    picture: Floats
    world: Floats
    visibility: Floats


def split_pose(rows: Floats) -> PoseRows:
    """Takes rows ``float32 [T, POSE_WIDTH]`` apart."""
    picture, world, visibility = np.split(rows[:, 1:], [2 * NUM_JOINTS, 5 * NUM_JOINTS], axis=1)
    shape = (len(rows), NUM_JOINTS)
    return PoseRows(rows[:, 0], picture.reshape(*shape, 2), world.reshape(*shape, 3), visibility)


class PoseEstimator:
    """Finds the joints of the most prominent person of a frame.

    Args:
        threads: Number of threads.
        refine: ...

    Raises:
        BundleError: A model file is damaged.
    """

    def __init__(self, threads: int, passes: int = 2, tiles: bool = True) -> None:
        self._detector = landmark_model("pose_detection", threads)
        self._landmarks = landmark_model("pose_landmark_full", threads)
        self._anchors = np.concatenate([_anchors(stride, count) for stride, count in _ANCHORS])
        self._passes, self._tiles = passes, tiles

    def describe(self, frame: npt.NDArray[np.uint8]) -> Floats:
        """A row ``float32 [POSE_WIDTH]`` for a frame ``uint8 [H, W, 3]``, RGB, of square pixels."""
        row = np.zeros(POSE_WIDTH, np.float32)
        region = self._find(frame)
        if region is None:
            return row
        for _ in range(self._passes):
            picture, world, visibility, presence, following = self._read(frame, region)
            if presence < _MIN_PRESENCE:
                return row
            region = following
        row[0] = presence
        row[1:] = np.concatenate([(picture / frame.shape[0]).ravel(), world.ravel(), visibility])
        return row

    def _find(self, frame: npt.NDArray[np.uint8]) -> Region | None:
        """The square around the most prominent person; small persons are looked for in tiles."""
        found = self._detect(frame)
        if found is None and self._tiles:
            tiles = [(self._detect(tile), x, y) for tile, x, y in _tiles(frame)]
            regions = [
                (score, region._replace(x=region.x + x, y=region.y + y))
                for one, x, y in tiles
                if one
                for score, region in (one,)
            ]
            found = max(regions, default=None)
        return found[1] if found else None

    def _detect(self, frame: npt.NDArray[np.uint8]) -> tuple[float, Region] | None:
        """The most prominent person of a picture: how prominent, and the square around."""
        height, width = frame.shape[:2]
        scale = _DETECTOR_SIZE / max(height, width)
        inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        top, left = (_DETECTOR_SIZE - inner_height) // 2, (_DETECTOR_SIZE - inner_width) // 2
        letterboxed = np.zeros((_DETECTOR_SIZE, _DETECTOR_SIZE, 3), np.float32)
        letterboxed[top : top + inner_height, left : left + inner_width] = cv2.resize(
            frame, (inner_width, inner_height), interpolation=interpolation
        )
        boxes, scores = self._detector(letterboxed / 127.5 - 1)
        probabilities = 1 / (1 + np.exp(-np.clip(scores[:, 0], -80, 80)))
        likely = np.flatnonzero(probabilities >= _MIN_DETECTION)
        if not len(likely):
            return None
        points = boxes[likely, 4:8].reshape(-1, 2, 2) + self._anchors[likely, np.newaxis]
        radii = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
        best = int(np.argmax(probabilities[likely] * radii))
        hips, top_point = (points[best] - (left, top)) / scale
        prominence = float(probabilities[likely[best]] * radii[best])
        return prominence, Region.upright(hips[0], hips[1], 2 * _MARGIN * float(radii[best]) / scale, top_point - hips)

    def _read(self, frame: npt.NDArray[np.uint8], region: Region) -> tuple[Floats, Floats, Floats, float, Region]:
        crop = cut_out(frame, region, _LANDMARK_SIZE)
        landmarks, presence, _, _, world = self._landmarks(crop.astype(np.float32) / 255)
        rows = landmarks.reshape(-1, 5)
        points = region.to_frame(rows[:, :2] / _LANDMARK_SIZE)
        hips, circle = points[NUM_JOINTS], points[NUM_JOINTS + 1]
        following = Region.upright(hips[0], hips[1], 2 * _MARGIN * float(np.linalg.norm(circle - hips)), circle - hips)
        visibility = 1 / (1 + np.exp(-rows[:NUM_JOINTS, 3]))
        meters = region.turned_back(world.reshape(-1, 3)[:NUM_JOINTS])
        return points[:NUM_JOINTS], meters, visibility, float(presence[0]), following


def _anchors(stride: int, count: int) -> Floats:
    """The middles of a layer's anchors ``[N, 2]``, in pixels of the detector."""
    steps = (np.arange(_DETECTOR_SIZE // stride, dtype=np.float32) + 0.5) * stride
    y, x = np.meshgrid(steps, steps, indexing="ij")
    return np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), count, axis=0)


def _tiles(frame: npt.NDArray[np.uint8]) -> Iterator[tuple[npt.NDArray[np.uint8], int, int]]:
    """Overlapping tiles of a frame, each with the place of its left top corner."""
    height, width = frame.shape[:2]
    rows, columns = round(height * _TILE_SHARE), round(width * _TILE_SHARE)
    for row in range(_TILES):
        for column in range(_TILES):
            y, x = row * (height - rows) // (_TILES - 1), column * (width - columns) // (_TILES - 1)
            yield frame[y : y + rows, x : x + columns], x, y
