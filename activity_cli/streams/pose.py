"""The pose stream: the joints of a person in each frame, by BlazePose (Bazarevsky et al. 2020).

A detector finds a person, and a landmark model finds 33 joints in the square around. In the next frame, it looks around
the joints that it has found. :mod:`activity_cli.video.tracking` says which frames it reads, so that a fast person is
not lost between far frames, and the joints do not depend on where a clip starts. ``models/MODEL_CARD.md`` describes the
two models.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
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
Picture = npt.NDArray[np.uint8]


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
    """Finds the joints of the most prominent person of a frame: the likeliest and largest.

    Args:
        threads: Number of threads; the joints do not depend on it.

    Raises:
        BundleError: A model file is damaged (``weights.unreadable``).
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._detector = landmark_model("pose_detection", threads)
        self._landmarks = landmark_model("pose_landmark_full", threads)
        self._anchors = np.concatenate([_anchors(stride, count) for stride, count in _ANCHORS])

    def another(self) -> PoseEstimator:
        """One that reads other frames at the same time. The detector, which runs rarely, is the same."""
        other = copy(self)
        other._landmarks = landmark_model("pose_landmark_full", self._threads)
        return other

    def follow(self, frame: Picture, region: Region | None) -> tuple[Floats, Region | None]:
        """The row of a frame, and where to look in the next frame; None: nobody was found.

        Where nobody is found in the region, the person is looked for everywhere. The landmark model then runs twice:
        the joints of the first run give a better square.

        Args:
            frame: ``uint8 [H, W, 3]``, RGB, of square pixels, as it is shown; of any size.
            region: Where to look; None: everywhere.

        Returns:
            ``float32 [POSE_WIDTH]``, as :func:`split_pose` takes it apart; all 0 where nobody was found.
        """
        reading = self._read(frame, region) if region else None
        if reading is None or reading.presence < _MIN_PRESENCE:
            reading = self._search(frame)
        row = np.zeros(POSE_WIDTH, np.float32)
        if reading is None:
            return row, None
        row[0] = reading.presence
        places = reading.points / frame.shape[0]
        row[1:] = np.concatenate([places.ravel(), reading.world.ravel(), reading.visibility])
        return row, reading.around

    def _search(self, frame: Picture) -> _Reading | None:
        region = self._find(frame)
        for _ in range(2):
            if region is None:
                return None
            reading = self._read(frame, region)
            region = reading.around if reading.presence >= _MIN_PRESENCE else None
        return reading if region else None

    def _find(self, frame: Picture) -> Region | None:
        """The square around the most prominent person; small persons are looked for in tiles."""
        found = self._detect(frame)
        if found is None:
            tiles = [
                (person.prominence, person.region._replace(x=person.region.x + x, y=person.region.y + y))
                for tile, x, y in _tiles(frame)
                if (person := self._detect(tile)) is not None
            ]
            return max(tiles)[1] if tiles else None
        return found.region

    def _detect(self, picture: Picture) -> _Person | None:
        """The most prominent person of a picture, ``uint8 [h, w, 3]``."""
        height, width = picture.shape[:2]
        scale = _DETECTOR_SIZE / max(height, width)
        inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        top, left = (_DETECTOR_SIZE - inner_height) // 2, (_DETECTOR_SIZE - inner_width) // 2
        letterboxed = np.zeros((_DETECTOR_SIZE, _DETECTOR_SIZE, 3), np.float32)
        resized = cv2.resize(picture, (inner_width, inner_height), interpolation=interpolation)
        letterboxed[top : top + inner_height, left : left + inner_width] = resized
        boxes, scores = self._detector(np.asarray(letterboxed / 127.5 - 1, np.float32))
        probabilities = _sigmoid(scores[:, 0])
        likely = np.flatnonzero(probabilities >= _MIN_DETECTION)
        if not len(likely):
            return None
        # The middle of the hips, and a point above the head: the body fits into the circle through it.
        points = boxes[likely, 4:8].reshape(-1, 2, 2) + self._anchors[likely, np.newaxis]
        radii = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
        best = int(np.argmax(probabilities[likely] * radii))
        hips, circle = np.asarray((points[best] - (left, top)) / scale, np.float32)
        return _Person(float(probabilities[likely[best]] * radii[best]), _square(hips, circle))

    def _read(self, frame: Picture, region: Region) -> _Reading:
        """The joints in a region; what the models say of visibility and presence are logits and a probability."""
        picture = cut_out(frame, region, _LANDMARK_SIZE).astype(np.float32) / np.float32(255)
        landmarks, presence, _, _, world = self._landmarks(picture)
        rows = landmarks.reshape(-1, 5)
        points = region.to_frame(rows[:, :2] / np.float32(_LANDMARK_SIZE))
        return _Reading(
            points=points[:NUM_JOINTS],
            world=region.turned_back(world.reshape(-1, 3)[:NUM_JOINTS]),
            visibility=_sigmoid(rows[:NUM_JOINTS, 3]),
            presence=float(presence[0]),
            around=_square(points[NUM_JOINTS], points[NUM_JOINTS + 1]),
        )


class _Person(NamedTuple):
    """What the detector found: probability times size in pixels of the detector, and the square around."""

    prominence: float
    region: Region


class _Reading(NamedTuple):
    """What the landmark model found: joints in pixels of the frame and in meters, and the square around them."""

    points: Floats
    world: Floats
    visibility: Floats
    presence: float
    around: Region


def _square(hips: Floats, circle: Floats) -> Region:
    """The square around a person, upright: around the hips, as large as the circle through the other point."""
    up = circle - hips
    return Region.upright(float(hips[0]), float(hips[1]), 2 * _MARGIN * float(np.linalg.norm(up)), up)


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), np.float32)


def _anchors(stride: int, count: int) -> Floats:
    """The middles of a layer's anchors ``[N, 2]``, in pixels of the detector."""
    steps = (np.arange(_DETECTOR_SIZE // stride, dtype=np.float32) + 0.5) * stride
    y, x = np.meshgrid(steps, steps, indexing="ij")
    return np.asarray(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), count, axis=0), np.float32)


def _tiles(frame: Picture) -> Iterator[tuple[Picture, int, int]]:
    """Overlapping tiles of a frame, each with the place of its left top corner."""
    height, width = frame.shape[:2]
    rows, columns = round(height * _TILE_SHARE), round(width * _TILE_SHARE)
    for row in range(_TILES):
        for column in range(_TILES):
            y, x = row * (height - rows) // (_TILES - 1), column * (width - columns) // (_TILES - 1)
            yield frame[y : y + rows, x : x + columns], x, y
