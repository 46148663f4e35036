"""The hands stream: 21 joints of each hand in each frame, by MediaPipe Hands (Zhang et al. 2020).

The pose says where a hand is. The landmark model runs twice where it finds one: the joints of the first run give a
better square. ``models/MODEL_CARD.md`` describes the model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from activity_cli.streams.model_files import landmark_model
from activity_cli.streams.pose import split_pose
from activity_cli.streams.regions import Region, cut_out

__all__ = ["HANDS_WIDTH", "NUM_HAND_JOINTS", "HandEstimator", "HandRows", "split_hands"]

NUM_HAND_JOINTS = 21
# For the left and the right hand: found, then of each joint x and y in the picture, and x, y and z.
_HAND_WIDTH = 1 + NUM_HAND_JOINTS * (2 + 3)
HANDS_WIDTH = 2 * _HAND_WIDTH

_SIZE = 224
# Wrist, little finger and index finger of each arm among the joints of the pose.
_ARMS = ((15, 17, 19), (16, 18, 20))
# Above this probability of a hand, the square is moved to its joints; above the next, it counts as found.
_MIN_FIRST, _MIN_FOUND = 0.3, 0.4
_KNUCKLES = (5, 9, 13)

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


class HandRows(NamedTuple):
    """Rows of the hands stream, taken apart; first the left hand, then the right one.

    Attributes:
        found: Probability of a hand, ``[T, 2]``; 0 where none was found, and then all else of it is 0, too.
        picture: Joints in the picture, in heights of the frame from its top left corner, ``[T, 2, 21, 2]``.
        world: Joints in meters around the middle of the hand, ``[T, 2, 21, 3]``.
    """

    found: Floats
    picture: Floats
    world: Floats

    def drawn(self) -> Floats:
        """The joints in the picture, ``[T, 2, 21, 2]``, NaN for a hand that was not found."""
        return np.where(self.found[..., None, None] > 0, self.picture, np.float32(np.nan))


def split_hands(rows: Floats) -> HandRows:
    """Takes rows ``float32 [T, HANDS_WIDTH]`` apart."""
    both = rows.reshape(len(rows), 2, _HAND_WIDTH)
    picture, world = both[..., 1 : 1 + 2 * NUM_HAND_JOINTS], both[..., 1 + 2 * NUM_HAND_JOINTS :]
    shape = (len(rows), 2, NUM_HAND_JOINTS)
    return HandRows(both[..., 0], picture.reshape(*shape, 2), world.reshape(*shape, 3))


class HandEstimator:
    """Finds the joints of both hands of the person that the pose stream found.

    Args:
        threads: Number of threads; the joints do not depend on it.

    Raises:
        BundleError: The model file is damaged (``weights.unreadable``).
    """

    def __init__(self, threads: int) -> None:
        self._landmarks = landmark_model("hand_landmark_full", threads)

    def describe(self, frame: Picture, pose: Floats) -> Floats:
        """The row of a frame.

        Args:
            frame: ``uint8 [H, W, 3]``, RGB, of square pixels, as it is shown.
            pose: The row of the pose stream for this frame, ``float32 [POSE_WIDTH]``.

        Returns:
            ``float32 [HANDS_WIDTH]``, as :func:`split_hands` takes it apart; 0 for each hand that was not found.
        """
        row = np.zeros((2, _HAND_WIDTH), np.float32)
        rows = split_pose(pose[np.newaxis])
        if rows.found[0]:
            for hand, arm in enumerate(_ARMS):
                row[hand] = self._describe_one(frame, rows.picture[0][list(arm)] * frame.shape[0])
        return row.ravel()

    def _describe_one(self, frame: Picture, arm: Floats) -> Floats:
        """The row of one hand, from wrist, little finger and index finger of the arm in pixels, ``[3, 2]``."""
        row = np.zeros(_HAND_WIDTH, np.float32)
        wrist, little, index = arm
        middle = (2 * index + little) / np.float32(3)
        side = 4 * float(np.linalg.norm(middle - wrist))
        if side < 1:
            return row
        best = self._read(frame, Region.upright(float(middle[0]), float(middle[1]), side, middle - wrist))
        if best.found > _MIN_FIRST:
            best = max(best, self._read(frame, _around(best.points)), key=lambda one: one.found)
        if best.found > _MIN_FOUND:
            row[0] = best.found
            row[1:] = np.concatenate([(best.points / frame.shape[0]).ravel(), best.world.ravel()])
        return row

    def _read(self, frame: Picture, region: Region) -> _Reading:
        picture = cut_out(frame, region, _SIZE).astype(np.float32) / np.float32(255)
        landmarks, presence, _, world = self._landmarks(picture)
        points = region.to_frame(landmarks.reshape(-1, 3)[:, :2] / np.float32(_SIZE))
        return _Reading(float(presence[0]), points, region.turned_back(world.reshape(-1, 3)))


class _Reading(NamedTuple):
    """What the model found: probability of a hand, and its joints in pixels of the frame and in meters."""

    found: float
    points: Floats
    world: Floats


def _around(points: Floats) -> Region:
    """The square around the joints of a hand ``[21, 2]``, with the knuckles above the wrist."""
    up = points[list(_KNUCKLES)].mean(axis=0) - points[0]
    turned = Region.upright(0, 0, 1, up)
    # Seen upright: the turn of the region, taken back.
    upright = turned._replace(turn=-turned.turn).turned_back(points)
    low, high = upright.min(axis=0), upright.max(axis=0)
    extent = float((high - low).max())
    x, y = turned.turned_back((low + high) / 2 - np.array([0, 0.1 * extent], np.float32))
    return Region(float(x), float(y), 2 * extent, turned.turn)
