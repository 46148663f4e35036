"""Drawn skeletons: rows of the pose and hands streams of a person who moves the arms, without any video."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from activity_cli.streams.hands import HANDS_WIDTH, NUM_HAND_JOINTS
from activity_cli.streams.pose import NUM_JOINTS, POSE_WIDTH

Floats = npt.NDArray[np.float32]
Angle = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]

# Of BlazePose's joints without the arms, in meters around the hips: right, down, away from the camera.
_HEAD = {0: (0, -0.75, -0.1), 9: (0.02, -0.7, -0.09), 10: (-0.02, -0.7, -0.09)}
_SIDE = {
    **{1: (0.02, -0.78, -0.09), 2: (0.03, -0.78, -0.09), 3: (0.04, -0.78, -0.09), 7: (0.08, -0.75, 0)},
    **{11: (0.18, -0.5, 0), 23: (0.12, 0, 0), 25: (0.13, 0.42, -0.02), 27: (0.13, 0.85, 0), 29: (0.13, 0.9, 0.05)},
    31: (0.14, 0.92, -0.12),
}
_OTHER_SIDE = {1: 4, 2: 5, 3: 6, 7: 8, 11: 12, 23: 24, 25: 26, 27: 28, 29: 30, 31: 32}


def still(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """An arm that hangs, in radians from the vertical."""
    return np.full(seconds.shape, 0.2)


def waving(rate: float, size: float = 1.0) -> Angle:
    """An arm that is raised and lowered so many times a second."""
    return lambda seconds: 0.2 + size * (1 - np.cos(2 * np.pi * rate * seconds))


def times_of(count: int, fps: float) -> npt.NDArray[np.float64]:
    """The middles of the times that frames are shown."""
    return (np.arange(count) + 0.5) / fps


def pose_rows(
    seconds: npt.NDArray[np.float64],
    left: Angle = still,
    right: Angle = still,
    *,
    sway: float = 0.0,
    place: tuple[float, float] = (0.9, 0.5),
    size: float = 0.25,
) -> Floats:
    """Rows of the pose stream, ``float32 [T, POSE_WIDTH]``.

    Args:
        seconds: When each frame is shown.
        left, right: Angles of the arms over time.
        sway: How far the person walks to the right, in meters a second.
        place: Of the hips in the picture, in heights of the frame.
        size: Heights of the frame that a meter has.
    """
    world = np.zeros((len(seconds), NUM_JOINTS, 3))
    for joint, at in _HEAD.items():
        world[:, joint] = at
    for joint, at in _SIDE.items():
        world[:, joint] = at
        world[:, _OTHER_SIDE[joint]] = np.array(at) * (-1, 1, 1)
    for first, sign, angle in ((11, 1, left(seconds)), (12, -1, right(seconds))):
        direction = np.stack([sign * np.sin(angle), np.cos(angle), -0.2 * np.sin(angle)], axis=1)
        for joint, length in ((first + 2, 0.28), (first + 4, 0.53), (first + 6, 0.6), (first + 8, 0.62)):
            world[:, joint] = world[:, first] + length * direction
        world[:, first + 10] = world[:, first] + 0.56 * direction + (0, 0, -0.04)
    picture = np.array(place) + size * (world[..., :2] + np.stack([sway * seconds, 0 * seconds], axis=1)[:, np.newaxis])
    ones = np.ones((len(seconds), 1))
    parts = (ones, picture.reshape(len(seconds), -1), world.reshape(len(seconds), -1), np.repeat(ones, NUM_JOINTS, 1))
    rows = np.concatenate(parts, axis=1).astype(np.float32)
    assert rows.shape[1] == POSE_WIDTH
    return rows


def hand_rows(seconds: npt.NDArray[np.float64], left: Angle = still, right: Angle = still) -> Floats:
    """Rows of the hands stream, ``float32 [T, HANDS_WIDTH]``: hands that open as far as the angle says."""
    parts = []
    for sign, angle in ((1, left(seconds)), (-1, right(seconds))):
        world = np.zeros((len(seconds), NUM_HAND_JOINTS, 3))
        for finger in range(5):
            for joint in range(4):
                reach = 0.03 * (joint + 1) * (1 - 0.3 * np.cos(angle) * (joint > 0))
                at = [sign * (0.02 * (finger - 2) + 0.2 * reach), -reach, 0.01 * finger + 0 * reach]
                world[:, 1 + 4 * finger + joint] = np.stack(np.broadcast_arrays(*at), axis=1)
        ones, picture = np.ones((len(seconds), 1)), np.zeros((len(seconds), 2 * NUM_HAND_JOINTS))
        parts += [ones, picture, world.reshape(len(seconds), -1)]
    rows = np.concatenate(parts, axis=1).astype(np.float32)
    assert rows.shape[1] == HANDS_WIDTH
    return rows
